//! Metrics of the operating-system process: read at each scrape, because nothing else needs them.

use std::fmt;

use metrics_process::collector::{Metrics, collect};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::metrics::{Kind, Metric, PROCESS};
use super::suffix::split;

/// Reads the process's use of processor, memory and files.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = collect();
        for metric in PROCESS.metrics {
            // A system that does not report a value, such as one without /proc, has no such metric.
            let Some(value) = value(metric, &now) else {
                continue;
            };
            let (name, unit) = split(metric);
            let sample: &dyn EncodeMetric = match metric.kind {
                Kind::Counter => &ConstCounter::new(value),
                Kind::Gauge | Kind::Histogram => &ConstGauge::new(value),
            };
            let encoder =
                encoder.encode_descriptor(name, metric.help, unit.as_ref(), sample.metric_type())?;
            sample.encode(encoder)?;
        }
        Ok(())
    }
}

fn value(metric: &Metric, now: &Metrics) -> Option<f64> {
    let whole = match metric.name {
        "process_cpu_seconds_total" => return now.cpu_seconds_total,
        "process_resident_memory_bytes" => now.resident_memory_bytes,
        "process_virtual_memory_bytes" => now.virtual_memory_bytes,
        "process_virtual_memory_max_bytes" => now.virtual_memory_max_bytes,
        "process_open_fds" => now.open_fds,
        "process_max_fds" => now.max_fds,
        "process_threads" => now.threads,
        "process_start_time_seconds" => now.start_time_seconds,
        _ => None,
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric is a float, and an error of one part in 2^53 is not seen"
    )]
    whole.map(|value| value as f64)
}
