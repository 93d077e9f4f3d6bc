//! Logs: one line an event on stderr, as text for people or as JSON for machines.

use std::fmt::Error;
use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry_sdk::Resource;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

use super::redact::RedactedStderr;
use super::resource::members;

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

/// A duration for the log: in milliseconds, to the microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact below 2^53 microseconds, which are 285 years"
    )]
    let micros = time.as_micros() as f64;
    micros / 1_000.0
}

/// The layer that writes log lines. `NUMBERDESK_LOG` overrides `filter`; `NO_COLOR` turns colours off.
///
/// Lines of JSON end with the attributes of the resource. A person at a terminal knows them.
pub(super) fn layer<S>(
    format: LogFormat,
    filter: &str,
    resource: &Resource,
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
            .map_event_format(|json| WithResource {
                json,
                members: members(resource),
            })
            .boxed()
    } else {
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        lines.with_ansi(colour).with_target(false).boxed()
    };
    Ok(lines.with_filter(filter).boxed())
}

/// Adds the attributes of the resource to each line of JSON.
struct WithResource {
    json: Format<Json>,
    /// Members of an object, each with a comma before it.
    members: String,
}

impl<S, N> FormatEvent<S, N> for WithResource
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> Result<(), Error> {
        let mut line = String::new();
        self.json.format_event(context, Writer::new(&mut line), event)?;
        let open = line.trim_end().strip_suffix('}').ok_or(Error)?;
        writeln!(writer, "{open}{}}}", self.members)
    }
}
