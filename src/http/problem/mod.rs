//! Problems: the error answers of the API, `application/problem+json` (RFC 9457).
//!
//! A problem does not know its request. [`crate::http::middleware::serve_request`] writes the body, with the request's path
//! and id.

pub(super) mod from_error;
pub(super) mod problem_type;

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::domain::input::fields::Fault;
use crate::error::{Cause, chain};
use crate::http::problem::problem_type::ProblemType;

/// Most faults that one answer lists, so that a request with thousands of wrong fields gets no huge answer.
const MAX_FAULTS: usize = 100;

/// An error answer.
#[derive(Debug)]
pub(super) struct Problem(Box<Inner>);

/// Boxed, because the `Result` of every handler is as large as its error.
#[derive(Debug)]
struct Inner {
    problem_type: ProblemType,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log only: it may contain internals.
    cause: Option<Cause>,
}

impl Problem {
    /// A problem whose detail is the meaning of its type.
    pub(super) fn new(problem_type: ProblemType) -> Self {
        Self(Box::new(Inner {
            problem_type,
            detail: problem_type.meaning().to_owned(),
            members: Map::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }
    /// The problem `invalid-request` with its faults.
    pub(super) fn invalid(faults: &[Fault]) -> Self {
        let detail = match faults {
            [only] if only.pointer.is_empty() => format!("{}.", only.message),
            [only] => format!("{}: {}.", only.pointer, only.message),
            many if many.len() > MAX_FAULTS => format!(
                "The request has {} faults; `errors` lists the first {MAX_FAULTS}.",
                many.len()
            ),
            many => format!("The request has {} faults; `errors` lists them.", many.len()),
        };
        let errors: Vec<Value> = faults
            .iter()
            .take(MAX_FAULTS)
            .map(|fault| json!({"pointer": fault.pointer, "message": fault.message}))
            .collect();
        Self::new(ProblemType::InvalidRequest)
            .detail(detail)
            .member("errors", errors)
    }
    /// The problem `invalid-request` with one fault.
    pub(super) fn fault(pointer: &str, message: impl Into<String>) -> Self {
        Self::invalid(&[Fault {
            pointer: pointer.to_owned(),
            message: message.into(),
        }])
    }

    /// Replaces the detail.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }
    /// Adds a member to the document.
    pub(super) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }
    /// Adds a header to the answer.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }
    /// Adds the header `Retry-After`.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }
    /// Adds the cause, which goes to the log only.
    pub(super) fn cause(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The cause and its own causes, in one line.
    pub(super) fn chain(&self) -> Option<String> {
        Some(chain(self.0.cause.as_deref()?))
    }

    pub(super) const fn problem_type(&self) -> ProblemType {
        self.0.problem_type
    }

    /// The body of the answer, for a request to `instance`.
    pub(super) fn document(&self, instance: &str, request_id: &str) -> Value {
        let mut document = json!({
            "type": self.0.problem_type.uri(),
            "title": self.0.problem_type.title(),
            "status": self.0.problem_type.status().as_u16(),
            "detail": self.0.detail,
            "instance": instance,
            "request_id": request_id,
        });
        for (name, value) in &self.0.members {
            document[name] = value.clone();
        }
        document
    }
}

/// The answer without its body, which [`crate::http::middleware::serve_request`] writes.
impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = self.0.problem_type.status().into_response();
        for (name, value) in self.0.headers.drain(..) {
            response.headers_mut().append(name, value);
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<Vec<Fault>> for Problem {
    fn from(faults: Vec<Fault>) -> Self {
        Self::invalid(&faults)
    }
}
