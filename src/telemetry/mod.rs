//! Logs, traces and metrics of the process: how they look and where they go.
//!
//! Almost every other module may use this one, so it uses only the module of HTTP clients. `app` fills [`Settings`] from
//! the configuration. No other module names an exporter.

pub(crate) mod context;
mod held;
mod logs;
pub mod metrics;
mod metrics_guide;
mod process;
mod recorder;
mod redact;
mod resource;
mod suffix;
mod traces;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use self::held::HeldLogs;
pub use self::logs::LogFormat;
pub(crate) use self::logs::millis;
pub use self::metrics_guide::metrics_guide;
pub use self::recorder::{Metrics, MetricsFormat};
pub use self::traces::CollectorSettings;
use self::traces::Traces;

/// What to log and to trace, and where to send it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The shape of a log line.
    pub log_format: LogFormat,
    /// A level, or a `tracing` filter such as `info,numberdesk=debug`. `NUMBERDESK_LOG` overrides it.
    pub log_filter: String,
    /// The collector of traces, if there is one.
    pub collector: Option<CollectorSettings>,
    /// The share of requests to trace if the caller's own trace context does not decide, 0 to 100.
    pub traced_percent: u8,
}

/// The running export of logs and spans. [`Self::end`] sends the spans that are left.
pub struct Telemetry(Traces);

/// Starts sending logs to stderr, and spans to the collector if there is one.
///
/// Needs a Tokio runtime. Fails if the log filter has a syntax error, or the exporter can't be built.
pub fn start(settings: &Settings) -> anyhow::Result<Telemetry> {
    let resource = resource::resource();
    let logs = logs::layer(settings.log_format, &settings.log_filter, &resource)?;
    let traces = Traces::start(settings.collector.as_ref(), settings.traced_percent, resource)?;
    // In tests a process starts several services: the first subscriber stays.
    let _ = tracing_subscriber::registry()
        .with(logs)
        .with(traces.layer())
        .try_init();
    Ok(Telemetry(traces))
}

impl Telemetry {
    /// Sends the spans that are left, for two seconds at most.
    pub async fn end(self) {
        // The exporter needs this runtime for sending, so the blocking wait must not occupy its thread.
        let _ = tokio::task::spawn_blocking(move || self.0.end()).await;
    }
}
