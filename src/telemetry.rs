//! Logs and metrics: where they go and how they look. Nothing else names an exporter.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;

/// Seconds; what lies between is what answers usually take.
const BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Sends logs to stderr. `filter` is a level or a `tracing` filter; `NUMBERDESK_LOG` overrides it.
pub fn log(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = std::env::var("NUMBERDESK_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("`{filter}` is no log level"))?;
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let json = format == LogFormat::Json || (format == LogFormat::Auto && !terminal);
    // A second call in one process (tests) keeps the first subscriber.
    let _ = if json {
        log.json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .finish()
            .try_init()
    } else {
        log.with_ansi(colour).with_target(false).finish().try_init()
    };
    Ok(())
}

/// The process's metrics, to be rendered for `/metrics`. Clones share everything.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Installs the process's metrics. Once a process.
pub fn metrics() -> anyhow::Result<Metrics> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .context("metrics can't be installed")?;
    metrics::gauge!("numberdesk_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(Metrics(handle))
}

impl Metrics {
    /// As Prometheus reads them, with what the process takes of processor, memory and files at this moment.
    pub fn render(&self) -> String {
        Collector::default().collect();
        self.0.render()
    }

    /// Gives back the memory of what was measured; to be called now and then.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}
