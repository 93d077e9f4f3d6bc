"""Tests the alerts with promtool: each one fires for its own fault, no other one does, and none fires without a fault.

It also checks that each alert has a runbook, and that alerts and dashboard use only metrics that exist. `make k8s` runs
this script."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
# The last file computes over days, so only the cases that concern it load it.
RULES = [ROOT / f"k8s/components/monitoring/{name}.yaml" for name in ("alerts", "limits", "backups", "objectives")]
INHIBITIONS = ROOT / "k8s/components/monitoring/inhibitions.yaml"
DASHBOARD = ROOT / "k8s/components/monitoring/dashboard.json"
PROMTOOL = shutil.which("promtool") or str(ROOT / ".tools/promtool")
# Metrics of others: Prometheus itself, kube-state-metrics, the kubelet, and CloudNativePG with its plugin.
FOREIGN = {
    "up",
    "kube_horizontalpodautoscaler_status_current_replicas",
    "kube_cronjob_created",
    "kube_cronjob_status_last_successful_time",
    "kube_job_status_failed",
    "cnpg_collector_pg_wal_archive_status",
    "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp",
    "kube_horizontalpodautoscaler_spec_max_replicas",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
    "kube_deployment_status_replicas_unavailable",
    "kube_pod_container_resource_limits",
    "container_memory_working_set_bytes",
}
INTERNAL_HOST = "numberdesk.internal.example.com"  # examples/acme/environment replaces it
HOURS = 6  # longer than the time range and the waiting period of every alert
AT = f"{HOURS}h"
EVALUATION = "5m"  # the faults last for hours, so rules need not be evaluated each minute
JOB = 'job="numberdesk-ops", instance="a"'
# Cluster and namespace of the environments. All have the same series; faults are in one only.
FAULTY = ("west", "numberdesk-prod")
HEALTHY_ONES = [("west", "numberdesk-dev"), ("east", "numberdesk-prod")]  # one of them is beside it, in turn

READ = 'method="GET", route="/v1/phone-numbers/{id}"'

# The series without any fault, with one value for each minute.
HEALTHY = {
    f"up{{{JOB}}}": "1",
    'kube_deployment_status_replicas_unavailable{deployment="numberdesk"}': "0",
    "numberdesk_store_up{%s}": "1",
    'numberdesk_http_requests_total{%s, route="/v1/me", status="200"}': "0+6000x",
    'numberdesk_http_requests_total{%s, route="/v1/me", status="503"}': "0+1x",
    f"numberdesk_http_request_duration_seconds_count{{%s, {READ}}}": "0+600x",
    f'numberdesk_http_request_duration_seconds_bucket{{%s, {READ}, le="0.05"}}': "0+599x",
    'numberdesk_order_settling_seconds_count{%s, state="fulfilled"}': "0+60x",
    'numberdesk_order_settling_seconds_bucket{%s, state="fulfilled", le="60"}': "0+60x",
    "numberdesk_requests_shed_total{%s}": "0",
    'numberdesk_worker_failures_total{%s, worker="sync"}': "0",
    'numberdesk_worker_failures_total{%s, worker="seal"}': "0",
    'numberdesk_worker_failures_total{%s, worker="api-key"}': "0",
    "numberdesk_policy_good{%s}": "1",
    'numberdesk_close_requests_total{%s, endpoint="rent", outcome="done"}': "0+60x",
    'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unclear"}': "0+1x",
    'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unauthorized"}': "0",
    'numberdesk_close_requests_total{%s, endpoint="me", outcome="unauthorized"}': "0",
    "numberdesk_close_breaker_open{%s}": "0",
    "numberdesk_close_up{%s}": "1",
    "numberdesk_close_key_good{%s}": "1",
    "numberdesk_close_forbidden_total{%s}": "0",
    'numberdesk_close_rate_limit_remaining{%s, endpoint="rent"}': "40",
    'numberdesk_close_drift_total{%s, kind="unknown_field", operation="list"}': "0+60x",  # known for hours
    'numberdesk_close_odd_records{%s, kind="phone_number"}': "0",
    "numberdesk_tls_certificate_good{%s}": "1",
    "numberdesk_tls_certificate_expiry_timestamp_seconds{%s}": "2592000",  # in 30 days: promtool's time begins at 0
    "numberdesk_inventory_age_seconds{%s}": "600",
    'numberdesk_orders_oldest_age_seconds{%s, state="unverified"}': "60",
    'numberdesk_orders_oldest_age_seconds{%s, state="queued"}': "5",
    'numberdesk_orders_oldest_age_seconds{%s, state="awaiting_approval"}': "90000",
    'numberdesk_orders_open{%s, state="needs_review", country="DE"}': "0",
    "numberdesk_audit_unsealed_age_seconds{%s}": "1",
    "numberdesk_orders_altered_total{%s}": "0",
    'numberdesk_orders_held{%s, cause="unknown-calls"}': "0",
    'numberdesk_orders_held{%s, cause="operator"}': "0",
    "numberdesk_late_arrivals_total{%s}": "0",
    "numberdesk_orphans{%s}": "3",
    'numberdesk_webhooks_received_total{%s, outcome="wrong_signature"}': "0",
    'numberdesk_webhooks_received_total{%s, outcome="new"}': "0+60x",
    "numberdesk_webhook_subscription_active{%s}": "1",
    "numberdesk_close_subscriptions{%s}": "4",
    "numberdesk_webhook_lag_seconds_sum{%s}": "0+300x",
    "numberdesk_webhook_lag_seconds_count{%s}": "0+60x",
    "numberdesk_readback_age_seconds{%s}": "1",
    "numberdesk_webhook_oldest_pending_age_seconds{%s}": "10",
    'numberdesk_webhook_deliveries_total{%s, outcome="dead"}': "0",
    'numberdesk_build_info{%s, version="1.0.0"}': "1",
    'numberdesk_build_info{%s, pod="b", version="1.1.0"}': "_",
    'numberdesk_policy_info{%s, fingerprint="47dc15634c9a"}': "1",
    'numberdesk_policy_info{%s, pod="b", fingerprint="0a1b2c3d4e5f"}': "0",  # its policy before
    'kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler="numberdesk"}': "6",
    'kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="numberdesk"}': "6",
    'kubelet_volume_stats_available_bytes{persistentvolumeclaim="numberdesk-data"}': "1000000000",
    'kubelet_volume_stats_capacity_bytes{persistentvolumeclaim="numberdesk-data"}': "2000000000",
    # promtool's time begins at 0 and ends at 21,600 s.
    'kube_cronjob_created{cronjob="numberdesk-backup"}': "0",
    'kube_cronjob_status_last_successful_time{cronjob="numberdesk-backup"}': "0+60x",
    "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp": "0+60x",
    'cnpg_collector_pg_wal_archive_status{value="ready"}': "1",
    'kube_cronjob_status_last_successful_time{cronjob="numberdesk-audit-head"}': "0+60x",
    'kube_job_status_failed{job_name="numberdesk-audit-head-1"}': "0",
    'kube_cronjob_status_last_successful_time{cronjob="numberdesk-audit-export"}': "0+60x",
    'numberdesk_team_monthly_spend_dollars{%s, team="sales"}': "50",
    'numberdesk_team_monthly_budget_dollars{%s, team="sales"}': "120",
    'numberdesk_jwks_age_seconds{%s, issuer="https://idp.example.com/"}': "300",
    'numberdesk_jwks_good{%s, issuer="https://idp.example.com/"}': "1",
    'container_memory_working_set_bytes{container="numberdesk", pod="p"}': "100000000",
    'kube_pod_container_resource_limits{container="numberdesk", pod="p", resource="memory"}': "268435456",
    "process_open_fds{%s}": "60",
    "process_max_fds{%s}": "1024",
}

# The fault of each alert: the values of the first series that begins with this text, or None if the series is missing.
FAULTS = {
    "Down": {"up": None},
    "ReplicaNotReady": {"kube_deployment_status_replicas_unavailable": "1"},
    "DatabaseDown": {"numberdesk_store_up": "0"},
    "Errors": {'numberdesk_http_requests_total{%s, route="/v1/me", status="503"}': "0+300x"},
    "Shedding": {"numberdesk_requests_shed_total": "0+60x"},
    "WorkerFailures": {"numberdesk_worker_failures_total": "0+1x"},
    "PolicyBroken": {"numberdesk_policy_good": "0"},
    "CloseUnreachable": {'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unclear"}': "0+90x"},
    "CloseKeyRefused": {'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unauthorized"}': "0+1x"},
    "CloseKeyFileBroken": {"numberdesk_close_key_good": "0"},
    "CloseForbidsRenting": {"numberdesk_close_forbidden_total": "0+1x"},
    "CloseApiChanged": {"numberdesk_close_drift_total": "_x355 1x10"},
    "CloseOddRecord": {"numberdesk_close_odd_records": "1"},
    "TlsCertificateBroken": {"numberdesk_tls_certificate_good": "0"},
    "TlsCertificateExpires": {"numberdesk_tls_certificate_expiry_timestamp_seconds": "600000"},
    "InventoryOld": {"numberdesk_inventory_age_seconds": "7200"},
    "OrdersUnverified": {'numberdesk_orders_oldest_age_seconds{%s, state="unverified"}': "1900"},
    "OrdersNeedReview": {"numberdesk_orders_open": "1"},
    "QueueNotMoving": {'numberdesk_orders_oldest_age_seconds{%s, state="queued"}': "1000"},
    "AuditUnsealed": {"numberdesk_audit_unsealed_age_seconds": "400"},
    "OrderAltered": {"numberdesk_orders_altered_total": "0+1x"},
    "HeldAfterRestore": {'numberdesk_orders_held{%s, cause="unknown-calls"}': "1"},
    "HeldByOperator": {'numberdesk_orders_held{%s, cause="operator"}': "1"},
    "LateArrival": {"numberdesk_late_arrivals_total": "0+1x"},
    "NewOrphans": {"numberdesk_orphans": "3+1x"},
    "WebhooksRefused": {"numberdesk_webhooks_received_total": "0+2x"},
    "WebhookSubscriptionInactive": {"numberdesk_webhook_subscription_active": "0"},
    "CloseSubscriptionsNearLimit": {"numberdesk_close_subscriptions": "36"},
    "WebhookLag": {"numberdesk_webhook_lag_seconds_sum": "0+9000x"},
    "ReadBacksOld": {"numberdesk_readback_age_seconds": "400"},
    "OutgoingWebhooksBacklog": {"numberdesk_webhook_oldest_pending_age_seconds": "4000"},
    "BudgetNearlyUsed": {"numberdesk_team_monthly_spend_dollars": "110"},
    "IssuerKeysOld": {"numberdesk_jwks_age_seconds": "20000"},
    "IssuerKeysBroken": {"numberdesk_jwks_good": "0"},
    "MemoryNearLimit": {"container_memory_working_set_bytes": "260000000"},
    "FileDescriptors": {"process_open_fds": "900"},
    "CloseRateLimitUsedUp": {"numberdesk_close_rate_limit_remaining": "1"},
    "WebhooksDead": {"numberdesk_webhook_deliveries_total": "0+1x"},
    "ApprovalsExpire": {'numberdesk_orders_oldest_age_seconds{%s, state="awaiting_approval"}': "220000"},
    "PoliciesDiffer": {'numberdesk_policy_info{%s, pod="b"': "1"},
    "VersionsDiffer": {'numberdesk_build_info{%s, pod="b"': "1"},
    "AutoscalerAtLimit": {"numberdesk_requests_shed_total": "0+5x"},
    "VolumeNearlyFull": {"kubelet_volume_stats_available_bytes": "200000000"},
    "BackupOld": {'kube_cronjob_status_last_successful_time{cronjob="numberdesk-backup"}': "3600"},
    "WalNotArchived": {"cnpg_collector_pg_wal_archive_status": "6"},
    "AuditHeadOld": {'kube_cronjob_status_last_successful_time{cronjob="numberdesk-audit-head"}': "-80000"},
    "AuditHeadFailed": {"kube_job_status_failed": "1"},
    "AuditExportOld": {'kube_cronjob_status_last_successful_time{cronjob="numberdesk-audit-export"}': "3600"},
    "ObjectiveBurnsFast": {"numberdesk_http_request_duration_seconds_bucket": "0+500x"},
    "ObjectiveBurnsSlowly": {"numberdesk_http_request_duration_seconds_bucket": "0+590x"},
}

# Faults that also miss an objective, and what burns its budget.
BURNS = ["ObjectiveBurnsFast", "ObjectiveBurnsSlowly"]
CONSEQUENCES = {
    "Errors": BURNS,
    "InventoryOld": BURNS,
    "OrdersUnverified": BURNS,
    "QueueNotMoving": BURNS,
    "Shedding": ["AutoscalerAtLimit"],
    "ObjectiveBurnsFast": ["ObjectiveBurnsSlowly"],
}

# A new process that counts an event before its first scrape. The alert must fire although the counter has only one value.
FIRST_EVENT = "_x355 1x10"
FIRST_EVENTS = {
    "CloseKeyRefused": {'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unauthorized"}': FIRST_EVENT},
    "CloseForbidsRenting": {"numberdesk_close_forbidden_total": FIRST_EVENT},
    "OrderAltered": {"numberdesk_orders_altered_total": FIRST_EVENT},
    "LateArrival": {"numberdesk_late_arrivals_total": FIRST_EVENT},
    "WebhooksDead": {"numberdesk_webhook_deliveries_total": FIRST_EVENT},
}

# Situations in which more or fewer alerts must fire than one: the changed series, the alerts that fire, and those that
# are left when the inhibition rules are applied.
QUIET = {
    'numberdesk_http_requests_total{%s, route="/v1/me", status="200"}': "0",
    'numberdesk_http_requests_total{%s, route="/v1/me", status="503"}': "0",
    'numberdesk_close_requests_total{%s, endpoint="rent", outcome="done"}': "0",
    'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unclear"}': "0",
}
SITUATIONS = {
    "two errors in a quiet night": (
        QUIET | {'numberdesk_http_requests_total{%s, route="/v1/me", status="503"}': "0+0x353 1 2+0x10"},
        [],
        [],
    ),
    "two failed calls to Close in a quiet night": (
        QUIET | {'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unclear"}': "0+0x353 1 2+0x10"},
        [],
        [],
    ),
    "a wrong key in the file while the key in force works": (
        {
            'numberdesk_close_requests_total{%s, endpoint="me", outcome="unauthorized"}': "0+20x",
            "numberdesk_close_key_good": "0",
            'numberdesk_worker_failures_total{%s, worker="api-key"}': "0+20x",
        },
        ["CloseKeyFileBroken"],
        ["CloseKeyFileBroken"],
    ),
    "Close is down and the circuit breaker makes no calls": (
        QUIET | {"numberdesk_close_breaker_open": "1", "numberdesk_inventory_age_seconds": "7200"},
        ["CloseUnreachable", "InventoryOld", *BURNS],
        ["CloseUnreachable"],
    ),
    "Close is down and almost nothing calls it": (
        QUIET | {"numberdesk_close_up": "0"},
        ["CloseUnreachable"],
        ["CloseUnreachable"],
    ),
    # A scrape in OpenMetrics has the same bounds in another notation.
    "a tenth of the orders take longer than a minute": (
        {
            'numberdesk_order_settling_seconds_bucket{%s, state="fulfilled", le="60"}': "0+50x",
        },
        BURNS,
        ["ObjectiveBurnsFast"],
    ),
    "no backup has ever succeeded": (
        {'kube_cronjob_status_last_successful_time{cronjob="numberdesk-backup"}': None},
        ["BackupOld"],
        ["BackupOld"],
    ),
    "CloudNativePG makes no backups": (
        {"barman_cloud_cloudnative_pg_io_last_available_backup_timestamp": "-80000"},
        ["BackupOld"],
        ["BackupOld"],
    ),
    "the environment has disappeared": (
        {"up": "1+0x300 _x60", "kube_deployment_status_replicas_unavailable": None},
        ["Down"],
        ["Down"],
    ),
    "the database is down": (
        {
            "numberdesk_store_up": "0",
            'numberdesk_http_requests_total{%s, route="/v1/me", status="503"}': "0+300x",
            'numberdesk_worker_failures_total{%s, worker="sync"}': "0+5x",
            'numberdesk_worker_failures_total{%s, worker="seal"}': "0+5x",
            "numberdesk_inventory_age_seconds": "7200",
            'numberdesk_orders_oldest_age_seconds{%s, state="unverified"}': "7200",
            'numberdesk_orders_oldest_age_seconds{%s, state="queued"}': "7200",
            "numberdesk_audit_unsealed_age_seconds": "7200",
            "numberdesk_readback_age_seconds": "7200",
            "numberdesk_webhook_subscription_active": "0",
            "numberdesk_webhook_oldest_pending_age_seconds": "7200",
        },
        [
            "DatabaseDown",
            "Errors",
            "WorkerFailures",
            "InventoryOld",
            "OrdersUnverified",
            "QueueNotMoving",
            "AuditUnsealed",
            "ReadBacksOld",
            "WebhookSubscriptionInactive",
            "OutgoingWebhooksBacklog",
            *BURNS * 3,  # one for each objective that is missed
        ],
        ["DatabaseDown"],
    ),
    "the database is down and replicas need it to be ready": (
        {"numberdesk_store_up": "0", "kube_deployment_status_replicas_unavailable": "3"},
        ["DatabaseDown", "ReplicaNotReady"],
        ["DatabaseDown"],
    ),
    "the process is down with everything else": (
        {"up": "0", "numberdesk_store_up": "0", "kube_deployment_status_replicas_unavailable": "3"},
        ["Down", "DatabaseDown", "ReplicaNotReady"],
        ["Down"],
    ),
}


def main() -> int:
    rules = {"groups": [group for file in RULES for group in yaml.safe_load(file.read_text())["spec"]["groups"]]}
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    faults = [*check_completeness(alerts), *check_runbooks(alerts), *check_metrics(rules)]
    faults += [*check_objectives(), *check_environments(rules), *check_inhibitions(alerts)]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for file in RULES:
            (folder / file.name).write_text(yaml.safe_dump(yaml.safe_load(file.read_text())["spec"]))
        faulty = [*FAULTS.items(), *FIRST_EVENTS.items()]
        cases = [(name, changes, [name, *CONSEQUENCES.get(name, [])]) for name, changes in faulty]
        cases += [(name, changes, fire) for name, (changes, fire, _) in SITUATIONS.items()]
        burning = [case for case in cases if set(case[2]) & set(BURNS)]
        others = [case for case in cases if case not in burning]
        healthy = ("no fault", {}, [])
        for files, chosen in (RULES, [healthy, *burning]), (RULES[:-1], others):
            faults += run_promtool(folder, [file.name for file in files], [*(case(*one) for one in chosen), nothing_is_scraped()])
    print(f"alerts: {len(alerts)}, each tested with its own fault, and {len(SITUATIONS)} situations; {len(faults)} faults")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def run_promtool(folder, files, cases):
    test = {"rule_files": files, "evaluation_interval": EVALUATION, "tests": cases}
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    for command in ["check", "rules", *files], ["test", "rules", "test.yaml"]:
        result = subprocess.run([PROMTOOL, *command], cwd=folder, capture_output=True, text=True)
        if result.returncode:
            yield f"promtool {' '.join(command)}: {result.stdout}{result.stderr}"


def case(name, changes, fire):
    """Returns a test group of promtool: the series of two environments, and the alerts that must fire at the end.

    Only one environment has the fault, and only its alerts may fire."""
    inputs = []
    for environment in (FAULTY, HEALTHY_ONES[len(name) % 2]):
        series = dict(HEALTHY)
        for prefix, values in (changes if environment == FAULTY else {}).items():
            key = next(key for key in HEALTHY if key.startswith(prefix))
            if values is None:
                del series[key]
            else:
                series[key] = values
        inputs += [{"series": within(key, environment), "values": over_time(values)} for key, values in series.items()]
    cluster, namespace = FAULTY
    labels = [f'alertname="Numberdesk{alert}", cluster="{cluster}", namespace="{namespace}"' for alert in fire]
    return group(name, inputs, labels)


def within(key, environment):
    """Adds the labels of an environment to a series."""
    cluster, namespace = environment
    name, _, labels = key.replace("%s", JOB).partition("{")
    return f'{name}{{cluster="{cluster}", namespace="{namespace}", {labels or "}"}'


def nothing_is_scraped():
    """Without any series, one alert must fire, which can name no environment."""
    return group("nothing is scraped", [{"series": "other", "values": "1x360"}], ['alertname="NumberdeskDown"'])


def group(name, inputs, labels):
    expr = 'count by (alertname, cluster, namespace) (ALERTS{alertstate="firing"})'
    expected = [{"labels": f"{{{one}}}", "value": count} for one, count in Counter(labels).items()]
    return {
        "name": name,
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": [{"expr": expr, "eval_time": AT, "exp_samples": expected}],
    }


def over_time(values):
    """Completes a value for all minutes: `5` is constant, and `0+3x` grows by 3 each minute.

    A value that begins with `_` or contains a space is in promtool's notation already."""
    if values.startswith("_") or " " in values:
        return values
    minutes = HOURS * 60
    return f"{values}{minutes}" if values.endswith("x") else f"{values}+0x{minutes}"


