"""The published schemas and `numberdesk check` agree: on the samples, and on faults that a schema can express.

An independent validator (python-jsonschema) reads the schemas, and Python's own parser reads TOML. `check` reads the
samples of the settings in k8s with `--without-files`, because the files that they name are only in a pod. A unit test of
`src/config` reads the others. The same validator reads the SARIF that `check` prints.

    schemas_hold.py NUMBERDESK
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
BINARY = sys.argv[1]

CONFIG = """
[close]
api_key_file = "key"
[[auth.issuers]]
issuer = "https://idp.example.com/"
audiences = ["numberdesk"]
"""
CLUSTER = CONFIG + '[[auth.issuers]]\nissuer = "https://cluster.local"\naudiences = ["a"]\nkind = "kubernetes"\n'
TEAM = "[teams.sales]\n"
ACCOUNT = (
    TEAM + '[[service_accounts]]\nnamespace = "crm"\nname = "dialer"\nteam = "sales"\npermissions = ["numbers:read"]\n'
)

GRANT = TEAM + '[[grants]]\nclaim = "/groups"\nvalue = "leads"\nteam = "sales"\npermissions = ["numbers:read"]\n'

# Each file has exactly one fault. The settings follow CONFIG.
FAULTY_CONFIGS = [
    "[server]\nlisen = '127.0.0.1:80'",
    "[server]\nlisten = 'localhost'",
    "[server]\nlisten = 8080",
    "[server]\nbody_limit = 1023",
    "[server]\nbody_limit = '65536'",
    "[server]\nheader_timeout = '10'",
    "[server]\nheader_timeout = 10",
    "[server]\ngrace = '1y'",
    "[server]\ngrace = '+30s'",
    "[server]\npublic_url = 'ftp://x.example'",
    "[server]\npublic_url = 'https://x.example/?a=1'",
    "[server.tls]\ncertificate_file = 'tls.crt'",
    "[limits]\nin_flight = 0",
    "[limits]\nburst = 1.5",
    "[store]\nurl = 'mysql://x/y'",
    "[store]\nurl_file = ''",
    "[policy]\nfile = 5",
    "[orders]\nwait = '25 s'",
    "[webhooks]\nports = []",
    "[webhooks]\nports = [0]",
    "[webhooks]\nports = [65536]",
    "[webhooks]\nallow_http = 'yes'",
    "[webhooks]\nnetworks = ['10.0.0.0']",
    "[webhooks]\nhosts = 'x.example'",
    "[webhooks]\nsecret = '0123456789abcdef0123456789abcdef'",
    "[traces]\npercent = 101",
    "[traces]\nendpoint = 'http://collector:4318'",
    "[log]\nlevel = 'inof'",
    "[log]\nformat = 'xml'",
    "[[auth.issuers]]\nissuer = 'https://b.example/'",
    "[[auth.issuers]]\nissuer = 2026-11-23\naudiences = ['a']\njwks_url = 'https://b.example/'",
    "[[auth.issuers]]\nissuer = nan\naudiences = ['a']\njwks_url = 'https://b.example/'",
    "[[auth.issuers]]\nissuer = 'https://b.example/'\naudiences = []",
    "[[auth.issuers]]\nissuer = 'https://b.example/'\naudiences = ['a', 'a']",
    "[[auth.issuers]]\nissuer = 'https://b.example/'\naudiences = ['a']\nalgorithms = ['HS256']",
    "[[auth.issuers]]\nissuer = 'https://b.example/'\naudiences = ['a']\nkind = 'k8s'",
    "[[auth.issuers]]\nissuer = 'https://b.example/'\naudiences = ['a']\nclaims = { teams = 'teams' }",
    "[[auth.issuers]]\nissuer = 'https://b.example/'\naudiences = ['a']\nclaims = { team = '/teams' }",
    "[servers]",
]
FAULTY_POLICIES = [
    TEAM + "countries = ['Germany']",
    TEAM + "countries = 'DE'",
    TEAM + "countries = { claim = 'phone', within = [] }",
    TEAM + "countries = { within = ['DE'] }",
    TEAM + "group_numbers = 'yes'",
    TEAM + "group_numbers = { permission = '' }",
    TEAM + "group_numbers = { permissions = 'a' }",
    TEAM + "group_numbers = { permission = 'a', claim = '/b' }",
    TEAM + "group_numbers = { claim = 'b' }",
    TEAM + "group_numbers = {}",
    TEAM + "carrier_types = ['fax']",
    TEAM + "max_numbers = -1",
    TEAM + "max_numbers = 1000001",
    TEAM + "max_orders_per_day = 1.5",
    TEAM + "monthly_budget = 120.00",
    TEAM + "monthly_budget = '120.5'",
    TEAM + "forward_to_countries = 'DE'",
    TEAM + "assign_to = 'me'",
    TEAM + "assign_to = ['bob']",
    TEAM + "assign_to = { group = 'user_A' }",
    TEAM + "approval = {}",
    TEAM + "approval = { above_monthly = 50 }",
    TEAM + "release_delay = 'a day'",
    TEAM + "contries = []",
    "[teams.'a b']",
    "[prices]\nDEU = '1.00'",
    "[prices]\nDE = 1",
    "[price]",
    ACCOUNT.replace('"crm"', '"CRM"'),
    ACCOUNT.replace('"dialer"', '"dialer_"'),
    ACCOUNT.replace('["numbers:read"]', "[]"),
    ACCOUNT.replace('team = "sales"\n', ""),
    ACCOUNT + 'close_user = "alice"',
    ACCOUNT + 'nmespace = "y"',
    GRANT.replace('"/groups"', '"groups"'),
    GRANT.replace('"/groups"', "[]"),
    GRANT.replace('"leads"', '" leads"'),
    GRANT.replace('"leads"', '""'),
    GRANT.replace('["numbers:read"]', "[]"),
    GRANT.replace('["numbers:read"]', '["numbers:read", "numbers:read"]'),
    GRANT.replace('team = "sales"', "teams = []"),
    GRANT.replace('team = "sales"', 'team = "a b"'),
    GRANT + 'vlaue = "y"',
]
VALID_POLICIES = [
    "",
    TEAM,
    TEAM + "countries = { claim = '/phone/countries', within = ['DE'] }\nassign_to = ['user_A']",
    TEAM + "countries = ['DE']\ngroup_numbers = false\nassign_to = 'anyone'\napproval = { countries = ['DE'] }",
    "[teams.'*']\nassign_to = { group = 'group_A' }\nmax_numbers = 0\n[prices]\ndefault = '0.00'",
    ACCOUNT + 'close_user = "user_A"\nissuer = "https://cluster.local"',
    TEAM + "countries = { claim = '/phone' }\ngroup_numbers = { claim = '/phone/group' }",
    GRANT.replace('"/groups"', '["/groups", "/roles"]') + 'issuer = "https://a.example/"',
    GRANT.replace('team = "sales"', "everywhere = true").replace("numbers:read", "audit:read"),
    GRANT.replace('team = "sales"', 'teams = ["sales", "support"]').replace('"leads"', '"/sales/Sales Leads"'),
]
VALID_CONFIGS = [
    "",
    "[server]\nlisten = '[::1]:0'\nops_listen = '[::1]:0'\ndrain = '500ms'\npublic_url = 'HTTPS://desk.example.com'",
    "[limits]\nrequests_per_minute = 0\nburst = 1\nwaiting_orders = 0",
    "[store]\nurl = 'postgresql://u:p@h/d?sslmode=require'",
    "[webhooks]\nhosts = ['*.example.com']\nnetworks = ['fd00::/8']\nports = [443, 443]",
    "[log]\nlevel = 'warn, numberdesk::desk=debug'",
]


def validator(kind: str) -> Draft202012Validator:
    schema = json.loads((ROOT / f"schema/{kind}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


VALIDATORS = {kind: validator(kind) for kind in ("config", "policy")}


def by_schema(kind: str, text: str) -> list[str]:
    """Returns the faults that the schema finds."""
    return [f"{error.json_path}: {error.message}" for error in VALIDATORS[kind].iter_errors(tomllib.loads(text))]


SARIF = Draft202012Validator(json.loads((ROOT / "tests/python/sarif_2_1_0.schema.json").read_text()))


def by_check_without_files(path: Path) -> str:
    """Returns the faults that `numberdesk check --without-files` finds in a file; empty if there are none.

    What it prints must be SARIF."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBERDESK_")}
    command = [BINARY, "check", "--without-files", "--format", "sarif", "--config", str(path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run
    log = json.loads(run.stdout)
    faults = [f"not SARIF: {error.json_path}: {error.message}" for error in SARIF.iter_errors(log)]
    results = log["runs"][0]["results"]
    faults += [f"{result['message']['text']}" for result in results if result["level"] == "error"]
    assert bool(run.returncode) == any(result["level"] == "error" for result in results), run
    return "; ".join(faults)


def by_check(config: str, policy: str | None) -> str:
    """Returns the faults that `numberdesk check` prints; empty if there are none."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "key").write_text("api_x.y")
        if policy is not None:
            (Path(folder) / "policy.toml").write_text(policy)
            config += "\n[policy]\nfile = 'policy.toml'\n"
        (Path(folder) / "numberdesk.toml").write_text(config)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBERDESK_")}
        run = subprocess.run([BINARY, "check"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode in (0, 1), run
        return run.stderr if run.returncode else ""


def samples() -> list[tuple[str, str, str]]:
    """Returns the name, the kind and the text of each sample: files of the repository, and blocks of the guides."""
    found = []
    for folder in ("k8s", "src/cli"):
        for path in sorted((ROOT / folder).rglob("*.toml")):
            kind = "policy" if path.name.endswith("policy.toml") else "config"
            found.append((str(path.relative_to(ROOT)), kind, path.read_text()))
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for number, text in enumerate(re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.M | re.S), 1):
            kind = "policy" if {"teams", "grants", "prices", "service_accounts"} & set(tomllib.loads(text)) else "config"
            found.append((f"{path.relative_to(ROOT)}, block {number}", kind, text))
    return found


def main() -> int:
    wrong = []
    all_samples = samples()
    for name, kind, text in all_samples:
        wrong += [f"{name}: the schema refuses it: {fault}" for fault in by_schema(kind, text)]
        if kind == "policy":
            # A block about accounts names a team of the policy around it.
            whole = text if "teams" in tomllib.loads(text) else text + "\n[teams.sales-emea]\n"
            if faults := by_check(CLUSTER, whole):
                wrong.append(f"{name}: check refuses it: {faults}")
        elif name.startswith("k8s/") and (faults := by_check_without_files(ROOT / name)):
            wrong.append(f"{name}: check refuses it: {faults}")
    cases = [("config", CONFIG + text, None) for text in FAULTY_CONFIGS]
    cases += [("policy", text, text) for text in FAULTY_POLICIES]
    for kind, text, policy in cases:
        if not by_schema(kind, text):
            wrong.append(f"the schema accepts {text!r}")
        if not by_check(text if policy is None else CLUSTER, policy):
            wrong.append(f"check accepts {text!r}")
    for kind, text, policy in [("config", CONFIG + text, None) for text in VALID_CONFIGS] + [
        ("policy", text, text) for text in VALID_POLICIES
    ]:
        wrong += [f"the schema refuses {text!r}: {fault}" for fault in by_schema(kind, text)]
        if faults := by_check(text if policy is None else CLUSTER, policy):
            wrong.append(f"check refuses {text!r}: {faults}")
    print("\n".join(wrong) or f"{len(all_samples)} samples and {len(cases)} faulty files: schema and check agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
