//! An answer before it becomes HTTP, and the error bodies that Close is known for. Knows no endpoint.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Status, headers beyond content type, and body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Both sides are answers: the failed one ends the work early.
pub(crate) type Outcome = Result<Answer, Answer>;

impl Answer {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: serde_json::to_vec(body).expect("what this module answers has string keys only"),
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// `{"error": text}`, as Close answers 401, 403, 404 and a body that is not JSON.
    pub(crate) fn error(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "error": text }))
    }

    /// 400 for the request as a whole.
    pub(crate) fn invalid(text: &str) -> Self {
        Self::json(400, &json!({ "errors": [text], "field-errors": {} }))
    }

    /// 400 for one field.
    pub(crate) fn invalid_field(field: &str, text: &str) -> Self {
        Self::invalid_fields(&Map::from_iter([(field.to_owned(), text.into())]))
    }

    /// 400 for several fields.
    pub(crate) fn invalid_fields(fields: &Map<String, Value>) -> Self {
        Self::json(400, &json!({ "errors": [], "field-errors": fields }))
    }

    /// 404 in the words that Close uses for an object.
    pub(crate) fn unknown(object: &str) -> Self {
        Self::error(
            404,
            &format!("Empty query: {object} matching query does not exist."),
        )
    }

    /// 400 by which Close does not rent.
    pub(crate) fn refused(status: &str, error: Option<&str>) -> Self {
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
