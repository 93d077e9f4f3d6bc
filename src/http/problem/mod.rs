//! What went wrong, as an answer: `application/problem+json` (RFC 9457), and how it is put together.
//! It does not know the request; [`crate::http::middleware::request_context`] adds its path and id when the answer is written.

pub(super) mod from_error;
pub(super) mod problem_type;

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::domain::input::fields::Fault;
use crate::error::{Cause, chain};
use crate::http::problem::problem_type::ProblemType;

/// Faults that one answer names: thousands of wrong fields must not make it many times their size.
const SHOWN: usize = 100;

/// A problem on its way out.
#[derive(Debug)]
pub(super) struct Problem(Box<Inner>);

/// Boxed, because every `Result` of a handler has room for it.
#[derive(Debug)]
struct Inner {
    kind: ProblemType,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log and nowhere else.
    cause: Option<Cause>,
}

impl Problem {
    /// A problem that says of itself what its kind means.
    pub(super) fn new(kind: ProblemType) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: kind.meaning().to_owned(),
            members: Map::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }
    /// Something in the request is wrong; each fault with its place.
    pub(super) fn invalid(faults: &[Fault]) -> Self {
        let detail = match faults {
            [only] if only.pointer.is_empty() => format!("{}.", only.message),
            [only] => format!("{}: {}.", only.pointer, only.message),
            many if many.len() > SHOWN => format!(
                "{} things are wrong with the request; `errors` names the first {SHOWN}.",
                many.len()
            ),
            many => format!(
                "{} things are wrong with the request; `errors` names each.",
                many.len()
            ),
        };
        let errors: Vec<Value> = faults
            .iter()
            .take(SHOWN)
            .map(|fault| json!({"pointer": fault.pointer, "message": fault.message}))
            .collect();
        Self::new(ProblemType::InvalidRequest)
            .detail(detail)
            .member("errors", errors)
    }
    /// One thing in the request is wrong.
    pub(super) fn fault(pointer: &str, message: impl Into<String>) -> Self {
        Self::invalid(&[Fault {
            pointer: pointer.to_owned(),
            message: message.into(),
        }])
    }

    /// Says more precisely what happened.
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
    /// Says when to come back.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }
    /// Keeps what only the log may tell.
    pub(super) fn cause(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The cause and what caused it in turn, in one line.
    pub(super) fn chain(&self) -> Option<String> {
        Some(chain(self.0.cause.as_deref()?))
    }

    pub(super) const fn problem_type(&self) -> ProblemType {
        self.0.kind
    }

    /// The document, for a request to `instance`.
    pub(super) fn document(&self, instance: &str, request_id: &str) -> Value {
        let mut document = json!({
            "type": self.0.kind.uri(),
            "title": self.0.kind.title(),
            "status": self.0.kind.status().as_u16(),
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

/// The answer without its body, which [`crate::http::middleware::request_context`] writes.
impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = self.0.kind.status().into_response();
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
