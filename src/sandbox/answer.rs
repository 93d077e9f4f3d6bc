//! An answer before it becomes HTTP, and the error bodies that Close is known for. Knows no endpoint.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Status, headers beyond content type, and body.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Both sides are answers: the failed one ends the work early.
pub(super) type Outcome = Result<Answer, Answer>;

impl Answer {
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: serde_json::to_vec(body).expect("what this module answers has string keys only"),
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// `{"error": text}`, as Close answers 401, 403, 404 and a body that is not JSON.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "error": text }))
    }

    /// 400 for the request as a whole.
    pub(super) fn invalid(text: &str) -> Self {
        Self::json(400, &json!({ "errors": [text], "field-errors": {} }))
    }

    /// 400 for one field.
    pub(super) fn invalid_field(field: &str, text: &str) -> Self {
        Self::invalid_fields(&Map::from_iter([(field.to_owned(), text.into())]))
    }

    /// 400 for several fields.
    pub(super) fn invalid_fields(fields: &Map<String, Value>) -> Self {
        Self::json(400, &json!({ "errors": [], "field-errors": fields }))
    }

    /// 404 in the words that Close uses for an object.
    pub(super) fn unknown(object: &str) -> Self {
        Self::error(
            404,
            &format!("Empty query: {object} matching query does not exist."),
        )
    }

    /// 400 by which Close does not rent.
    pub(super) fn refused(status: &str, error: Option<&str>) -> Self {
        let mut body = json!({ "status": status });
        if let Some(error) = error {
            body["error"] = error.into();
        }
        Self::json(400, &body)
    }

    pub(super) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
