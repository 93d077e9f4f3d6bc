//! The caller, from the bearer token of a request. It checks no permission: the desk does.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use crate::auth::Rejection;
use crate::desk::By;
use crate::domain::caller;
use crate::http::Http;
use crate::http::middleware::request_context::Ticket;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::Kind;
use crate::telemetry::metrics::REQUESTS_LIMITED_TOTAL;

/// Who sent the request. A handler that takes it can't be reached without a valid token.
pub(in crate::http) struct Caller(Ticket, Arc<caller::Caller>);

impl Caller {
    /// The caller as the desk wants to know it.
    pub(in crate::http) fn by(&self) -> By<'_> {
        By {
            caller: &self.1,
            request_id: &self.0.request_id,
        }
    }
    /// Who it is.
    pub(in crate::http) fn who(&self) -> &caller::Caller {
        &self.1
    }
}

impl FromRequestParts<Http> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Problem> {
        let token = token(&parts.headers)?;
        let identity = http
            .auth
            .authenticate(token)
            .await
            .map_err(|rejection| match rejection {
                Rejection::Invalid { reason } => unauthorized(Some(reason)),
                Rejection::KeysUnavailable => {
                    let cause = "no good keys of the token's issuer can be had";
                    Problem::new(Kind::KeysUnavailable).retry_after(10).cause(cause)
                }
            })?;
        let caller = http.desk.admit(identity)?;
        let ticket = parts.extensions.get::<Ticket>().cloned();
        let ticket = ticket.expect("the front gives every request a ticket");
        // An extractor runs once a request; a second answer would be the same caller.
        let _ = ticket.caller.set(caller.clone());
        if let Some(standing) = http.allowance.take(&caller, http.desk.now()) {
            let _ = ticket.standing.set(standing);
            if let Some(seconds) = standing.refused_for {
                let team = http.desk.team_in_metrics(&caller);
                metrics::counter!(REQUESTS_LIMITED_TOTAL, "team" => team).increment(1);
                return Err(Problem::new(Kind::RateLimited).retry_after(seconds));
            }
        }
        Ok(Self(ticket, caller))
    }
}

fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(unauthorized(None));
    };
    if values.next().is_some() {
        return Err(unauthorized(Some(
            "the header Authorization stands more than once",
        )));
    }
    let value = value
        .to_str()
        .map_err(|_| unauthorized(Some("the token is not ASCII")))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(unauthorized(None));
    }
    let token = token.trim_matches(' ');
    if token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(unauthorized(Some(
            "the header Authorization must be `Bearer` and one token",
        )));
    }
    Ok(token)
}

/// RFC 6750 section 3: without a token there is no error to name.
fn unauthorized(reason: Option<&str>) -> Problem {
    let mut challenge = "Bearer realm=\"numberdesk\"".to_owned();
    let mut problem = Problem::new(Kind::Unauthorized);
    if let Some(reason) = reason {
        let quotable = reason.replace(['"', '\\'], "'");
        challenge = format!("{challenge}, error=\"invalid_token\", error_description=\"{quotable}\"");
        problem = problem.detail(format!("The token does not hold: {reason}."));
    } else {
        problem = problem.detail("The request carries no bearer token.");
    }
    let challenge = HeaderValue::from_str(&challenge).expect("the reasons are plain ASCII sentences");
    problem.header(WWW_AUTHENTICATE, challenge)
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
