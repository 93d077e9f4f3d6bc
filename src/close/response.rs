//! The outcome of an exchange, read from status and body.
//!
//! Close has several forms of errors. A 4xx in one of them is Close's refusal; a 4xx in any other form may come from a
//! proxy, so it proves nothing and the outcome is unclear.

use serde_json::{Map, Value};

use crate::close::error::Error;
use crate::domain::input::json;
use crate::domain::time::Timestamp;

/// The longest message of Close that is passed on, in characters.
const MESSAGE: usize = 1_000;
/// The longest status word and field name, in characters.
const WORD: usize = 100;
/// The most field errors that are passed on, in bytes of JSON.
const ERRORS: usize = 16 << 10;

/// The outcome of one exchange.
#[derive(Debug)]
pub(super) enum Outcome {
    /// 2xx with JSON, or with an empty body.
    Done(Reply),
    /// A 4xx in a form of Close's errors: not executed.
    Refused(Refusal),
    /// 429: not executed.
    RateLimited { until: Timestamp },
    /// 401: not executed.
    Unauthorized,
    /// Nothing was sent.
    NotSent { reason: String },
    /// It may or may not have been executed.
    Unclear { reason: String },
}

impl Outcome {
    /// Whether Close responded, even with a refusal.
    pub(super) const fn has_response(&self) -> bool {
        !matches!(self, Self::NotSent { .. } | Self::Unclear { .. })
    }

    /// The label value in metrics.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Refused(_) => "refused",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::NotSent { .. } => "not_sent",
            Self::Unclear { .. } => "unclear",
        }
    }
}

/// A 2xx.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `null` if the body was empty.
    pub(super) body: Value,
    /// The size of the body, in bytes.
    pub(super) size: usize,
}

/// A refusal by Close.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) close_status: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) close_errors: Option<Map<String, Value>>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            status: refusal.status,
            close_status: refusal.close_status.unwrap_or_else(|| "error".to_owned()),
            reason: refusal.reason,
            close_errors: refusal.close_errors,
        }
    }
}

/// Reads a response. The caller handles 429 before, by the headers.
pub(super) fn read(status: u16, body: &[u8]) -> Outcome {
    let unclear = |reason: String| Outcome::Unclear { reason };
    match status {
        200..=299 => {
            let value = if body.is_empty() {
                Ok(Value::Null)
            } else {
                json::parse(body)
            };
            match value {
                Ok(value) => Outcome::Done(Reply {
                    status,
                    body: value,
                    size: body.len(),
                }),
                Err(_) => unclear(format!("the answer was not JSON ({status})")),
            }
        }
        300..=399 => unclear(format!(
            "the answer was a redirect, which is not followed ({status})"
        )),
        401 => Outcome::Unauthorized,
        408 => unclear("close timed out (408)".to_owned()),
        400..=499 => match refusal(status, body) {
            Some(refusal) => Outcome::Refused(refusal),
            None => unclear(format!(
                "the answer is not in a format of close's errors ({status})"
            )),
        },
        _ => unclear(format!("close failed ({status})")),
    }
}

/// Reads the body of a 4xx; `None` unless it is an object with a member of Close's errors, of the right type.
fn refusal(status: u16, body: &[u8]) -> Option<Refusal> {
    let Value::Object(members) = json::parse(body).ok()? else {
        return None;
    };
    let word = members.get("status").and_then(Value::as_str);
    let error = members.get("error").filter(|error| match error {
        Value::String(_) => true,
        Value::Object(wrapped) => !wrapped.is_empty(),
        _ => false,
    });
    let errors = members.get("errors").and_then(Value::as_array);
    let fields = members.get("field-errors").and_then(Value::as_object);
    if word.is_none() && error.is_none() && errors.is_none() && fields.is_none() {
        return None;
    }
    let single = error.and_then(|error| error.as_str().or_else(|| error.get("message")?.as_str()));
    let several = errors.map(|errors| {
        let texts: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
        texts.join("; ")
    });
    Some(Refusal {
        status,
        close_status: word.map(|word| clean(word, WORD)).filter(|word| !word.is_empty()),
        reason: single
            .map(str::to_owned)
            .or(several)
            .map(|text| clean(&text, MESSAGE))
            .filter(|text| !text.is_empty()),
        close_errors: fields.map(field_errors).filter(|errors| !errors.is_empty()),
    })
}

