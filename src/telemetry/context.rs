//! What a piece of work takes along wherever it goes on: its place in a trace (W3C Trace Context), and how long it has
//! waited for Close. It knows no exporter.

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
    static WAITED: Waited;
}

/// The time that a request and all work it began have waited for Close; calls side by side count each.
#[derive(Clone, Default)]
pub(crate) struct Waited(Arc<AtomicU64>);

impl Waited {
    /// Does the work and notes how long it waits.
    pub(crate) async fn over<F: Future>(&self, work: F) -> F::Output {
        WAITED.scope(self.clone(), work).await
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Notes that the work at hand has waited for Close.
pub(crate) fn waited(took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let _ = WAITED.try_with(|waited| waited.0.fetch_add(micros, Ordering::Relaxed));
}

/// Work for a task of its own, which stays part of what began it.
pub(crate) fn along<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let waited = WAITED.try_with(Clone::clone).unwrap_or_default();
    WAITED.scope(waited, work.in_current_span())
}

/// Makes the span part of the trace that a request's headers name.
pub(crate) fn follow(span: &Span, headers: &HeaderMap) {
    // Refused where the span has begun or is not recorded at all; then it has no parent.
    let _ = span.set_parent(W3C.extract(&HeaderExtractor(headers)));
}

/// Names the span in a request's headers. What callers' own tools wrote beside it (`tracestate`) stays here: who is asked
/// need not know it.
pub(crate) fn tell(span: &Span, headers: &mut HeaderMap) {
    let mut named = HeaderMap::new();
    W3C.inject_context(&span.context(), &mut HeaderInjector(&mut named));
    if let Some(parent) = named.remove("traceparent") {
        headers.insert("traceparent", parent);
    }
}

/// The trace that the span is part of, if it is in any.
pub(crate) fn id(span: &Span) -> Option<String> {
    let context = span.context();
    let known = context.span().span_context().clone();
    known.is_valid().then(|| known.trace_id().to_string())
}
