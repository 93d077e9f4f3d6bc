#!/usr/bin/env python3
"""Writes k8s/components/monitoring/dashboard.json, the Grafana dashboard: scripts/dashboard.py"""

import json
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "k8s/components/monitoring/dashboard.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 8, 7  # of a panel; a row is 24 wide

# Title, unit, and for each line its legend and query.
ROWS = {
    "Business": [
        ("Open orders", "short", [("{{state}}", "sum by (state) (max by (state, country) (numberdesk_orders_open))")]),
        ("Age of the oldest order by state", "s", [("{{state}}", "max by (state) (numberdesk_orders_oldest_age_seconds)")]),
        ("Orders settled in an hour", "short", [("{{state}} {{country}}", "sum by (state, country) (increase(numberdesk_orders_settled_total[1h]))")]),
        ("Budget used", "percentunit", [("{{team}}", "max by (team) (numberdesk_team_monthly_spend_dollars / numberdesk_team_monthly_budget_dollars)")]),
        ("Numbers and reservations", "short", [
            ("{{team}} held", "max by (team) (numberdesk_team_numbers)"),
            ("{{team}} reserved", "max by (team) (numberdesk_team_reservations)"),
        ]),
        ("Orphans", "short", [("orphans", "max(numberdesk_orphans)")]),
    ],
    "Close": [
        ("Calls to Close a second", "reqps", [("{{endpoint}} {{outcome}}", "sum by (endpoint, outcome) (rate(numberdesk_close_requests_total[5m]))")]),
        ("Duration of calls (95th percentile)", "s", [("{{endpoint}}", "histogram_quantile(0.95, sum by (endpoint, le) (rate(numberdesk_close_request_seconds_bucket[5m])))")]),
        ("Calls left in the rate limit", "short", [("{{endpoint}}", "min by (endpoint) (numberdesk_close_rate_limit_remaining)")]),
        ("Webhooks from Close a second", "reqps", [("{{outcome}}", "sum by (outcome) (rate(numberdesk_webhooks_received_total[5m]))")]),
        ("Age of the inventory, and of the oldest pending refetch", "s", [
            ("inventory", "min(numberdesk_inventory_age_seconds)"),
            ("refetch", "max(numberdesk_readback_age_seconds)"),
        ]),
        ("From a webhook to the inventory (95th percentile)", "s", [("refetch", "histogram_quantile(0.95, sum by (le) (rate(numberdesk_readback_seconds_bucket[5m])))")]),
    ],
    "Service": [
        ("Requests a second", "reqps", [("{{status}}", "sum by (status) (rate(numberdesk_http_requests_total[5m]))")]),
        ("Duration of requests (95th percentile)", "s", [("{{method}} {{route}}", "histogram_quantile(0.95, sum by (method, route, le) (rate(numberdesk_http_request_duration_seconds_bucket[5m])))")]),
        ("Requests in progress", "short", [("{{pod}}", "numberdesk_http_requests_in_flight")]),
        ("Pending webhooks to apps", "short", [("pending", "max(numberdesk_webhook_deliveries_pending)")]),
        ("Failures of background workers in an hour", "short", [("{{worker}}", "sum by (worker) (increase(numberdesk_worker_failures_total[1h]))")]),
        ("Age of the oldest unsealed audit row", "s", [("age", "min(numberdesk_audit_unsealed_age_seconds)")]),
    ],
    "Process": [
        ("Memory", "bytes", [("{{pod}}", 'process_resident_memory_bytes{job="numberdesk-ops"}')]),
        ("Processor", "short", [("{{pod}}", 'rate(process_cpu_seconds_total{job="numberdesk-ops"}[5m])')]),
        ("Open files and connections", "short", [("{{pod}}", 'process_open_fds{job="numberdesk-ops"}')]),
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
        "templating": {"list": [datasource]},
        "panels": panels,
    }
    TARGET.write_text(json.dumps(dashboard, indent=2) + "\n")


def panel(number, title, unit, lines, x, y):
    return {
        "type": "timeseries",
        "id": number,
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "legendFormat": legend, "expr": expr}
            for place, (legend, expr) in enumerate(lines)
        ],
    }


if __name__ == "__main__":
    main()