/// Removes control characters, and cuts the text to `most` characters.
fn clean(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// Cleans field errors, and keeps as many as fit into [`ERRORS`].
fn field_errors(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut room = ERRORS;
    let mut kept = Map::new();
    for (field, error) in fields {
        let (field, error) = (clean(field, WORD), cleaned(error));
        let Some(left) = room.checked_sub(field.len() + error.to_string().len()) else {
            break;
        };
        room = left;
        kept.insert(field, error);
    }
    kept
}

/// Cleans all texts of a value.
fn cleaned(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text, MESSAGE)),
        Value::Array(items) => items.iter().map(cleaned).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (clean(name, WORD), cleaned(value)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(status: u16, body: &str) -> (Option<String>, Option<String>, Value) {
        match read(status, body.as_bytes()) {
            Outcome::Refused(refusal) => {
                assert_eq!(refusal.status, status);
                let errors = refusal.close_errors.map_or(Value::Null, Value::Object);
                (refusal.close_status, refusal.reason, errors)
            }
            other => panic!("{status} {body}: {other:?}"),
        }
    }

    #[test]
    fn every_format_of_close_s_errors_is_read() {
        let none = Value::Null;
        #[rustfmt::skip]
        let table = [
            (404, r#"{"error":"Empty query: Lead matching query does not exist."}"#, None, Some("Empty query: Lead matching query does not exist."), none.clone()),
            (400, r#"{"error":"The request contains invalid JSON."}"#, None, Some("The request contains invalid JSON."), none.clone()),
            (400, r#"{"errors":["One.","Two."],"field-errors":{"country":"Field required"}}"#, None, Some("One.; Two."), json!({"country":"Field required"})),
            (400, r#"{"errors":[],"field-errors":{"country":"Field required"}}"#, None, None, json!({"country":"Field required"})),
            (400, r#"{"field-errors":{"a":{"b":["x"]}}}"#, None, None, json!({"a":{"b":["x"]}})),
            (404, r#"{"errors":["Source lead does not exist."]}"#, None, Some("Source lead does not exist."), none.clone()),
            (400, r#"{"errors":[]}"#, None, None, none.clone()),
            (400, r#"{"field-errors":{}}"#, None, None, none.clone()),
            (400, r#"{"status":"has-voice-only"}"#, Some("has-voice-only"), None, none.clone()),
            (402, r#"{"status":"billing-error","error":null}"#, Some("billing-error"), None, none.clone()),
            (403, r#"{"status":"needs-more-info","error":""}"#, Some("needs-more-info"), None, none.clone()),
            (400, r#"{"status":"error","error":"No numbers are available for this prefix."}"#, Some("error"), Some("No numbers are available for this prefix."), none.clone()),
            (422, r#"{"status":"a-word-to-come","new":1}"#, Some("a-word-to-come"), None, none.clone()),
            (400, r#"{"error":{"message":"wrapped"}}"#, None, Some("wrapped"), none.clone()),
            (415, r#"{"status":415,"error":"Unsupported"}"#, None, Some("Unsupported"), none.clone()),
            (405, r#"{"errors":[{"x":1},"text"]}"#, None, Some("text"), none),
        ];
        for (status, body, word, reason, errors) in table {
            let (found, why, fields) = refused(status, body);
            assert_eq!((found.as_deref(), why.as_deref()), (word, reason), "{body}");
            assert_eq!(fields, errors, "{body}");
        }
    }

    #[test]
    fn a_4xx_in_another_form_is_not_a_refusal() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "\"error\"",
            "<html><body>403 Forbidden</body></html>",
            r#"{"message":"no"}"#,
            r#"{"status":404}"#,
            r#"{"error":null}"#,
            r#"{"error":{}}"#,
            r#"{"error":"x""#,
            r#"{"error":"x","error":"y"}"#,
            r#"{"errors":"x"}"#,
            r#"{"field-errors":["x"]}"#,
            "\u{feff}{\"error\":\"x\"}",
        ] {
            for status in [400, 402, 403, 404, 422] {
                assert!(
                    matches!(read(status, body.as_bytes()), Outcome::Unclear { .. }),
                    "{status} {body}"
                );
            }
        }
        assert!(matches!(
            read(400, b"{\"error\":\"\xff\"}"),
            Outcome::Unclear { .. }
        ));
    }

    #[test]
    fn some_statuses_decide_regardless_of_the_body() {
        let body = br#"{"status":"error","error":"x"}"#;
        for status in [
            100, 199, 300, 301, 302, 307, 308, 399, 408, 500, 502, 503, 504, 599, 600, 999,
        ] {
            assert!(matches!(read(status, body), Outcome::Unclear { .. }), "{status}");
        }
        assert!(matches!(read(401, body), Outcome::Unauthorized));
        assert!(matches!(read(401, b"<html>"), Outcome::Unauthorized));
    }

    #[test]
    fn a_2xx_must_have_json_or_an_empty_body() {
        assert!(matches!(
            read(204, b""),
            Outcome::Done(Reply {
                body: Value::Null,
                ..
            })
        ));
        assert!(matches!(read(200, b"{}"), Outcome::Done(_)));
        for body in [&b"<html>"[..], b"{", b"{\"a\":1,\"a\":2}", b"\xff", b"{} {}"] {
            assert!(matches!(read(200, body), Outcome::Unclear { .. }));
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(read(201, deep.as_bytes()), Outcome::Unclear { .. }));
    }

    #[test]
    fn texts_of_close_are_cut_and_cleaned() {
        let long = json!({"status": "s".repeat(500), "error": format!("a\u{1b}[31m\nb{}", "x".repeat(5_000)),
            "field-errors": {"f\u{0}": {"n\t": "y".repeat(5_000)}}});
        let (word, reason, errors) = refused(400, &long.to_string());
        assert_eq!(word.unwrap().len(), 100);
        let reason = reason.unwrap();
        assert!(reason.starts_with("a[31mbxx"), "{reason}");
        assert_eq!(reason.chars().count(), 1_000);
        assert_eq!(errors["f"]["n"].as_str().unwrap().len(), 1_000);

        let many: Map<String, Value> = (0..10_000).map(|n| (format!("f{n}"), json!("wrong"))).collect();
        let (_, _, errors) = refused(400, &json!({ "field-errors": many }).to_string());
        assert!(errors.to_string().len() < 64 << 10);
        assert!(!errors.as_object().unwrap().is_empty());
    }
}
