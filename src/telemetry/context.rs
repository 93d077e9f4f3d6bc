//! The context of a request's work: its position in a trace (W3C Trace Context), and the time it has waited for Close.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

static W3C: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

tokio::task_local! {
    static UPSTREAM_TIME: UpstreamTime;
}

/// The time that a request and all work it started have waited for Close; parallel calls each count in full.
#[derive(Clone, Default)]
pub(crate) struct UpstreamTime(Arc<AtomicU64>);

impl UpstreamTime {
    /// Runs the work and adds the time it waits for Close.
    pub(crate) async fn measure<F: Future>(&self, work: F) -> F::Output {
        UPSTREAM_TIME.scope(self.clone(), work).await
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Adds time that the current work has waited for Close.
pub(crate) fn add_upstream_time(took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let _ = UPSTREAM_TIME.try_with(|time| time.0.fetch_add(micros, Ordering::Relaxed));
}

/// Wraps work for a task of its own, so that it stays part of the request that started it.
pub(crate) fn inherit<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let time = UPSTREAM_TIME.try_with(Clone::clone).unwrap_or_default();
    UPSTREAM_TIME.scope(time, work.in_current_span())
}

/// Makes the span part of the trace that a request's headers name.
pub(crate) fn extract(span: &Span, headers: &HeaderMap) {
    // Fails if the span has started or is not recorded at all; then it has no parent.
    let _ = span.set_parent(W3C.extract(&HeaderExtractor(headers)));
}

/// Names the span in an outgoing request's headers.
///
/// The callers' own `tracestate` is not forwarded: third parties have no need for it.
pub(crate) fn inject(span: &Span, headers: &mut HeaderMap) {
    let mut context = HeaderMap::new();
    W3C.inject_context(&span.context(), &mut HeaderInjector(&mut context));
    if let Some(parent) = context.remove("traceparent") {
        headers.insert("traceparent", parent);
    }
}

/// The id of the trace that the span belongs to, if that trace is recorded.
pub(crate) fn recorded_trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let span_context = context.span().span_context().clone();
    span_context
        .is_sampled()
        .then(|| span_context.trace_id().to_string())
}

/// The id of the trace that the span belongs to, if any.
pub(crate) fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let span_context = context.span().span_context().clone();
    span_context
        .is_valid()
        .then(|| span_context.trace_id().to_string())
}
