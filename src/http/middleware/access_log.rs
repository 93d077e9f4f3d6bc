//! The access log: the span, the metrics and the log line of every request of the API port.
//!
//! It records no query and no phone number, and of the headers only the client's own request id.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;
use serde_json::{Map, Value};
use tracing::Span;
use tracing::field::Empty;

use crate::domain::close_event::WEBHOOK_PATH;
use crate::http::middleware::request_context::{RequestContext, X_REQUEST_ID};
use crate::http::middleware::request_log::{Ended, RequestLog};
use crate::http::problem::Problem;
use crate::telemetry::context::{self, UpstreamTime};
use crate::telemetry::metrics::{HTTP_REQUEST_DURATION_SECONDS, HTTP_REQUESTS_TOTAL};
use crate::telemetry::millis;

/// The outcome in the log of a request that succeeded. Handlers add it to the extensions of a response.
#[derive(Clone, Copy)]
pub(in crate::http) struct Outcome(pub(in crate::http) &'static str);

/// Lets the counter of each 5xx response that an operation documents begin at 0, so that rates count the first one.
pub(in crate::http) fn start_fault_counters(document: &Value) {
    let paths = document["paths"].as_object();
    let operations = paths.into_iter().flatten().flat_map(|(route, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (route, method, operation))
    });
    for (route, method, operation) in operations {
        for status in operation["responses"].as_object().into_iter().flat_map(Map::keys) {
            if status.starts_with('5') {
                let labels = [
                    ("method", method.to_ascii_uppercase()),
                    ("route", route.clone()),
                    ("status", status.clone()),
                ];
                metrics::counter!(HTTP_REQUESTS_TOTAL, &labels).increment(0);
            }
        }
    }
}

/// A running request, which is logged when it ends.
pub(in crate::http) struct AccessLog {
    method: &'static str,
    route: String,
    client_request_id: Option<String>,
    started: Instant,
    /// The span of all work for the request.
    pub(in crate::http) span: Span,
    /// The time that the request waits for Close.
    pub(in crate::http) waited: UpstreamTime,
}

impl AccessLog {
    /// Starts the clock and the span of a request.
    pub(in crate::http) fn begin(request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let (method, route) = (
            method_label(request.method()),
            matched.map_or("unmatched", MatchedPath::as_str).to_owned(),
        );
        let span = tracing::info_span!(
            "request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
            request_id = Empty,
            team = Empty,
            outcome = Empty,
        );
        // The route of Close's webhook needs no token. So its senders must not decide which traces are recorded.
        if route != WEBHOOK_PATH {
            context::extract(&span, request.headers());
        }
        Self {
            method,
            route,
            client_request_id: request
                .headers()
                .get(X_REQUEST_ID)
                .and_then(|id| id.to_str().ok())
                .filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
                .map(str::to_owned),
            started: Instant::now(),
            span,
            waited: UpstreamTime::default(),
        }
    }

    /// Counts the request, completes its span, and writes its log line if it has one.
    pub(in crate::http) fn write(
        self,
        log: &RequestLog,
        response: &Response,
        request: &RequestContext,
        problem: Option<&Problem>,
    ) {
        let Self {
            method,
            route,
            client_request_id,
            started,
            span,
            waited,
        } = self;
        let (duration, status) = (started.elapsed(), response.status());
        let ended = Ended {
            method,
            status,
            took: duration,
            traced: context::recorded_trace_id(&span).is_some(),
        };
        let status = status.as_u16();
        let labels = [
            ("method", method.to_owned()),
            ("route", route.clone()),
            ("status", status.to_string()),
        ];
        metrics::counter!(HTTP_REQUESTS_TOTAL, &labels).increment(1);
        span.in_scope(|| metrics::histogram!(HTTP_REQUEST_DURATION_SECONDS, &labels[..2]).record(duration));

        let caller = request.caller.get();
        let subject = caller.map(|caller| printable(caller.name()));
        let team = caller
            .and_then(|caller| caller.sole_team())
            .map(ToString::to_string);
        let outcome = match (problem, response.extensions().get()) {
            (Some(problem), _) => problem.problem_type().name(),
            (None, Some(Outcome(outcome))) => outcome,
            (None, None) => "ok",
        };
        let request_id = request.request_id.as_str();
        span.record("http.response.status_code", status);
        span.record("request_id", request_id);
        span.record("team", team.as_deref());
        span.record("outcome", outcome);
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        if !log.has(&ended) {
            return;
        }
        let (duration_ms, upstream_ms) = (millis(duration), millis(waited.total()));
        let trace_id = context::trace_id(&span);
        /// Writes the log line with these fields, at a level.
        macro_rules! log {
            ($level:ident, $message:literal $(, $more:ident)?) => {
                tracing::$level!(
                    method,
                    route,
                    status,
                    outcome,
                    duration_ms,
                    upstream_ms,
                    request_id,
                    trace_id,
                    subject,
                    team,
                    client_request_id,
                    $($more,)?
                    $message
                )
            };
        }
        if let Some(error) = problem.and_then(Problem::chain) {
            log!(error, "request failed", error);
        } else {
            log!(info, "request");
        }
    }
}

/// Returns the method as a metric label.
///
/// Unknown methods share one label, so that clients cannot create metric series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Returns a name from a token for the log.
///
/// It is shortened, and contains no control characters that could forge log lines.
fn printable(text: &str) -> String {
    text.chars()
        .take(128)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}
