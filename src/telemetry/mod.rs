//! Logs, traces and metrics: where they go and how they look. Nothing else names an exporter.

pub(crate) mod context;
mod shorten;
mod traces;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use tracing_subscriber::filter::{EnvFilter, FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use self::shorten::Stderr;
use self::traces::Traces;
use crate::config::{self, Log, LogFormat};

/// Seconds; what lies between is what answers usually take.
const BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Logs and spans of the process. [`Self::end`] sends what is left of the spans.
pub struct Telemetry(Traces);

/// Sends logs to stderr, and spans to the collector, if there is one. The log's level is one, or a `tracing` filter;
/// `NUMBERDESK_LOG` overrides it.
pub fn start(log: &Log, traces: &config::Traces) -> anyhow::Result<Telemetry> {
    let filter = std::env::var("NUMBERDESK_LOG").unwrap_or_else(|_| log.level.clone());
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("`{filter}` is no log level"))?;
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let json = log.format == LogFormat::Json || (log.format == LogFormat::Auto && !terminal);
    let lines = fmt::layer().with_writer(Stderr);
    let lines = if json {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    } else {
        lines.with_ansi(colour).with_target(false).boxed()
    };
    let traces = Traces::start(traces)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(traces.tracer())
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(
            FilterFn::new(|it| it.is_span() && it.target().starts_with("numberdesk"))
                .with_max_level_hint(LevelFilter::INFO),
        );
    // A second call in one process (tests) keeps the first subscriber.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans)
        .try_init();
    Ok(Telemetry(traces))
}

impl Telemetry {
    /// Sends what is left, for two seconds at most.
    pub async fn end(self) {
        // Sending needs the runtime, which must not be held up meanwhile.
        let _ = tokio::task::spawn_blocking(move || self.0.end()).await;
    }
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
