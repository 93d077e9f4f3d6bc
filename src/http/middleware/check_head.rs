//! Checks the path, the query, the headers and the host of a request, before any other code reads them.

use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;

use crate::http::limits::Limits;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

const MAX_URI_BYTES: usize = 8 << 10;
const MAX_HEADER_BYTES: usize = 32 << 10;

/// Refuses a request with a path, query or headers that are too large, or without exactly one host.
pub(in crate::http) fn check_head(request: &Request, limits: &Limits) -> Result<(), Problem> {
    let headers = request.headers();
    let header_bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    let uri_bytes = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri_bytes > MAX_URI_BYTES {
        return Err(Problem::new(ProblemType::UriTooLong));
    }
    if headers.len() > limits.max_headers || header_bytes > MAX_HEADER_BYTES {
        return Err(Problem::new(ProblemType::HeadersTooLarge));
    }
    // RFC 9112 section 3.2 requires it: with two hosts, a proxy and the service could disagree about the target.
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Problem::fault("/headers/Host", "must appear exactly once"));
    }
    Ok(())
}
