#!/usr/bin/env python3
"""Writes k8s/components/monitoring/objectives.yaml, the service level objectives and their alerts: scripts/objectives.py

tests/python/alerts_fire.py checks that the file is up to date. docs/objectives.md explains the objectives."""

from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "k8s/components/monitoring/objectives.yaml"
WINDOWS = ["5m", "30m", "1h", "6h", "3d"]
LONG = ["1h", "6h", "3d"]  # these need more than FLOOR faults, so that a quiet night with two errors burns nothing
FLOOR = 10
BY = "by (cluster, namespace)"

READS = 'method="GET", route=~"/v1/(me|phone-numbers|phone-numbers/.id.|orders|orders/.id.)"'
# Name, share of faults that the objective allows, faults and total of requests or orders, in a window W.
OF_REQUESTS = [
    (
        "availability",
        0.001,
        f'sum {BY} (increase(numberdesk_http_requests_total{{route=~"/v1/.*", status=~"5.."}}[W]))',
        f'sum {BY} (increase(numberdesk_http_requests_total{{route=~"/v1/.*"}}[W]))',
    ),
    (
        "fast-reads",
        0.01,
        f"sum {BY} (increase(numberdesk_http_request_duration_seconds_count{{{READS}}}[W])) - "
        f'sum {BY} (increase(numberdesk_http_request_duration_seconds_bucket{{{READS}, le="0.05"}}[W]))',
        f"sum {BY} (increase(numberdesk_http_request_duration_seconds_count{{{READS}}}[W]))",
    ),
    (
        "orders-settled",
        0.01,
        f"sum {BY} (increase(numberdesk_order_settling_seconds_count[W])) - "
        # `le` is 60 in the text format, and 60.0 in OpenMetrics.
        f'sum {BY} (increase(numberdesk_order_settling_seconds_bucket{{le=~"60(.0)?"}}[W]))',
        f"sum {BY} (increase(numberdesk_order_settling_seconds_count[W]))",
    ),
]
# Name, share of the time that the objective allows, and a condition that holds at a bad moment.
OF_TIME = [
    (
        "no-order-waits",
        0.01,
        f'max {BY} (numberdesk_orders_oldest_age_seconds{{state=~"queued|renting|unverified"}}) > bool 60',
    ),
    ("fresh-inventory", 0.01, f"min {BY} (numberdesk_inventory_age_seconds) > bool 900"),
]
HEAD = """\
# Written by scripts/objectives.py; do not edit. docs/objectives.md explains the objectives and how to change them.
# Recorded once for each cluster: environments beside it use the component `rules-elsewhere`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: numberdesk-objectives
  labels:
    app.kubernetes.io/name: numberdesk
    app.kubernetes.io/part-of: numberdesk
spec:
  groups:
    - name: numberdesk-objectives
      rules:
"""
ALERTS = [
    (
        "NumberdeskObjectiveBurnsFast",
        [("1h", "5m", "14.4"), ("6h", "30m", "6")],
        "2m",
        "critical",
        "numberdesk misses an objective, fast",
        "At this rate, {{ $labels.slo }} uses up its error budget of a month within days.",
    ),
    (
        "NumberdeskObjectiveBurnsSlowly",
        [("3d", "6h", "1")],
        "15m",
        "warning",
        "numberdesk misses an objective",
        "At this rate, {{ $labels.slo }} uses up its error budget before the end of the month.",
    ),
]


def main():
    TARGET.write_text(text())


def text():
    lines = [HEAD]
    for slo, budget, *_ in OF_REQUESTS + OF_TIME:
        lines.append(record("numberdesk:slo_budget:ratio", f"vector({budget})", slo))
    for slo, _, bad in OF_TIME:
        lines.append(record("numberdesk:slo_bad:bool", bad, slo))
    for window in WINDOWS:
        name = f"numberdesk:slo_errors:ratio_{window}"
        for slo, _, bad, total in OF_REQUESTS:
            floor = f" and ({bad}) > {FLOOR}" if window in LONG else ""
            lines.append(record(name, f"({bad}) / ({total} > 0){floor}".replace("W", window), slo))
        for slo, *_ in OF_TIME:
            lines.append(record(name, f'avg_over_time(numberdesk:slo_bad:bool{{slo="{slo}"}}[{window}])', slo))
    for alert, burns, wait, severity, summary, description in ALERTS:
        expr = " or ".join(
            f"(numberdesk:slo_errors:ratio_{long} > on (slo) group_left () ({factor} * numberdesk:slo_budget:ratio)"
            f" and numberdesk:slo_errors:ratio_{short} > on (slo) group_left () ({factor} * numberdesk:slo_budget:ratio))"
            for long, short, factor in burns
        )
        lines.append(f"""\
        - alert: {alert}
          expr: >-
            {expr}
          for: {wait}
          labels:
            severity: {severity}
          annotations:
            summary: "{summary}"
            description: "{description}"
            runbook_url: https://numberdesk.internal.example.com/runbooks/{alert}
""")
    return "".join(lines)


def record(name, expr, slo):
    return f"""\
        - record: {name}
          expr: >-
            {expr}
          labels:
            slo: {slo}
"""


if __name__ == "__main__":
    main()
