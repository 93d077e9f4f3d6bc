//! A response before it becomes HTTP, and the error bodies of Close.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Status, headers and body.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The result of an endpoint; the error is a response, too.
pub(crate) type Outcome = Result<Response, Response>;

impl Response {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: serde_json::to_vec(body).expect("bodies have string keys only"),
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// `{"error": text}`: Close's body for 401, 403, 404 and for invalid JSON.
    pub(crate) fn error(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "error": text }))
    }

    /// 400 about the request as a whole.
    pub(crate) fn invalid(text: &str) -> Self {
        Self::json(400, &json!({ "errors": [text], "field-errors": {} }))
    }

    /// 400 about one field.
    pub(crate) fn invalid_field(field: &str, text: &str) -> Self {
        Self::invalid_fields(&Map::from_iter([(field.to_owned(), text.into())]))
    }

    /// 400 about several fields.
    pub(crate) fn invalid_fields(fields: &Map<String, Value>) -> Self {
        Self::json(400, &json!({ "errors": [], "field-errors": fields }))
    }

    /// 404 with Close's text for an unknown object.
    pub(crate) fn not_found(object: &str) -> Self {
        Self::error(
            404,
            &format!("Empty query: {object} matching query does not exist."),
        )
    }

    /// 400 with the status by which Close refuses a rent.
    pub(crate) fn rent_refused(status: &str, error: Option<&str>) -> Self {
        let mut body = json!({ "status": status });
        if let Some(error) = error {
            body["error"] = error.into();
        }
        Self::json(400, &body)
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
