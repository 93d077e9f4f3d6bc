//! Checks a request's head before anything else looks at it: its address, its headers and its host.

use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;

use crate::http::limits::Limits;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

const MAX_URI_BYTES: usize = 8 << 10;
const MAX_HEADER_BYTES: usize = 32 << 10;

/// Refuses a request whose address or headers are too large, or that does not name exactly one host.
pub(in crate::http) fn check_head(request: &Request, limits: &Limits) -> Result<(), Problem> {
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let address = request
        .uri()
        .path_and_query()
        .map_or(0, |address| address.as_str().len());
    if address > MAX_URI_BYTES {
        return Err(Problem::new(ProblemType::UriTooLong));
    }
    if headers.len() > limits.max_headers || bytes > MAX_HEADER_BYTES {
        return Err(Problem::new(ProblemType::HeadersTooLarge));
    }
    // RFC 9112 section 3.2: with two hosts, two readers of the request could disagree about its target.
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Problem::fault("/headers/host", "must appear exactly once"));
    }
    Ok(())
}
