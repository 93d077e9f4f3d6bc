//! What is told of a request when it has ended: one line in the log, its span, and the metrics. No query, no header but a
//! plain request id of the client's own, and no phone number.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;
use tracing::Span;
use tracing::field::Empty;

use crate::domain::close_event::WEBHOOK_PATH;
use crate::http::middleware::request_context::{Ticket, X_REQUEST_ID};
use crate::http::problem::Problem;
use crate::telemetry::context::{self, UpstreamTime};
use crate::telemetry::metrics::{HTTP_REQUEST_DURATION_SECONDS, HTTP_REQUESTS_TOTAL};

/// What a request came to, where its status does not say: put into the answer's extensions.
#[derive(Clone, Copy)]
pub(in crate::http) struct Outcome(pub(in crate::http) &'static str);

/// A request that is told of when it has ended.
pub(in crate::http) struct Line {
    method: &'static str,
    route: String,
    client_request_id: Option<String>,
    started: Instant,
    /// All that is done for the request is done within.
    pub(in crate::http) span: Span,
    /// What it waited for Close meanwhile.
    pub(in crate::http) waited: UpstreamTime,
}

impl Line {
    pub(in crate::http) fn begin(request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let (method, route) = (
            known(request.method()),
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
        // Anyone can send a webhook: an outside caller must not decide what we trace.
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

    pub(in crate::http) fn write(self, response: &Response, ticket: &Ticket, problem: Option<&Problem>) {
        let Self {
            method,
            route,
            client_request_id,
            started,
            span,
            waited,
        } = self;
        let (took, status) = (started.elapsed(), response.status().as_u16());
        let labels = [
            ("method", method.to_owned()),
            ("route", route.clone()),
            ("status", status.to_string()),
        ];
        metrics::counter!(HTTP_REQUESTS_TOTAL, &labels).increment(1);
        metrics::histogram!(HTTP_REQUEST_DURATION_SECONDS, &labels[..2]).record(took);

        let caller = ticket.caller.get();
        let subject = caller.map(|caller| plain(&caller.subject));
        let team = caller.and_then(|caller| caller.team(None).ok()).map(String::from);
        let outcome = match (problem, response.extensions().get()) {
            (Some(problem), _) => problem.kind().name(),
            (None, Some(Outcome(word))) => word,
            (None, None) => "ok",
        };
        let request_id = ticket.request_id.as_str();
        span.record("http.response.status_code", status);
        span.record("request_id", request_id);
        span.record("team", team.as_deref());
        span.record("outcome", outcome);
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        let (duration_ms, upstream_ms) = (millis(took), millis(waited.total()));
        let trace_id = context::trace_id(&span);
        /// The same fields, whatever the level is.
        macro_rules! tell {
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
        if let Some(cause) = problem.and_then(Problem::chain) {
            tell!(error, "request failed", cause);
        } else {
            tell!(info, "request");
        }
    }
}

/// As a number in JSON, which a `u128` is not.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One of a few words, so that nobody fills the metrics with methods of their own.
fn known(method: &Method) -> &'static str {
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

/// A name from a token, fit for a line of text.
fn plain(text: &str) -> String {
    text.chars()
        .take(128)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}
