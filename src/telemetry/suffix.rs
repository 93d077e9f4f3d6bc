//! The suffixes of metric names that the encoder of OpenMetrics appends itself.

use prometheus_client::registry::Unit as Suffix;

use super::metrics::{Kind, Metric, Unit};

/// Returns the name without the suffixes that the encoder appends, and the unit among them.
pub(super) fn split(metric: &Metric) -> (&'static str, Option<Suffix>) {
    let name = match metric.kind {
        Kind::Counter => metric.name.strip_suffix("_total").unwrap_or(metric.name),
        Kind::Gauge | Kind::Histogram => metric.name,
    };
    let unit = match metric.unit {
        Unit::Seconds => Suffix::Seconds,
        Unit::Bytes => Suffix::Bytes,
        Unit::Dollars => Suffix::Other("dollars".to_owned()),
        Unit::Count | Unit::Flag => return (name, None),
    };
    let base = name
        .strip_suffix(unit.as_str())
        .and_then(|base| base.strip_suffix('_'));
    base.map_or((name, None), |base| (base, Some(unit)))
}
