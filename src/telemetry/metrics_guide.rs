//! The guide docs/metrics.md, rendered from the table of metrics.

use std::fmt::Write as _;

use super::metrics::{Kind, Metric, PROCESS, SECTIONS, Unit};

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Seconds => "seconds",
            Self::Dollars => "US dollars",
            Self::Bytes => "bytes",
            Self::Flag => "1 or 0",
        }
    }
}

const INTRODUCTION: &str = "\
# Metrics

<!-- Generated from src/telemetry/metrics.rs by `make docs`; do not edit. -->

`GET /metrics` on the ops port serves the metrics in the Prometheus text format, or as OpenMetrics 1.0 if the `Accept` header
prefers that. It needs no token and contains no secret: no phone number, no caller, no key.

Every label has a bounded set of values. `route` is a path template, `team` is a team that the policy file names (all others
are `other`), and `country` is a code of ISO 3166, or `XK`, `AC` or `TA`. Histograms are in seconds.

A counter exists from the start, at 0, if the values of its labels are known then; so `rate()` and `increase()` see its first
increment. Calls to the API count that way for each documented 5xx status of a route, `numberdesk_worker_failures_total` for
each worker, and `numberdesk_requests_limited_total` for each team. Other series begin with their first event.

In OpenMetrics, buckets of histograms have exemplars: the id of the last recorded trace whose value is in the bucket, as
`trace_id`. Prometheus stores them with `--enable-feature=exemplar-storage`, and Grafana links them to
[the trace](logs-and-traces.md#one-trace-for-each-request).

Each replica reads the facts of the business (orders, teams, orphans) from the database every ten seconds, so every replica
reports the same values: aggregate them with `max by (…)`, not `sum`. What a process did itself, such as requests answered,
is summed over the replicas.

[`/readyz?verbose`](status.md#readyz) shows the rest, for example what is wrong with a file.
";

/// Renders docs/metrics.md.
pub fn metrics_guide() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS.iter().chain([&PROCESS]) {
        let title = section.title;
        let _ = write!(
            page,
            "\n## {title}\n\n| metric | kind | labels | unit | meaning |\n|---|---|---|---|---|\n"
        );
        for Metric {
            name,
            kind,
            unit,
            labels,
            help,
            ..
        } in section.metrics
        {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{}`", label.name)).collect();
            let (labels, kind, unit) = (labels.join(", "), kind.name(), unit.name());
            let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {unit} | {help} |");
        }
    }
    page
}