def check_completeness(alerts):
    names = [alert["alert"].removeprefix("Numberdesk") for alert in alerts]
    for name in set(names) ^ set(FAULTS):
        yield f"{name}: must have both an alert and a fault in FAULTS"
    for alert in alerts:
        if alert["labels"].get("severity") not in ("critical", "warning", "info"):
            yield f"{alert['alert']}: severity must be critical, warning or info"
        if set(alert["annotations"]) != {"summary", "description", "runbook_url"}:
            yield f"{alert['alert']}: must have a summary, a description and a runbook_url"


def check_environments(rules):
    """One environment must not hide another one, and an alert must name its own."""
    aggregation = re.compile(r"\b(?:sum|min|max|avg|count|group|topk|bottomk|quantile|stddev)\b(?! by \(cluster, namespace\b)")
    for group in rules["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            for found in aggregation.finditer(rule["expr"]):
                yield f"{name}: `{rule['expr'][found.start() :][:40]}` must aggregate `by (cluster, namespace, …)`"
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            expr = target["expr"]
            metrics = re.findall(r"\b(?:numberdesk|process|kube|container)_\w+", expr)
            if expr.count('namespace=~"$namespace"') != len(metrics):
                yield f"the dashboard, {panel['title']}: every metric must be selected by the variable `namespace`"
            if aggregation.search(expr):
                yield f"the dashboard, {panel['title']}: must aggregate `by (cluster, namespace, …)`"


def check_objectives():
    spec = importlib.util.spec_from_file_location("objectives", ROOT / "scripts/objectives.py")
    objectives = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(objectives)
    if objectives.TARGET.read_text() != objectives.text():
        yield f"{objectives.TARGET.name} is out of date: run scripts/objectives.py"
    page = (ROOT / "docs/objectives.md").read_text()
    for slo, *_ in objectives.OF_REQUESTS + objectives.OF_TIME:
        if f"| `{slo}` |" not in page:
            yield f"docs/objectives.md must have a row for {slo}"


def check_inhibitions(alerts):
    """The inhibition rules must name alerts that exist, and leave in each situation what SITUATIONS says."""
    rules = yaml.safe_load(INHIBITIONS.read_text())["spec"]["inhibitRules"]
    known = {alert["alert"] for alert in alerts}
    for rule in rules:
        for matcher in rule["sourceMatch"] + rule["targetMatch"]:
            for name in matcher["value"].split("|"):
                if not any(re.fullmatch(name, alert) for alert in known):
                    yield f"{INHIBITIONS.name}: {name} is not an alert"
        if rule["equal"] != ["cluster", "namespace"]:
            yield f"{INHIBITIONS.name}: a rule must hold within one environment"
    for name, (_, fire, left) in SITUATIONS.items():
        firing = {f"Numberdesk{alert}" for alert in fire}
        quiet = {
            target
            for rule in rules
            for source in firing
            for target in firing - {source}
            if matches(rule["sourceMatch"], source) and matches(rule["targetMatch"], target)
        }
        if firing - quiet != {f"Numberdesk{alert}" for alert in left}:
            yield f"{name}: the inhibition rules leave {sorted(firing - quiet)}, not {left}"


def matches(matchers, alert):
    """Alertmanager anchors regular expressions."""
    return all(re.fullmatch(matcher["value"], alert) for matcher in matchers)


def check_runbooks(alerts):
    """Each alert must have its heading in docs/runbooks.md, and link to a replica, which leads to it.

    tests/it/http/guides.rs follows the links on a running service."""
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
    for alert in alerts:
        if alert["alert"] not in headings:
            yield f"{alert['alert']}: docs/runbooks.md must have a heading with this name"
        if alert["annotations"]["runbook_url"] != f"https://{INTERNAL_HOST}/runbooks/{alert['alert']}":
            yield f"{alert['alert']}: runbook_url must be https://{INTERNAL_HOST}/runbooks/{alert['alert']}"
    for routes in ("gateway/routes", "ingress-nginx/ingresses"):
        text = (ROOT / f"k8s/components/{routes}.yaml").read_text()
        if INTERNAL_HOST not in text or "/runbooks" not in text:
            yield f"{routes}.yaml: must serve /runbooks at {INTERNAL_HOST}, to which the alerts link"
    for heading in set(headings) - {alert["alert"] for alert in alerts}:
        yield f"docs/runbooks.md: {heading} is not an alert"


def check_metrics(rules):
    """Alerts, recording rules and the dashboard must use only series that exist. The guide is generated from the code."""
    declared = re.findall(r"^\| `(\w+)` \| (\w+)", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    parts = {"histogram": ("_sum", "_count", "_bucket")}
    known = {name + part for name, kind in declared for part in parts.get(kind, ("",))} | FOREIGN
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    texts = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in every]
    for where, text in [*texts, ("the dashboard", DASHBOARD.read_text())]:
        for name in set(re.findall(r"\b(?:numberdesk|process|kube|kubelet|container|cnpg|barman)_[a-z_]+\b", text)) - known:
            yield f"{where}: {name} is not a metric in docs/metrics.md"


if __name__ == "__main__":
    sys.exit(main())
