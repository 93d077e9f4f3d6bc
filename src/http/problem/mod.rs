//! Problems: the error responses of the API, `application/problem+json` (RFC 9457).
//!
//! A [`Problem`] does not contain the path and the id of its request. The middleware
//! [`serve_request`](crate::http::middleware::serve_request) adds them when it writes the body.

pub(super) mod document;
pub(super) mod example;
pub(super) mod from_error;
pub(super) mod guide;
pub(super) mod problem_type;

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::domain::input::fault::Fault;
use crate::error::{Cause, chain};
use crate::http::problem::document::{Document, FieldError, Members};
use crate::http::problem::problem_type::ProblemType;

/// Maximum number of faults in one response.
///
/// It keeps the response small, also if a request has thousands of wrong fields.
const MAX_FAULTS: usize = 100;

/// An error response.
#[derive(Debug)]
pub(super) struct Problem(Box<Inner>);

/// The content of a [`Problem`]. It is boxed, so that the `Result` of every handler stays small.
#[derive(Debug)]
struct Inner {
    problem_type: ProblemType,
    detail: String,
    members: Members,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log only: may contain internal details.
    cause: Option<Cause>,
}

impl Problem {
    /// Returns a problem whose `detail` is the meaning of its type.
    pub(super) fn new(problem_type: ProblemType) -> Self {
        Self(Box::new(Inner {
            problem_type,
            detail: problem_type.meaning().to_owned(),
            members: Members::default(),
            headers: Vec::new(),
            cause: None,
        }))
    }
    /// Returns the problem `invalid-request` with these faults.
    pub(super) fn invalid(faults: &[Fault]) -> Self {
        let detail = match faults {
            [only] if only.pointer.is_empty() => of_body(&only.message),
            [only] => sentence(&format!("{}: {}", only.pointer, only.message)),
            many if many.len() > MAX_FAULTS => format!(
                "The request has {} faults; `errors` lists the first {MAX_FAULTS}.",
                many.len()
            ),
            many => format!("The request has {} faults; `errors` lists them.", many.len()),
        };
        let errors = faults.iter().take(MAX_FAULTS).map(FieldError::from).collect();
        Self::new(ProblemType::InvalidRequest)
            .detail(detail)
            .with(|members| members.errors = Some(errors))
    }
    /// Returns the problem `invalid-request` with one fault.
    pub(super) fn fault(pointer: &str, message: impl Into<String>) -> Self {
        Self::invalid(&[Fault {
            pointer: pointer.to_owned(),
            message: message.into(),
        }])
    }

    /// Returns a problem of this type, whose reason is one header. The pointer of the fault is `/headers/` and its name.
    pub(super) fn header_fault(problem_type: ProblemType, fault: &Fault) -> Self {
        let name = fault.pointer.trim_start_matches("/headers/");
        let detail = sentence(&format!("The header `{name}` {}", fault.message));
        Self::new(problem_type)
            .detail(detail)
            .with(|members| members.errors = Some(vec![FieldError::from(fault)]))
    }

    /// The problem of a request that wants to continue after an event that is not kept.
    pub(super) fn event_not_kept(pointer: &str) -> Self {
        Self::fault(
            pointer,
            "names no event that is still kept: read the current state, then continue without it",
        )
    }

    /// Replaces `detail`.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }
    /// Adds members that only some problem types have.
    pub(super) fn with(mut self, set: impl FnOnce(&mut Members)) -> Self {
        set(&mut self.0.members);
        self
    }
    /// Adds a header to the response.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }
    /// Adds the header `Retry-After`.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }
    /// Adds the cause. It appears in the log, never in the response.
    pub(super) fn cause(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Returns the cause and its own causes, in one line.
    pub(super) fn chain(&self) -> Option<String> {
        Some(chain(self.0.cause.as_deref()?))
    }

    pub(super) const fn problem_type(&self) -> ProblemType {
        self.0.problem_type
    }

    /// Returns the body of the response, for a request with the path `instance`.
    pub(super) fn document<'a>(&'a self, instance: &'a str, request_id: &'a str) -> Document<'a> {
        Document {
            r#type: self.0.problem_type.uri(),
            title: self.0.problem_type.title(),
            status: self.0.problem_type.status().as_u16(),
            detail: &self.0.detail,
            instance,
            request_id,
            members: &self.0.members,
        }
    }
}

/// Returns the fault of the whole body as a sentence, with the body as its subject.
fn of_body(message: &str) -> String {
    let lacks_subject = ["must ", "is "].iter().any(|verb| message.starts_with(verb));
    sentence(&if lacks_subject {
        format!("The body {message}")
    } else {
        message.to_owned()
    })
}

/// Ends a text with a full stop, unless it ends like a sentence already.
pub(super) fn sentence(text: &str) -> String {
    if text.ends_with(['.', '?', '!']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Returns the response without a body, with the problem in its extensions.
///
/// The middleware `serve_request` writes the body.
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
