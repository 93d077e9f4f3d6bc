//! The responses to requests that no handler completes: unknown routes, unknown methods and panics.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Extension, MatchedPath, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{PathItem, Paths};

use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;
use crate::http::state::Http;

/// Maximum number of characters of the right path in `detail`.
const MAX_SHOWN_PATH: usize = 256;

/// Responds to a request with a path of the API port that no route matches.
pub(in crate::http) async fn not_found(State(http): State<Http>) -> Problem {
    no_such_path(&format!(
        "This service has no such path. `{}` and `{}` list its paths.",
        http.prefix.path("/docs/"),
        http.prefix.path("/openapi.json")
    ))
}

/// Responds to a request with a path of the operators' port that no route matches.
pub(in crate::http) async fn not_found_by_operators() -> Problem {
    no_such_path(
        "This port has no such path. It has `/livez`, `/readyz`, `/startupz` and `/metrics`; the API is on another port.",
    )
}

fn no_such_path(detail: &str) -> Problem {
    Problem::new(ProblemType::NotFound).detail(detail)
}

/// Responds to a request with a path of this API and a slash after it.
///
/// It redirects only requests that a client may safely repeat. The new path is that of the request without the slash. It
/// has no empty segment, so a client cannot read a part of it as another host.
pub(in crate::http) async fn trailing_slash(http: State<Http>, method: Method, uri: Uri) -> Response {
    let right = |path: &&str| !path.contains("//") && !path.ends_with('/');
    let Some(path) = uri.path().strip_suffix('/').filter(right) else {
        return not_found(http).await.into_response();
    };
    if method != Method::GET && method != Method::HEAD {
        let shown: String = path
            .chars()
            .filter(|c| !c.is_control())
            .take(MAX_SHOWN_PATH)
            .collect();
        return no_such_path(&format!(
            "Paths of this API do not end with a slash. Send the request to `{shown}`."
        ))
        .into_response();
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    match HeaderValue::from_str(&format!("{path}{query}")) {
        Ok(location) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response(),
        Err(_) => not_found(http).await.into_response(),
    }
}

/// Responds to a request with a method that the route does not have.
///
/// The router adds the header `Allow`, but only after this function, so `detail` takes the methods from `operations`.
/// A path without operations, such as a page, has only the header.
pub(in crate::http) async fn method_not_allowed(
    path: Option<MatchedPath>,
    operations: Option<Extension<Methods>>,
) -> Problem {
    let problem = Problem::new(ProblemType::MethodNotAllowed);
    let methods = path.zip(operations.as_ref());
    match methods.and_then(|(path, Extension(methods))| methods.0.get(path.as_str())) {
        Some(methods) => problem.detail(format!("The path exists, but supports only {methods}.")),
        None => problem,
    }
}

/// The methods of each path that has operations, as a text.
#[derive(Clone)]
pub(in crate::http) struct Methods(Arc<HashMap<String, String>>);

impl Methods {
    /// Reads the methods from the operations of the OpenAPI document.
    pub(in crate::http) fn of(paths: &Paths) -> Self {
        let methods = |item: &PathItem| {
            let operations = [
                ("GET", &item.get),
                ("HEAD", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            let names = operations.iter().filter(|(_, operation)| operation.is_some());
            names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        let paths = paths.paths.iter();
        Self(Arc::new(
            paths.map(|(path, item)| (path.clone(), methods(item))).collect(),
        ))
    }
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
