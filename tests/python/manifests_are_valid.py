"""Renders the Kubernetes manifests with kustomize and checks them without a cluster.

The checks are the strict schemas of Kubernetes, and rules of this project that a reviewer would check.
`make k8s` runs this script. It needs the tools that `make setup` installs."""

import ipaddress
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = ROOT / ".venv/bin/kubectl"
KUBERNETES = ["1.30", "1.37"]  # the oldest and the newest supported version
NOBODY = 65532  # the user id of the image
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
GRACE = 30  # seconds: the default of server.grace and close.timeout
# Custom resources have no schema here. These are the versions that the manifests use.
CUSTOM_RESOURCES = {
    "postgresql.cnpg.io/v1": ["Cluster", "ScheduledBackup"],
    "barmancloud.cnpg.io/v1": ["ObjectStore"],
    "networking.istio.io/v1": ["VirtualService"],
    "security.istio.io/v1": ["AuthorizationPolicy"],
    "argoproj.io/v1alpha1": ["AppProject", "Application"],
    "kustomize.toolkit.fluxcd.io/v1": ["Kustomization"],
    "source.toolkit.fluxcd.io/v1": ["GitRepository"],
    "cert-manager.io/v1": ["Certificate"],
    "gateway.networking.k8s.io/v1": ["HTTPRoute", "BackendTLSPolicy"],
    "external-secrets.io/v1": ["ExternalSecret"],
    "monitoring.coreos.com/v1": ["ServiceMonitor", "PodMonitor", "PrometheusRule"],
    "monitoring.coreos.com/v1alpha1": ["AlertmanagerConfig"],
}
# Components that no example uses together: an example, and what is added to it.
COMBINATIONS = [
    ("globex", ["nodelocal-dns", "egress-proxy", "tls", "gitops"]),
    ("globex", ["database-owner"]),
    ("small", ["gitops"]),
]


def main() -> int:
    faults = []
    # The base and the components are checked as parts of the overlays and examples.
    roots = [ROOT / "k8s/overlays", ROOT / "k8s/examples"]
    folders = sorted(folder for root in roots for folder in installations(root))
    environments = {}
    for folder in folders:
        path = folder.relative_to(ROOT)
        try:
            documents = render(folder)
        except subprocess.CalledProcessError as error:
            faults.append(f"{path}: {error.stderr.strip()}")
            continue
        deployments = [name(deployment) for deployment in of_kind(documents, "Deployment")]
        if not deployments:
            checks = CHECKS_OF_GITOPS
        else:
            checks = CHECKS + (CHECKS_OF_THE_SERVICE if "numberdesk" in deployments else CHECKS_OF_APPS)
        found = [fault for check in checks for fault in check(documents)]
        faults += [f"{path}: {fault}" for fault in found]
        print(f"{path}: {len(documents)} documents, {len(checks)} checks, {len(found)} faults")
        environments[folder] = documents
    for example, components in COMBINATIONS:
        faults += [f"{example} with {', '.join(components)}: {fault}" for fault in combined(example, components)]
    faults += [*names_no_other_environment(environments), *finds_a_renamed_environment(environments)]
    if not folders:
        faults.append("k8s: no kustomization.yaml")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def combined(example, components):
    """Yields the faults of an example with further components."""
    with tempfile.TemporaryDirectory(dir=ROOT / "k8s/examples") as folder:
        lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "namespace: numberdesk"]
        lines += [f"resources: [../{example}]", f"components: [{', '.join(f'../../components/{one}' for one in components)}]"]
        Path(folder, "kustomization.yaml").write_text("\n".join([*lines, ""]))
        documents = render(Path(folder))
    for check in CHECKS + CHECKS_OF_THE_SERVICE:
        if check is not gives_the_toolbox_what_the_service_has:  # the example copied the Deployment before
            yield from check(documents)


def installations(root: Path):
    """Yields the folders that are applied to a cluster: no components, and no base that environments share."""
    for file in root.rglob("kustomization.yaml"):
        if yaml.safe_load(file.read_text())["kind"] == "Kustomization" and file.parent.name != "base":
            yield file.parent


def render(folder: Path) -> list[dict]:
    rendered = subprocess.run([KUBECTL, "kustomize", folder], check=True, capture_output=True, text=True).stdout
    return [document for document in yaml.safe_load_all(rendered) if document]


def matches_the_schemas(documents):
    for document in documents:
        if document["kind"] in CUSTOM_RESOURCES.get(document["apiVersion"], []):
            continue
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(str(part) for part in error.absolute_path)
                yield f"{label(document)}: Kubernetes {version}: {path or 'document'}: {error.message}"
            except kubernetes_validate.SchemaNotFoundError as error:
                yield f"{label(document)}: {error.message}"


