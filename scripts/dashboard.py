#!/usr/bin/env python3
"""Writes k8s/components/monitoring/dashboard.json, the Grafana dashboard: scripts/dashboard.py"""

import json
import re
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "k8s/components/monitoring/dashboard.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 8, 7  # of a panel; a row is 24 wide

# The environments and replicas that the dashboard shows. A Prometheus of one cluster has no label `cluster`, so `.*` must
# match it.
VARIABLES = {
    "cluster": "label_values(numberdesk_build_info, cluster)",
    "namespace": 'label_values(numberdesk_build_info{cluster=~"$cluster"}, namespace)',
    "pod": 'label_values(numberdesk_build_info{cluster=~"$cluster", namespace=~"$namespace"}, pod)',
}

# Title, unit, and for each line its legend and query. Queries get a selection by the variables.
ROWS = {
    "Business": [
        ("Open orders", "short", [("{{namespace}} {{state}}", "sum by (cluster, namespace, state) (max by (cluster, namespace, state, country) (numberdesk_orders_open))")]),
        ("Age of the oldest order by state", "s", [("{{namespace}} {{state}}", "max by (cluster, namespace, state) (numberdesk_orders_oldest_age_seconds)")]),
        ("Time until an order ended (95th percentile)", "s", [("{{namespace}} {{state}}", "histogram_quantile(0.95, sum by (cluster, namespace, state, le) (rate(numberdesk_order_settling_seconds_bucket[1h])))")]),
        ("Orders settled in an hour", "short", [("{{namespace}} {{state}} {{country}}", "sum by (cluster, namespace, state, country) (increase(numberdesk_orders_settled_total[1h]))")]),
        ("Budget used", "percentunit", [("{{namespace}} {{team}}", "max by (cluster, namespace, team) (numberdesk_team_monthly_spend_dollars / numberdesk_team_monthly_budget_dollars)")]),
        ("Numbers and reservations", "short", [
            ("{{namespace}} {{team}} held", "max by (cluster, namespace, team) (numberdesk_team_numbers)"),
            ("{{namespace}} {{team}} reserved", "max by (cluster, namespace, team) (numberdesk_team_reservations)"),
        ]),
        ("Orphans", "short", [("{{namespace}} orphans", "max by (cluster, namespace) (numberdesk_orphans)")]),
    ],
    "Close": [
        ("Calls to Close a second", "reqps", [("{{namespace}} {{endpoint}} {{outcome}}", "sum by (cluster, namespace, endpoint, outcome) (rate(numberdesk_close_requests_total[5m]))")]),
        ("Duration of calls (95th percentile)", "s", [("{{namespace}} {{endpoint}}", "histogram_quantile(0.95, sum by (cluster, namespace, endpoint, le) (rate(numberdesk_close_request_seconds_bucket[5m])))")]),
        ("Calls left in the rate limit", "short", [("{{namespace}} {{endpoint}}", "min by (cluster, namespace, endpoint) (numberdesk_close_rate_limit_remaining)")]),
        ("Webhooks from Close a second", "reqps", [("{{namespace}} {{outcome}}", "sum by (cluster, namespace, outcome) (rate(numberdesk_webhooks_received_total[5m]))")]),
        ("Age of the inventory, and of the oldest pending refetch", "s", [
            ("{{namespace}} inventory", "min by (cluster, namespace) (numberdesk_inventory_age_seconds)"),
            ("{{namespace}} refetch", "max by (cluster, namespace) (numberdesk_readback_age_seconds)"),
        ]),
        ("From a webhook to the inventory (95th percentile)", "s", [("{{namespace}} refetch", "histogram_quantile(0.95, sum by (cluster, namespace, le) (rate(numberdesk_readback_seconds_bucket[5m])))")]),
    ],
    "Service": [
        ("Requests a second", "reqps", [("{{namespace}} {{status}}", "sum by (cluster, namespace, status) (rate(numberdesk_http_requests_total[5m]))")]),
        ("Duration of requests (99th percentile)", "s", [("{{namespace}} {{method}} {{route}}", "histogram_quantile(0.99, sum by (cluster, namespace, method, route, le) (rate(numberdesk_http_request_duration_seconds_bucket[5m])))")]),
        ("Requests in progress", "short", [("{{namespace}} {{pod}}", "numberdesk_http_requests_in_flight")]),
        ("Pending webhooks to apps", "short", [("{{namespace}} pending", "max by (cluster, namespace) (numberdesk_webhook_deliveries_pending)")]),
        ("Failures of background workers in an hour", "short", [("{{namespace}} {{worker}}", "sum by (cluster, namespace, worker) (increase(numberdesk_worker_failures_total[1h]))")]),
        ("Age of the oldest unsealed audit row", "s", [("{{namespace}} age", "min by (cluster, namespace) (numberdesk_audit_unsealed_age_seconds)")]),
    ],
    "Process": [
        ("Memory", "bytes", [("{{namespace}} {{pod}}", 'process_resident_memory_bytes{job="numberdesk-ops"}')]),
        ("Processor", "short", [("{{namespace}} {{pod}}", 'rate(process_cpu_seconds_total{job="numberdesk-ops"}[5m])')]),
        ("Open files and connections", "short", [("{{namespace}} {{pod}}", 'process_open_fds{job="numberdesk-ops"}')]),
    ],
}


def main():
    panels, y = [], 0
    for row, graphs in ROWS.items():
        panels.append({"type": "row", "title": row, "id": len(panels) + 1, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": []})
        y += 1
        for place, (title, unit, lines) in enumerate(graphs):
            panels.append(panel(len(panels) + 1, title, unit, lines, place % 3 * WIDTH, y + place // 3 * HEIGHT))
        y += (len(graphs) + 2) // 3 * HEIGHT
    datasource = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    dashboard = {
        "uid": "numberdesk",
        "title": "Numberdesk",
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [datasource, *(variable(name, query) for name, query in VARIABLES.items())]},
        "panels": panels,
    }
    TARGET.write_text(json.dumps(dashboard, indent=2) + "\n")


def variable(name, query):
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def selected(query):
    """Limits every metric of a query to the chosen environments and replicas."""
    chosen = ", ".join(f'{name}=~"${name}"' for name in VARIABLES)

    def limit(metric):
        labels = [chosen, metric[2]] if metric[2] else [chosen]
        return f"{metric[1]}{{{', '.join(labels)}}}"

    return re.sub(r"\b((?:numberdesk|process)_\w+)(?:\{([^}]*)\})?", limit, query)


def panel(number, title, unit, lines, x, y):
    return {
        "type": "timeseries",
        "id": number,
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            # Buckets have exemplars: points that link to a trace.
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "legendFormat": legend, "expr": selected(expr), "exemplar": "_bucket" in expr}
            for place, (legend, expr) in enumerate(lines)
        ],
    }


if __name__ == "__main__":
    main()
