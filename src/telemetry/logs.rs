//! Logs: one line an event on stderr, as text for people or as JSON for machines.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

use super::redact::RedactedStderr;

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// Text.
    Text,
}

/// The layer that writes log lines. `NUMBERDESK_LOG` overrides `filter`; `NO_COLOR` turns colours off.
pub(super) fn layer<S>(
    format: LogFormat,
    filter: &str,
) -> anyhow::Result<Box<dyn Layer<S> + Send + Sync + 'static>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = std::env::var("NUMBERDESK_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("`{filter}` is not a log level"))?;
    let terminal = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(RedactedStderr);
    let lines = if format == LogFormat::Json || (format == LogFormat::Auto && !terminal) {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    } else {
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        lines.with_ansi(colour).with_target(false).boxed()
    };
    Ok(lines.with_filter(filter).boxed())
}