def pins_the_version_of_every_image(documents):
    for deployment, _, container in containers(documents):
        if "image" not in container:  # a patch for a container that the overlay does not have
            yield f"{label(deployment)}: container {container['name']} must have an image"
            continue
        registry, _, tag = container["image"].rpartition(":")
        if not registry or "/" in tag or tag == "latest":
            yield f"{label(deployment)}: image {container['image']} must have a tag that names a version"
        elif registry.endswith(("/numberdesk", "/close-sandbox")) and tag != VERSION:
            yield f"{label(deployment)}: image {container['image']} must have the tag {VERSION}"


def runs_as_an_unprivileged_user(documents):
    for deployment, pod in pods(documents):
        context = pod.get("securityContext", {})
        for key, want in {"runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY}.items():
            yield from differs(deployment, f"securityContext.{key}", context.get(key), want)
        yield from differs(deployment, "seccompProfile", context.get("seccompProfile"), {"type": "RuntimeDefault"})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            yield from differs(deployment, key, pod.get(key, False), False)


def restricts_every_container(documents):
    want = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for deployment, _, container in containers(documents):
        for key, value in want.items():
            yield from differs(deployment, key, container.get("securityContext", {}).get(key), value)


def mounts_no_default_service_account_token(documents):
    accounts = {name(account): account for account in of_kind(documents, "ServiceAccount")}
    for deployment, pod in pods(documents):
        automount = "automountServiceAccountToken"
        yield from differs(deployment, automount, pod.get(automount), False)
        account = accounts.get(pod.get("serviceAccountName"))
        if account is None:
            yield f"{label(deployment)}: must have its own ServiceAccount"
        else:
            yield from differs(account, automount, account.get(automount), False)


def mounts_tokens_only_for_issuers(documents):
    """Each token of the service's own account must be in the `token_file` of an issuer, and be for the API server."""
    for settings, deployment, pod in configured(documents):
        used = {file for key, file in files(settings) if key.endswith("token_file")}
        for folder, token in projected_tokens(pod):
            if "audience" in token or f"{folder}/{token['path']}" not in used:
                yield f"{label(deployment)}: the token in {folder} has an audience, or no `token_file` names it"


def has_a_token_that_the_service_accepts(documents):
    """An app's only secret is the token of its account, which the service of examples/acme/base must accept."""
    folder = ROOT / "k8s/examples/acme/base"
    settings, policy = (tomllib.loads((folder / file).read_text()) for file in ("numberdesk.toml", "policy.toml"))
    clusters = [issuer for issuer in settings["auth"]["issuers"] if issuer.get("kind") == "kubernetes"]
    audiences = {audience for cluster in clusters for audience in cluster["audiences"]}
    mapped = {(account["namespace"], account["name"]) for account in policy["service_accounts"]}
    for deployment, pod in servers(documents):
        tokens = [token for _, token in projected_tokens(pod)]
        accepted = [token for token in tokens if token.get("audience") in audiences]
        if len(tokens) != 1 or len(accepted) != 1 or tokens[0].get("expirationSeconds", 3601) > 3600:
            yield f"{label(deployment)}: must have one token, for {sorted(audiences)}, that lives for one hour or less"
        if (deployment["metadata"]["namespace"], pod["serviceAccountName"]) not in mapped:
            yield f"{label(deployment)}: its ServiceAccount must be in the policy of examples/acme/base"
        if "secret" in yaml.safe_dump(pod["volumes"]) or "secretKeyRef" in yaml.safe_dump(pod["containers"]):
            yield f"{label(deployment)}: must not use a Secret"
    for namespace in of_kind(documents, "Namespace"):
        access = namespace["metadata"]["labels"].get("numberdesk/access")
        yield from differs(namespace, "numberdesk/access", access, "prod")


def projected_tokens(pod):
    """Yields the mount path and the source of each projected token."""
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            for mount in pod["containers"][0]["volumeMounts"]:
                if "serviceAccountToken" in source and mount["name"] == volume["name"]:
                    yield mount["mountPath"], source["serviceAccountToken"]


def expands_every_variable(documents):
    """Kubernetes expands `$(NAME)` only if the variable NAME comes earlier in the list."""
    for workload, _, container in containers(documents):
        known = set()
        for one in container.get("env", []):
            for used in set(re.findall(r"\$\((\w+)\)", one.get("value", ""))) - known:
                yield f"{label(workload)}: {one['name']} uses {used}, which must come before it"
            known.add(one["name"])


def replaces_every_placeholder(documents):
    """Names that differ between environments are written as REPLACED where a replacement sets them."""
    for document in documents:
        if "REPLACED" in yaml.safe_dump(document):
            yield f"{label(document)}: a placeholder REPLACED was not replaced"


def gives_the_toolbox_what_the_service_has(documents):
    """Jobs of the same image must see the same settings, secrets and files, and get no requests."""
    for job in of_kind(documents, "CronJob"):
        if name(job) not in ("numberdesk-toolbox", "numberdesk-audit-head"):
            continue
        for deployment, pod in servers(documents):
            tools = template(job)["spec"]
            yield from differs(job, "volumes", tools.get("volumes"), pod["volumes"])
            for key in ("image", "env", "volumeMounts"):
                yield from differs(job, key, tools["containers"][0].get(key), pod["containers"][0].get(key))
        for service in of_kind(documents, "Service"):
            if selects(service["spec"]["selector"], job):
                yield f"{label(service)}: sends requests to {label(job)}"


def disables_service_links(documents):
    """A Service named numberdesk would set NUMBERDESK_PORT, which the service reads as configuration."""
    for deployment, pod in pods(documents):
        yield from differs(deployment, "enableServiceLinks", pod.get("enableServiceLinks"), False)


def sets_requests_and_limits(documents):
    for deployment, _, container in containers(documents):
        for bound in ("requests", "limits"):
            for resource in ("cpu", "memory"):
                if resource not in container.get("resources", {}).get(bound, {}):
                    yield f"{label(deployment)}: resources.{bound}.{resource} is missing"


def probes_the_paths_of_the_service(documents):
    probes = {"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for deployment, pod in servers(documents):
        for container in pod["containers"]:
            for probe, path in probes.items():
                got = container.get(probe, {}).get("httpGet", {})
                yield from differs(deployment, probe, (got.get("path"), got.get("port")), (path, "ops"))


def leaves_time_for_paid_calls_at_shutdown(documents):
    """The service drains, and then waits for requests (grace) and for paid calls (their timeout and five seconds)."""
    for settings, deployment, pod in configured(documents):
        server, close = settings["server"], settings["close"]
        grace = max(seconds(server.get("grace", f"{GRACE}s")), seconds(close.get("timeout", f"{GRACE}s")) + 5)
        needed = seconds(server.get("drain", "0s")) + grace
        if pod.get("terminationGracePeriodSeconds", 30) <= needed:
            yield f"{label(deployment)}: terminationGracePeriodSeconds must be above {needed} s, the service's own limit"


def runs_one_replica_on_a_volume(documents):
    for deployment, pod in servers(documents):
        if any("persistentVolumeClaim" in volume for volume in pod["volumes"]):
            spec = deployment["spec"]
            yield from differs(deployment, "replicas on a volume", spec.get("replicas"), 1)
            yield from differs(deployment, "strategy on a volume", spec.get("strategy"), {"type": "Recreate"})


def rolls_out_without_downtime(documents):
    """On PostgreSQL there are several replicas on different nodes, which are replaced one by one after a drain."""
    for settings, deployment, pod in configured(documents):
        if settings["store"].get("url", "").startswith("sqlite:"):
            continue
        spec = deployment["spec"]
        if "replicas" in spec:
            yield f"{label(deployment)}: replicas must not be set, because the autoscaler sets them"
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        yield from differs(deployment, "strategy", spec.get("strategy"), rolling)
        spread = {constraint["topologyKey"] for constraint in pod.get("topologySpreadConstraints", [])}
        yield from differs(deployment, "spread", spread, {"topology.kubernetes.io/zone", "kubernetes.io/hostname"})
        migrates = [container["args"][0] for container in pod.get("initContainers", [])]
        yield from differs(deployment, "init containers", migrates, ["migrate"])
        if seconds(settings["server"].get("drain", "0s")) < 5:
            yield f"{label(deployment)}: server.drain must be 5 s or more, so that load balancers notice the shutdown"
        all_budgets = of_kind(documents, "PodDisruptionBudget")
        budgets = [budget for budget in all_budgets if selects(budget["spec"]["selector"]["matchLabels"], deployment)]
        unavailable = [budget["spec"].get("maxUnavailable") for budget in budgets]
        yield from differs(deployment, "maxUnavailable of its PodDisruptionBudgets", unavailable, [1])
        scalers = [scaler["spec"] for scaler in of_kind(documents, "HorizontalPodAutoscaler")]
        minima = [scaler["minReplicas"] for scaler in scalers if scaler["scaleTargetRef"]["name"] == name(deployment)]
        yield from differs(deployment, "minReplicas of its HorizontalPodAutoscalers", minima, [3])


def exposes_only_the_path_of_close_to_the_internet(documents):
    """The public gateway routes only the path of Close's webhooks, and no other gateway routes it."""
    for route in of_kind(documents, "HTTPRoute"):
        public = any(parent["name"] == "public" for parent in route["spec"]["parentRefs"])
        for rule in route["spec"]["rules"]:
            for match in rule.get("matches", [{}]):
                path = match.get("path", {"type": "PathPrefix", "value": "/"})
                prefix = path["type"] != "Exact" and "/webhooks/close".startswith(path["value"])
                close = path["value"] == "/webhooks/close" or prefix
                if public != close or (public and path["type"] != "Exact"):
                    problem = "must not be public" if public else "must not include the path of Close"
                    yield f"{label(route)}: {path['type']} {path['value']} {problem}"
                orders = path["type"] == "PathPrefix" and path["value"] in ("/", "/v1")
                if orders and rule.get("retry", {}).get("attempts") != 0:
                    yield f"{label(route)}: the gateway must not retry requests to {path['value']}"
            for backend in rule["backendRefs"]:
                services = [service for service in of_kind(documents, "Service") if name(service) == backend["name"]]
                ports = {port["port"] for service in services for port in service["spec"]["ports"]}
                if backend["port"] not in ports:
                    yield f"{label(route)}: Service {backend['name']} has no port {backend['port']}"


def waits_for_orders_and_repeats_nothing(documents):
    """No proxy may repeat a request by itself, or end one earlier than an order that waits for its end (60 s)."""
    prefix = "nginx.ingress.kubernetes.io/"
    for ingress in of_kind(documents, "Ingress"):
        notes = ingress["metadata"].get("annotations", {})
        public = ingress["spec"]["ingressClassName"] == "public"
        yield from differs(ingress, "proxy-next-upstream", notes.get(prefix + "proxy-next-upstream"), "off")
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                if public != (path["path"] == "/webhooks/close") or (public and path["pathType"] != "Exact"):
                    yield f"{label(ingress)}: only the path of Close may be public, and nothing else: {path['path']}"
                needed = {"/webhooks/close": 10, "/v1/events/stream": 3600}.get(path["path"], 75)
                if int(notes.get(prefix + "proxy-read-timeout", 60)) < needed:
                    yield f"{label(ingress)}: proxy-read-timeout must be {needed} s or more for {path['path']}"
    for service in of_kind(documents, "VirtualService"):
        for route in service["spec"]["http"]:
            yield from differs(service, f"retries of {route['name']}", route.get("retries"), {"attempts": 0})
            if route.get("timeout") not in ("0s", "75s"):
                yield f"{label(service)}: the timeout of {route['name']} must be longer than 60 s"


def belongs_to_a_mesh_completely(documents):
    """In a mesh, every pod reaches what its proxy needs, and sidecars begin before init containers and end by themselves."""
    policies = {name(policy) for policy in of_kind(documents, "NetworkPolicy")}
    for namespace in of_kind(documents, "Namespace"):
        labels = namespace["metadata"]["labels"]
        if labels.get("istio-injection") == "enabled":
            if "numberdesk-to-istiod" not in policies:
                yield f"{label(namespace)}: no NetworkPolicy allows connections to istiod"
            for workload, _ in pods(documents):
                notes = template(workload)["metadata"].get("annotations", {})
                yield from differs(workload, "nativeSidecar", notes.get("sidecar.istio.io/nativeSidecar"), "true")
        if labels.get("istio.io/dataplane-mode") == "ambient" and "numberdesk-hbone" not in policies:
            yield f"{label(namespace)}: no NetworkPolicy allows HBONE"


def pays_for_nothing_beside_the_sandbox(documents):
    """A desk beside the simulated Close must call that, by https, and trust the authority of its certificate."""
    if not any(name(one) == "close-sandbox" for one in of_kind(documents, "Deployment")):
        return
    for deployment, pod in servers(documents):
        env = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        want = {
            "NUMBERDESK_CLOSE__BASE_URL": "https://close-sandbox:8443/api/v1",
            "NUMBERDESK_CLOSE__SANDBOX_HOST": "close-sandbox",
        }
        yield from differs(deployment, "Close", {key: env.get(key) for key in want}, want)
        hosts = [host for one in of_kind(documents, "Certificate") for host in one["spec"]["dnsNames"]]
        if "close-sandbox" not in hosts or "NUMBERDESK_CLOSE__CA_FILE" not in env:
            yield f"{label(deployment)}: the simulated Close needs a certificate that the service trusts"


def scrapes_metrics_from_the_ops_service(documents):
    for monitor in of_kind(documents, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        all_services = of_kind(documents, "Service")
        services = [service for service in all_services if wanted <= service["metadata"]["labels"].items()]
        yield from differs(monitor, "services", [name(service) for service in services], ["numberdesk-ops"])
        ports = {port["name"] for service in services for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] not in ports:
                yield f"{label(monitor)}: no Service has a port {endpoint['port']}"


def backs_up_the_database(documents):
    """A backup must be of a database that is rendered with it, and a volume of copies must not be the database's own."""
    clusters = {name(cluster) for cluster in of_kind(documents, "Cluster")}
    for backup in of_kind(documents, "ScheduledBackup"):
        if backup["spec"]["cluster"]["name"] not in clusters:
            yield f"{label(backup)}: there is no Cluster {backup['spec']['cluster']['name']}"
    # The operator creates the Secrets of a cluster, whose names begin with its name. Only one cluster is in use.
    used = set(re.findall(r"\bnumberdesk-db(?:-\d+)?(?=-(?:app|ca)\b)", yaml.safe_dump([pod for _, pod in pods(documents)])))
    if len(used) > 1 or (clusters and not used <= clusters):
        yield f"the pods use the Secrets of {sorted(used)}, and the clusters are {sorted(clusters)}"
    # A second cluster would be created again by each apply, also after it was deleted, and archive into the same store.
    for unused in sorted(clusters - used):
        yield f"Cluster {unused}: no pod uses it"
    for kind in ("ObjectStore", "PodMonitor", "ScheduledBackup"):
        if of_kind(documents, kind) and not clusters:
            yield f"there is a {kind}, and no Cluster: remove the component backup-cnpg"
    for monitor in of_kind(documents, "PodMonitor"):
        (expression,) = monitor["spec"]["selector"]["matchExpressions"]
        yield from differs(monitor, "clusters", set(expression["values"]), clusters)
    stores = {name(store) for store in of_kind(documents, "ObjectStore")}
    for cluster in of_kind(documents, "Cluster"):
        for plugin in cluster["spec"].get("plugins", []):
            if plugin["parameters"]["barmanObjectName"] not in stores:
                yield f"{label(cluster)}: there is no ObjectStore {plugin['parameters']['barmanObjectName']}"


def follows_the_environments(documents):
    """Argo CD and Flux must follow the folder of each environment of examples/acme, into its namespace."""
    wanted = {folder.parent: environment(folder.parent) for folder in ROOT.glob("k8s/examples/acme/*/environment.yaml")}
    applications = of_kind(documents, "Application")
    followed = [one["spec"]["source"]["path"] for one in applications]
    followed += [one["spec"]["path"] for one in of_kind(documents, "Kustomization")]
    for path in {ROOT / path for path in followed} ^ set(wanted):
        yield f"{path}: must be a folder with environment.yaml, and be followed"
    for one in applications:
        namespace = wanted.get(ROOT / one["spec"]["source"]["path"], {}).get("namespace")
        yield from differs(one, "namespace", one["spec"]["destination"]["namespace"], namespace)


def keeps_the_data_in_gitops(documents):
    """With the component gitops, no sync may delete the database, and what the desk needs comes before it."""
    wave, options = "argocd.argoproj.io/sync-wave", "argocd.argoproj.io/sync-options"

    def annotations(document):
        return document["metadata"].get("annotations", {})

    if not any(wave in annotations(document) for document in documents):
        return
    # A claim that waits for its first consumer is never bound in a wave before that of its pod.
    waves = {"Namespace": "-4", "ExternalSecret": "-3", "Cluster": "-2"}
    waves |= {"Deployment": None, "CronJob": None, "PersistentVolumeClaim": None}
    for document in documents:
        if document["kind"] in waves:
            yield from differs(document, wave, annotations(document).get(wave), waves[document["kind"]])
        if document["kind"] in ("Namespace", "Cluster", "ObjectStore", "PersistentVolumeClaim"):
            yield from differs(document, options, annotations(document).get(options), "Prune=false,Delete=false")
            flux = "kustomize.toolkit.fluxcd.io/prune"
            yield from differs(document, flux, annotations(document).get(flux), "disabled")


def labels_monitors_alike(documents):
    """A Prometheus that selects by the label `release` must find the alerts wherever it finds the scrape targets."""
    kinds = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
    releases = {
        document["metadata"]["labels"].get("release") for kind in kinds for document in of_kind(documents, kind)
    }
    if len(releases) > 1:
        yield f"{' and '.join(kinds)} must have the same label `release`"


def reaches_its_proxy(documents):
    """A NetworkPolicy must allow connections to the port of the proxy that the settings name."""
    for settings, deployment, _ in configured(documents):
        url = settings.get("proxy", {}).get("url")
        policies = [policy["spec"].get("egress", []) for policy in of_kind(documents, "NetworkPolicy")]
        ports = {port["port"] for egress in policies for rule in egress for port in rule["ports"]}
        if url and urlsplit(url).port not in ports:
            yield f"{label(deployment)}: no NetworkPolicy allows connections to {url}"


def serves_both_address_families(documents):
    for service in of_kind(documents, "Service"):
        policy = service["spec"].get("ipFamilyPolicy")
        yield from differs(service, "ipFamilyPolicy", policy, "PreferDualStack")


def mounts_only_what_exists(documents):
    """Secrets are not rendered, because they are created in the cluster."""
    known = {(document["kind"], name(document)) for document in documents}
    known.add(("ConfigMap", "kube-root-ca.crt"))  # Kubernetes creates it in every namespace
    known.add(("ConfigMap", "internal-authority"))  # so does trust-manager in examples/acme
    for deployment, pod in pods(documents):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for volume in volumes.values():
            if len(volume) != 2:  # its name and one source; two can be left by a patch
                yield f"{label(deployment)}: volume {volume['name']} must have one source, has {sorted(set(volume) - {'name'})}"
            sources = [volume, *volume.get("projected", {}).get("sources", [])]
            wanted = [("ConfigMap", source["configMap"]["name"]) for source in sources if "configMap" in source]
            if "persistentVolumeClaim" in volume:
                wanted.append(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
            for kind, wanted_name in wanted:
                if (kind, wanted_name) not in known:
                    yield f"{label(deployment)}: volume {volume['name']} needs the missing {kind} {wanted_name}"
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{label(deployment)}: mounts {mount['name']}, which is not a volume of the pod"
                if "subPath" in mount:
                    yield f"{label(deployment)}: {mount['name']} must not use subPath, because pods would not see changes"


def commits_no_secret(documents):
    for secret in of_kind(documents, "Secret"):
        yield f"{label(secret)}: secrets must be created in the cluster, not committed"


def every_service_selects_the_pods(documents):
    """Each Service has the ports of the pods that it selects, which are those of one Deployment."""
    for service in of_kind(documents, "Service"):
        deployments = of_kind(documents, "Deployment")
        chosen = [one for one in deployments if selects(service["spec"]["selector"], one)]
        if len(chosen) != 1:
            yield f"{label(service)}: its selector matches the pods of {[name(one) for one in chosen]}, must match one"
        all_containers = [container for _, _, container in containers(chosen)]
        ports = {port["name"] for container in all_containers for port in container.get("ports", [])}
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"{label(service)}: no container has a port {port['targetPort']}"


def separates_the_ops_port_from_the_api(documents):
    for service in of_kind(documents, "Service"):
        if name(service) == "close-sandbox":
            continue
        want = "ops" if name(service).endswith("-ops") else "api"
        yield from differs(service, "targetPorts", [port["targetPort"] for port in service["spec"]["ports"]], [want])


def restricts_network_traffic(documents):
    private = ["10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "127.0.0.1", "::1", "fd00::1", "fe80::1"]
    private += [f"64:ff9b::{address}" for address in private if "." in address]  # as NAT64 translates them
    for deployment, _ in pods(documents):
        policies = of_kind(documents, "NetworkPolicy")
        chosen = [policy for policy in policies if chooses(policy["spec"]["podSelector"], deployment)]
        restricted = sorted({kind for policy in chosen for kind in policy["spec"]["policyTypes"]})
        yield from differs(deployment, "policyTypes of its NetworkPolicies", restricted, ["Egress", "Ingress"])
        for policy in chosen:
            for rule in policy["spec"].get("ingress", []):
                if not rule.get("from") or not rule.get("ports"):
                    yield f"{label(policy)}: an ingress rule must name sources and ports"
            for rule in policy["spec"].get("egress", []):
                if not rule.get("to") or not rule.get("ports"):
                    yield f"{label(policy)}: an egress rule must name destinations and ports"
                for peer in rule.get("to", []):
                    for address in private:
                        if "ipBlock" in peer and reaches(peer["ipBlock"], address):
                            yield f"{label(policy)}: {peer['ipBlock']['cidr']} must not include {address}"


def takes_every_pod_along(documents):
    """A policy with another way to DNS or to public addresses must have all pods that have the usual way."""
    ways = {"numberdesk-to-nodelocal-dns": "kube-dns", "numberdesk-to-proxy": "0.0.0.0/0"}
    policies = {name(policy): policy for policy in of_kind(documents, "NetworkPolicy")}
    for other, usual in ways.items():
        for workload, _ in pods(documents):
            ours = [policy for policy in policies.values() if chooses(policy["spec"]["podSelector"], workload)]
            has_the_usual = any(usual in yaml.safe_dump(policy["spec"].get("egress", [])) for policy in ours)
            simulated = name(workload) == "close-sandbox"  # it asks and calls nobody outside
            if other in policies and has_the_usual and policies[other] not in ours and not simulated:
                yield f"NetworkPolicy {other}: must choose the pods of {label(workload)}"


def enforces_the_restricted_pod_security_standard(documents):
    for namespace in of_kind(documents, "Namespace"):
        labels = namespace["metadata"]["labels"]
        yield from differs(namespace, "enforce", labels.get("pod-security.kubernetes.io/enforce"), "restricted")
    namespaces = {name(namespace) for namespace in of_kind(documents, "Namespace")}
    for document in documents:
        if document["kind"] != "Namespace" and document["metadata"].get("namespace") not in namespaces:
            yield f"{label(document)}: must be in the namespace that is rendered with it"


def agrees_with_its_configuration(documents):
    """The ports and files that numberdesk.toml names must exist in the pod."""
    settings = next(settings for settings, _, _ in configured(documents))
    for deployment, pod in pods(documents):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            if not any("numberdesk.toml" in argument for argument in container.get("args", [])):
                continue
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            named = [(one["name"], one["value"]) for one in container.get("env", []) if one["name"].endswith("_FILE")]
            only_store = container["args"][0] == "migrate"  # it reads no other section
            for key, file in [*files(settings), *named]:
                if only_store and not key.startswith("store."):
                    if str(Path(file).parent) in mounts and Path(file).parent != Path("/etc/numberdesk"):
                        yield f"{label(deployment)}: {container['name']} must not have {key}, which it does not need"
                elif str(Path(file).parent) not in mounts:
                    yield f"{label(deployment)}: {key} needs a mount at {Path(file).parent} in {container['name']}"
            for port in container.get("ports", []):
                key = {"api": "listen", "ops": "ops_listen"}[port["name"]]
                want = f"[::]:{port['containerPort']}"  # IPv6 and IPv4
                yield from differs(deployment, f"server.{key}", settings["server"][key], want)


def declares_tls_where_it_is_on(documents):
    """If TLS is on, Service, public URL and gateways must declare it, and the pod must mount the certificate."""
    for settings, deployment, pod in configured(documents):
        env = {one["name"]: one.get("value") for container in pod["containers"] for one in container.get("env", [])}
        encrypted = "tls" in settings["server"] or "NUMBERDESK_SERVER__TLS__CERTIFICATE_FILE" in env
        for service in of_kind(documents, "Service"):
            if name(service) == "numberdesk":
                want = "https" if encrypted else "http"
                yield from differs(service, "appProtocol", service["spec"]["ports"][0]["appProtocol"], want)
        for job, _, container in containers(of_kind(documents, "CronJob")):
            urls = [word.removeprefix("--api=") for word in container.get("args", []) if word.startswith("--api=")]
            authority = any(word.startswith("--ca-file=") for word in container.get("args", []))
            if urls and (urlsplit(urls[0]).scheme == "https", authority) != (encrypted, encrypted):
                way = "by https, with --ca-file" if encrypted else "by http"
                yield f"{label(job)}: must call the service {way}; the component tls comes after audit-export"
        if not encrypted:
            continue
        public_url = env.get("NUMBERDESK_SERVER__PUBLIC_URL") or settings["server"]["public_url"]
        if not public_url.startswith("https:"):
            yield f"{label(deployment)}: server.public_url must be an https URL, because TLS is on"
        volumes = [volume for _, pod in pods(documents) for volume in pod["volumes"]]
        secrets = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
        for certificate in of_kind(documents, "Certificate"):
            if certificate["spec"]["secretName"] not in secrets:
                yield f"{label(certificate)}: no pod mounts the Secret {certificate['spec']['secretName']}"
        if of_kind(documents, "HTTPRoute"):
            certificates = of_kind(documents, "Certificate")
            names = {host for certificate in certificates for host in certificate["spec"]["dnsNames"]}
            checked = [one["spec"]["validation"]["hostname"] for one in of_kind(documents, "BackendTLSPolicy")]
            if not checked or not set(checked) <= names:
                yield f"{label(deployment)}: a BackendTLSPolicy must name a host of the certificate, because TLS is on"


def names_no_other_environment(rendered):
    """Nothing in the manifests of one environment may name another one: its namespace, hosts or key in the vault.

    Environments are folders side by side, each with a file environment.yaml."""
    for folder, documents in rendered.items():
        if not (folder / "environment.yaml").exists():
            continue
        own = environment(folder)
        path = folder.relative_to(ROOT)
        for namespace in of_kind(documents, "Namespace"):
            yield from differs(namespace, f"the namespace of {path}", name(namespace), own["namespace"])
        for other in sorted(folder.parent.glob("*/environment.yaml")):
            if other.parent != folder:
                yield from (f"{path}: {fault}" for fault in names(documents, own, environment(other.parent)))


def names(documents, own, other):
    """Yields the documents that contain a value of another environment."""
    for key, value in other.items():
        if value == own[key]:
            yield f"environment.yaml: {key} is {value} in {other['name']} too"
        exact = re.escape(value)
        pattern = {
            # The namespace may have the name of the service, so only where a namespace stands.
            "namespace": rf"(?:namespace: |metadata\.name: |serviceaccount:|[\w-]\.){exact}(?![\w-])",
            # A word such as `prod` says nothing alone, but a label of namespaces does.
            "name": rf"^\s*- {exact}$",
        }.get(key, rf"(?<![\w.-]){exact}(?![\w-])")
        for document in documents:
            text = yaml.safe_dump(document)
            if re.search(pattern, text, re.MULTILINE):
                yield f"{label(document)}: names {value}, the {key} of {other['name']}"


def environment(folder):
    return yaml.safe_load((folder / "environment.yaml").read_text())["data"]


def finds_a_renamed_environment(rendered):
    """Tries the check itself: only another `namespace` over prod still has the hosts and the key of prod."""
    prod, dev = (ROOT / "k8s/examples/acme" / one for one in ("prod", "dev"))
    with tempfile.TemporaryDirectory(dir=ROOT / "k8s/examples") as folder:
        lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", "namespace: numberdesk-dev"]
        Path(folder, "kustomization.yaml").write_text("\n".join([*lines, "resources: [../acme/prod]", ""]))
        documents = render(Path(folder))
    found = " ".join(names(documents, environment(dev), environment(prod)))
    for key in ("namespace", "public-host", "internal-host", "vault-key", "name"):
        if f"the {key} of prod" not in found:
            yield f"tests/python/manifests_are_valid.py: the check for other environments does not find {key}: {found}"


def files(settings):
    """Yields the key and the path of every file that the settings name by an absolute path."""
    for key, value in settings.items():
        inside = value if isinstance(value, list) else [value]
        for one in inside:
            if isinstance(one, dict):
                yield from ((f"{key}.{inner}", file) for inner, file in files(one))
        if isinstance(value, str) and value.startswith("sqlite:///"):
            yield key, value.removeprefix("sqlite://")
        elif key.endswith("_file") and value.startswith("/"):
            yield key, value


def configured(documents):
    """Yields each Deployment with its settings and its pod."""
    for config in of_kind(documents, "ConfigMap"):
        if "numberdesk.toml" in config["data"]:
            for deployment, pod in servers(documents):
                yield tomllib.loads(config["data"]["numberdesk.toml"]), deployment, pod


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


# The checks of everything that is applied to a cluster.
CHECKS = [
    matches_the_schemas,
    pins_the_version_of_every_image,
    runs_as_an_unprivileged_user,
    restricts_every_container,
    mounts_no_default_service_account_token,
    expands_every_variable,
    replaces_every_placeholder,
    disables_service_links,
    sets_requests_and_limits,
    mounts_only_what_exists,
    commits_no_secret,
    restricts_network_traffic,
    takes_every_pod_along,
    enforces_the_restricted_pod_security_standard,
]
CHECKS_OF_THE_SERVICE = [
    mounts_tokens_only_for_issuers,
    probes_the_paths_of_the_service,
    leaves_time_for_paid_calls_at_shutdown,
    gives_the_toolbox_what_the_service_has,
    runs_one_replica_on_a_volume,
    rolls_out_without_downtime,
    exposes_only_the_path_of_close_to_the_internet,
    waits_for_orders_and_repeats_nothing,
    belongs_to_a_mesh_completely,
    pays_for_nothing_beside_the_sandbox,
    scrapes_metrics_from_the_ops_service,
    backs_up_the_database,
    keeps_the_data_in_gitops,
    labels_monitors_alike,
    reaches_its_proxy,
    serves_both_address_families,
    every_service_selects_the_pods,
    separates_the_ops_port_from_the_api,
    agrees_with_its_configuration,
    declares_tls_where_it_is_on,
]
CHECKS_OF_GITOPS = [matches_the_schemas, follows_the_environments]
CHECKS_OF_APPS = [has_a_token_that_the_service_accepts]


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def servers(documents):
    """Yields each Deployment and its pod, without the simulated Close."""
    for deployment in of_kind(documents, "Deployment"):
        if name(deployment) != "close-sandbox":
            yield deployment, template(deployment)["spec"]


def pods(documents):
    """Yields each Deployment and CronJob, and its pod."""
    for kind in ("Deployment", "CronJob"):
        for workload in of_kind(documents, kind):
            yield workload, template(workload)["spec"]


def template(workload):
    """Returns the template of the pods of a Deployment or a CronJob."""
    spec = workload["spec"]
    return spec["jobTemplate"]["spec"]["template"] if workload["kind"] == "CronJob" else spec["template"]


def containers(documents):
    for deployment, pod in pods(documents):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield deployment, pod, container


def selects(selector, deployment):
    labels = template(deployment)["metadata"]["labels"]
    return bool(selector) and selector.items() <= labels.items()


def chooses(selector, workload):
    """Whether the selector of a NetworkPolicy has the pods of a workload; expressions are `In` only."""
    labels = template(workload)["metadata"]["labels"]
    expressions = selector.get("matchExpressions", [])
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        one["operator"] == "In" and labels.get(one["key"]) in one["values"] for one in expressions
    )


def reaches(block, address):
    address = ipaddress.ip_address(address)
    return address in ipaddress.ip_network(block["cidr"]) and not any(
        address in ipaddress.ip_network(hole) for hole in block.get("except", [])
    )


def differs(document, what, got, want):
    if got != want:
        yield f"{label(document)}: {what} is {got!r}, must be {want!r}"


def name(document):
    return document["metadata"]["name"]


def label(document):
    return f"{document['kind']} {name(document)}"


if __name__ == "__main__":
    sys.exit(main())
