"""Tests the alerts with promtool: each one fires for its own fault, no other one does, and none fires without a fault.

It also checks that each alert has a runbook, and that alerts and dashboard use only metrics that exist. `make k8s` runs
this script."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "k8s/components/monitoring/alerts.yaml"
DASHBOARD = ROOT / "k8s/components/monitoring/dashboard.json"
PROMTOOL = shutil.which("promtool") or str(ROOT / ".tools/promtool")
# Metrics of others: Prometheus itself, kube-state-metrics and the kubelet.
FOREIGN = {
    "up",
    "kube_deployment_status_replicas_unavailable",
    "kube_pod_container_resource_limits",
    "container_memory_working_set_bytes",
}
HOURS = 6  # longer than the time range and the waiting period of every alert
AT = f"{HOURS}h"
JOB = 'job="numberdesk-ops", instance="a"'

# The series without any fault, with one value for each minute.
HEALTHY = {
    f"up{{{JOB}}}": "1",
    'kube_deployment_status_replicas_unavailable{deployment="numberdesk", namespace="numberdesk"}': "0",
    "numberdesk_store_up{%s}": "1",
    'numberdesk_http_requests_total{%s, status="200"}': "0+600x",
    'numberdesk_http_requests_total{%s, status="503"}': "0+1x",
    "numberdesk_requests_shed_total{%s}": "0",
    'numberdesk_worker_failures_total{%s, worker="sync"}': "0",
    "numberdesk_policy_good{%s}": "1",
    'numberdesk_close_requests_total{%s, endpoint="rent", outcome="done"}': "0+60x",
    'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unclear"}': "0+1x",
    'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unauthorized"}': "0",
    "numberdesk_close_key_good{%s}": "1",
    "numberdesk_close_forbidden_total{%s}": "0",
    'numberdesk_close_drift_total{%s, kind="unknown_field", operation="list"}': "0+60x",  # known for hours
    "numberdesk_tls_certificate_good{%s}": "1",
    "numberdesk_tls_certificate_expiry_timestamp_seconds{%s}": "2592000",  # in 30 days: promtool's time begins at 0
    "numberdesk_inventory_age_seconds{%s}": "600",
    'numberdesk_orders_oldest_age_seconds{%s, state="unverified"}': "60",
    'numberdesk_orders_oldest_age_seconds{%s, state="queued"}': "5",
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
    "Errors": {'numberdesk_http_requests_total{%s, status="503"}': "0+30x"},
    "Shedding": {"numberdesk_requests_shed_total": "0+60x"},
    "WorkerFailures": {"numberdesk_worker_failures_total": "0+1x"},
    "PolicyBroken": {"numberdesk_policy_good": "0"},
    "CloseUnreachable": {'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unclear"}': "0+90x"},
    "CloseKeyRefused": {'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unauthorized"}': "0+1x"},
    "CloseKeyFileBroken": {"numberdesk_close_key_good": "0"},
    "CloseForbidsRenting": {"numberdesk_close_forbidden_total": "0+1x"},
    "CloseApiChanged": {"numberdesk_close_drift_total": "_x355 1x10"},
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
}

# Counters that do not exist before the first event. The alert must fire although the counter has only one value.
FIRST_EVENT = "_x355 1x10"
FIRST_EVENTS = {
    "CloseKeyRefused": {'numberdesk_close_requests_total{%s, endpoint="rent", outcome="unauthorized"}': FIRST_EVENT},
    "CloseForbidsRenting": {"numberdesk_close_forbidden_total": FIRST_EVENT},
    "OrderAltered": {"numberdesk_orders_altered_total": FIRST_EVENT},
    "LateArrival": {"numberdesk_late_arrivals_total": FIRST_EVENT},
}


def main() -> int:
    rules = yaml.safe_load(RULES.read_text())["spec"]
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    faults = [*check_completeness(alerts), *check_runbooks(alerts), *check_metrics(alerts)]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        cases = [case("no fault", {}, [])]
        faulty = [*FAULTS.items(), *FIRST_EVENTS.items()]
        cases += [case(name, changes, [f"Numberdesk{name}"]) for name, changes in faulty]
        test = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": cases}
        (folder / "test.yaml").write_text(yaml.safe_dump(test))
        for command in ["check", "rules", "rules.yaml"], ["test", "rules", "test.yaml"]:
            result = subprocess.run([PROMTOOL, *command], cwd=folder, capture_output=True, text=True)
            if result.returncode:
                faults.append(f"promtool {' '.join(command)}: {result.stdout}{result.stderr}")
    print(f"alerts: {len(alerts)}, each tested with its own fault; {len(faults)} faults")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def case(name, changes, fire):
    """Returns a test group of promtool: the series, and the alerts that must fire at the end."""
    series = dict(HEALTHY)
    for prefix, values in changes.items():
        key = next(key for key in HEALTHY if key.startswith(prefix))
        if values is None:
            del series[key]
        else:
            series[key] = values
    inputs = [{"series": key.replace("%s", JOB), "values": over_time(values)} for key, values in series.items()]
    return {
        "name": name,
        "interval": "1m",
        "input_series": inputs,
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": AT,
                "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in fire],
            }
        ],
    }


def over_time(values):
    """Completes a value for all minutes: `5` is constant, and `0+3x` grows by 3 each minute.

    A value that begins with `_` is in promtool's notation already."""
    if values.startswith("_"):
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


def check_runbooks(alerts):
    """Each alert must link to its heading in docs/runbooks.md. The anchor of a heading is the heading in lower case."""
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
    for alert in alerts:
        anchor = alert["annotations"]["runbook_url"].partition("#")[2]
        if anchor != alert["alert"].lower() or alert["alert"] not in headings:
            yield f"{alert['alert']}: docs/runbooks.md must have a heading with this name, and runbook_url must link to it"
    for heading in set(headings) - {alert["alert"] for alert in alerts}:
        yield f"docs/runbooks.md: {heading} is not an alert"


def check_metrics(alerts):
    known = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    known |= {name + part for name in known for part in ("_sum", "_count", "_bucket")} | FOREIGN
    texts = {alert["alert"]: alert["expr"] for alert in alerts} | {"the dashboard": DASHBOARD.read_text()}
    for where, text in texts.items():
        for name in set(re.findall(r"\b(?:numberdesk|process|kube|container)_[a-z_]+\b", text)) - known:
            yield f"{where}: {name} is not a metric in docs/metrics.md"


if __name__ == "__main__":
    sys.exit(main())
