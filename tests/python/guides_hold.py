"""Checks what the guides for the platform say against the manifests, because no cluster runs their commands.

A page that stops something must start it again, no command may need a pod after it was stopped, and every object, folder
and script that a command names must exist. `make k8s` runs this script."""

import re
import sys
from pathlib import Path

import yaml

from manifests_are_valid import ROOT, installations, render

# What a page stops, and what must come after it on the same page.
PAIRS = [
    (r"scale deployment/\S+ --replicas=0", r"scale deployment/\S+ --replicas=[1-9]", "scales down and does not scale up again"),
    (r"numberdesk/access-", r"numberdesk/access=\w+", "keeps callers out and does not let them in again"),
    (r"patch networkpolicy/\S+ .*\"ingress\":\[\]", r"apply -k", "closes the service and does not open it again"),
    (r'"suspend":true', r'"suspend":false', "suspends a job and does not resume it"),
    (r"condition=Ready cluster/numberdesk-db-\d", r"create -f \S*backup\.yaml", "restores a cluster and takes no base backup at once"),
    (r"--sync-policy none", r"--sync-policy auto", "pauses Argo CD and does not resume it"),
    (r"flux suspend", r"flux resume", "pauses Flux and does not resume it"),
]
STOPPED, STARTED = PAIRS[0][:2]
NEEDS_A_POD = r"kubectl[^\n]* (?:exec|port-forward)\b"
# Names that guides give to objects of the reader.
FOREIGN = {"secret/numberdesk-db-new", "secret/numberdesk", "secret/numberdesk-db", "secret/numberdesk-tls", "secret/numberdesk-db-owner"}
FOREIGN |= {"secret/numberdesk-db-ca", "secret/numberdesk-db-app"}  # of CloudNativePG
FOREIGN |= {"cronjob/numberdesk-migrate"}  # of the component database-owner, which no example has


def main() -> int:
    faults, commands = [], 0
    known = objects()
    for page in sorted((ROOT / "docs").glob("*.md")):
        blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
        commands += len(blocks)
        found = [*pairs(blocks), *pods(blocks), *names(blocks, known), *paths(page.read_text())]
        found += [*secrets(page.read_text()), *runs(page.read_text())]
        faults += [f"docs/{page.name}: {fault}" for fault in found]
    # The checks themselves: a page that ends with nothing running.
    broken = ["kubectl -n numberdesk scale deployment/numberdesk --replicas=0\n", "kubectl exec deployment/numberdesk -- x\n"]
    if not list(pairs(broken)) or not list(pods(broken)) or not list(names(["kubectl wait cluster/other\n"], known)):
        faults.append("tests/python/guides_hold.py: the checks find nothing in a faulty page")
    print(f"guides: {commands} blocks of commands, {len(faults)} faults")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def pairs(blocks):
    for stop, start, fault in PAIRS:
        stopped = [place for place, block in enumerate(blocks) if re.search(stop, block)]
        started = [place for place, block in enumerate(blocks) if re.search(start, block)]
        if stopped and not any(place > stopped[-1] for place in started):
            yield f"the block `{blocks[stopped[-1]].splitlines()[0]}` {fault}"


def pods(blocks):
    stopped = False
    for block in blocks:
        for line in block.splitlines():
            stopped = bool(re.search(STOPPED, line)) or (stopped and not re.search(STARTED, line))
            if stopped and re.search(NEEDS_A_POD, line):
                yield f"`{line}` needs a pod, but the service was scaled down before"


def names(blocks, known):
    kinds = "deployment|cluster|backup|cronjob|service|networkpolicy|hpa|secret|certificate"
    for block in blocks:
        for kind, name in re.findall(rf"\b({kinds})[/ ]((?:numberdesk|other)[\w-]*)", block):
            if f"{kind}/{name}" not in known | FOREIGN:
                yield f"{kind}/{name} is in no example"
        for cron_job in re.findall(r"TOOLBOX=([\w-]+)", block):
            if f"cronjob/{cron_job}" not in known | FOREIGN:
                yield f"cronjob/{cron_job} is in no example"


def secrets(text):
    """A command that replaces a Secret removes the keys that it does not name, so the page must say so beside it."""
    for match in re.finditer(r"create secret generic numberdesk (?:[^`]|\n)*?--dry-run=client", text):
        around = text[max(0, match.start() - 600) : match.end() + 600]
        if "must name every file of the Secret" not in " ".join(around.split()):
            yield "a command replaces the Secret numberdesk, and no sentence beside it says that it must name every file"


def runs(text):
    """The runbook of an alert about a CronJob must run that CronJob, because the alert counts no other job."""
    rules = yaml.safe_load((ROOT / "k8s/components/monitoring/backups.yaml").read_text())["spec"]["groups"]
    for rule in (rule for group in rules for rule in group["rules"]):
        section = re.search(rf"^## {rule['alert']}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
        jobs = set(re.findall(r'kube_cronjob_\w+\{cronjob="([\w-]+)"', rule["expr"]))
        if section and jobs and "toolbox.sh" in section[1] and not jobs & set(re.findall(r"TOOLBOX=([\w-]+)", section[1])):
            yield f"{rule['alert']} reads the jobs of {sorted(jobs)}, and its runbook runs another one"


def paths(text):
    """Files and folders of the repository that a page names."""
    for path in set(re.findall(r"\bk8s/(?:base|components|examples)[\w/.-]*\w", text)) | set(re.findall(r"\bk8s/\w+\.sh", text)):
        if not (ROOT / path).exists():
            yield f"{path} does not exist"


def objects():
    short = {"HorizontalPodAutoscaler": "hpa"}
    folders = [folder for root in (ROOT / "k8s/overlays", ROOT / "k8s/examples") for folder in installations(root)]
    rendered = [one for folder in folders for one in render(folder)]
    # What a command creates once, of a cluster that is rendered in the same folder.
    for file in sorted((ROOT / "k8s/examples").glob("*/backup.yaml")):
        backup = yaml.safe_load(file.read_text())
        clusters = [one["metadata"]["name"] for one in render(file.parent) if one["kind"] == "Cluster"]
        if clusters == [backup["spec"]["cluster"]["name"]]:
            rendered.append(backup)
    return {
        f"{short.get(one['kind'], one['kind'].lower())}/{one['metadata']['name']}"
        for one in rendered
    }


if __name__ == "__main__":
    sys.exit(main())
