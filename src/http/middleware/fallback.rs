//! The responses to requests that no handler completes: unknown routes, unknown methods and panics.

use std::any::Any;

use axum::response::{IntoResponse, Response};

use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;

/// Responds to a request with a path that no route matches.
pub(in crate::http) async fn not_found() -> Problem {
    Problem::new(ProblemType::NotFound)
}

/// Responds to a request with a method that the route does not have.
///
/// The router adds the header `Allow`.
pub(in crate::http) async fn method_not_allowed() -> Problem {
    Problem::new(ProblemType::MethodNotAllowed)
}

/// Responds to a request whose handler panicked.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that `CatchPanicLayer` requires"
)]
pub(in crate::http) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::new(ProblemType::Internal)
        .cause(format!("a handler panicked: {message}"))
        .into_response()
}
