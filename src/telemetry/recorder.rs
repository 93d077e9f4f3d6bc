//! The recorder of metrics, in the text format of Prometheus.

use ::metrics::{Unit as MetricUnit, describe_counter, describe_gauge, describe_histogram, gauge};
use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use super::metrics::{BUILD_INFO, Kind, Metric, SECTIONS, Unit};

/// Upper bounds of the histogram buckets, in seconds. Responses usually take between the smallest and the largest.
const BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The metrics of the process. Clones share everything.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder of this process. Fails if the process has one already.
    pub fn install() -> anyhow::Result<Self> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)
            .and_then(PrometheusBuilder::install_recorder)
            .context("the metrics recorder can't be installed")?;
        SECTIONS
            .iter()
            .flat_map(|section| section.metrics)
            .for_each(describe);
        Collector::default().describe();
        gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self(handle))
    }

    /// Renders all metrics, with the process's use of processor, memory and files at this moment.
    pub fn render(&self) -> String {
        Collector::default().collect();
        self.0.render()
    }

    /// Merges recorded observations into the histograms, which frees their memory. Call it every few seconds.
    pub fn run_upkeep(&self) {
        self.0.run_upkeep();
    }
}

/// Gives the recorder the help text of a metric.
fn describe(metric: &Metric) {
    let unit = match metric.unit {
        Unit::Seconds => MetricUnit::Seconds,
        Unit::Bytes => MetricUnit::Bytes,
        Unit::Count | Unit::Dollars | Unit::Flag => MetricUnit::Count,
    };
    match metric.kind {
        Kind::Counter => describe_counter!(metric.name, unit, metric.help),
        Kind::Gauge => describe_gauge!(metric.name, unit, metric.help),
        Kind::Histogram => describe_histogram!(metric.name, unit, metric.help),
    }
}
