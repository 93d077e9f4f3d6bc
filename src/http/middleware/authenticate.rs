//! The authentication middleware: verifies the bearer token of a request and resolves its caller.
//!
//! It does not check permissions: use cases do.

use axum::Router;
use axum::extract::{Extension, FromRef, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use crate::auth::Rejection;
use crate::http::middleware::rate_limit::rate_limit;
use crate::http::middleware::request_context::RequestContext;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;
use crate::http::problem::sentence;
use crate::http::state::Http;

/// The state of routes behind this middleware.
///
/// Only [`protect`] creates it, and the extractor `Caller` is implemented for this state only. So a handler with a
/// caller does not compile on a router without the middleware.
#[derive(Clone)]
pub(in crate::http) struct Authenticated(Http);

impl FromRef<Authenticated> for Http {
    fn from_ref(state: &Authenticated) -> Self {
        state.0.clone()
    }
}

/// Adds authentication and then the rate limit to the routes.
///
/// Neither runs for a request with an unknown path or method, which gets a 404 or 405.
pub(in crate::http) fn protect(routes: Router<Authenticated>, http: &Http) -> Router<Http> {
    routes
        .route_layer(from_fn_with_state(http.clone(), rate_limit))
        .route_layer(from_fn_with_state(http.clone(), authenticate))
        .with_state(Authenticated(http.clone()))
}

/// Stores the caller in the request context, or responds with 401, 403 or 503.
async fn authenticate(
    State(http): State<Http>,
    Extension(context): Extension<RequestContext>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = resolve(&http, &context, request.headers()).await {
        return problem.into_response();
    }
    next.run(request).await
}

async fn resolve(http: &Http, context: &RequestContext, headers: &HeaderMap) -> Result<(), Problem> {
    let identity = http
        .auth
        .authenticate(token(headers)?)
        .await
        .map_err(|rejection| match rejection {
            Rejection::Invalid { reason } => unauthorized(reason),
            Rejection::LivesTooLong { .. } => unauthorized(&rejection.to_string()),
            Rejection::KeysUnavailable => Problem::new(ProblemType::KeysUnavailable)
                .retry_after(10)
                .cause("no usable keys of the token's issuer"),
        })?;
    let caller = http.desk.access.resolve_caller(identity)?;
    // The middleware runs once for each request, so the caller is not set yet.
    let _ = context.caller.set(caller);
    Ok(())
}

fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(without_token("The request has no bearer token."));
    };
    if values.next().is_some() {
        return Err(unauthorized("the header Authorization appears more than once"));
    }
    let value = value
        .to_str()
        .map_err(|_| unauthorized("the token is not ASCII"))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(without_token(
            "The request has no bearer token: the header Authorization must be `Bearer`, a space, and the token.",
        ));
    }
    let token = token.trim_matches(' ');
    if token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(unauthorized(
            "the header Authorization must contain `Bearer` and one token",
        ));
    }
    Ok(token)
}

/// Returns the problem of a token that is not accepted.
fn unauthorized(reason: &str) -> Problem {
    let quotable = reason.replace(['"', '\\'], "'");
    let error = format!(", error=\"invalid_token\", error_description=\"{quotable}\"");
    challenge(&sentence(&format!("The token is not valid: {reason}")), &error)
}

/// Returns the problem of a request without a token. Its challenge contains no error (RFC 6750 section 3).
fn without_token(detail: &str) -> Problem {
    challenge(detail, "")
}

fn challenge(detail: &str, error: &str) -> Problem {
    let challenge = HeaderValue::from_str(&format!("Bearer realm=\"numberdesk\"{error}"))
        .expect("the reasons are plain ASCII sentences");
    Problem::new(ProblemType::Unauthorized)
        .detail(detail)
        .header(WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        token(&headers).ok().map(str::to_owned)
    }

    #[test]
    fn only_one_bearer_token_is_a_token() {
        assert_eq!(read(&["Bearer abc.def"]).unwrap(), "abc.def");
        assert_eq!(read(&["bEARER  abc"]).unwrap(), "abc");
        for bad in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearer a b"],
            &["Bearer a\tb"],
            &["Basic YWxhZGRpbjpvcGVu"],
            &["abc"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
