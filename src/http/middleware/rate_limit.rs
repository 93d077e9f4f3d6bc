//! The rate limit middleware: counts requests against the caller's quota, and responds with 429.

use axum::extract::{Extension, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::middleware::request_context::RequestContext;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;
use crate::http::state::Http;
use crate::telemetry::metrics::REQUESTS_LIMITED_TOTAL;

/// Checks the caller's quota, after `authenticate`.
///
/// It stores the quota in the request context, from which `serve_request` writes the headers of every response.
pub(in crate::http) async fn rate_limit(
    State(http): State<Http>,
    Extension(context): Extension<RequestContext>,
    request: Request,
    next: Next,
) -> Response {
    let caller = context.caller.get().expect("`authenticate` runs before");
    if let Some(quota) = http.rate_limiter.check(caller, http.desk.now()) {
        let _ = context.quota.set(quota);
        if let Some(seconds) = quota.retry_after {
            let team = http.desk.access.team_label(caller);
            metrics::counter!(REQUESTS_LIMITED_TOTAL, "team" => team).increment(1);
            return Problem::new(ProblemType::RateLimited)
                .retry_after(seconds)
                .into_response();
        }
    }
    next.run(request).await
}
