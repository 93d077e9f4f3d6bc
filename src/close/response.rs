//! What an answer means. Close has no single shape for errors, so every known one is read here; what is none of them
//! was not said by Close, and proves nothing.

use serde_json::{Map, Value};

use crate::close::Trouble;
use crate::domain::input::json;
use crate::domain::time::Timestamp;

/// The longest message of Close's that is passed on, in characters.
const MESSAGE: usize = 1_000;
/// The longest status word and field name, in characters.
const WORD: usize = 100;
/// The most field errors that are passed on, in bytes of JSON.
const ERRORS: usize = 16 << 10;

/// What one exchange came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// 2xx with JSON, or with nothing.
    Done(Reply),
    /// A 4xx in Close's own words.
    Refused(Refusal),
    /// 429: not executed.
    RateLimited { until: Timestamp },
    /// 401: not executed.
    Unauthorized,
    /// For certain nothing left this machine.
    NotSent { reason: String },
    /// Whether it was executed is not known.
    Unclear { reason: String },
}

impl Outcome {
    /// Whether Close said anything, and be it no.
    pub(super) const fn answered(&self) -> bool {
        !matches!(self, Self::NotSent { .. } | Self::Unclear { .. })
    }
    /// One word for metrics.
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
    /// `null` when the answer was empty.
    pub(super) body: Value,
    /// How large it was, in bytes.
    pub(super) size: usize,
}

/// Close's own no.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) close_status: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) close_errors: Option<Map<String, Value>>,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            status: refusal.status,
            close_status: refusal.close_status.unwrap_or_else(|| "error".to_owned()),
            reason: refusal.reason,
            close_errors: refusal.close_errors,
        }
    }
}

/// Reads a whole answer. 429 is not for here: its meaning lies in the headers.
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
        408 => unclear("close gave up waiting (408)".to_owned()),
        400..=499 => match refusal(status, body) {
            Some(refusal) => Outcome::Refused(refusal),
            None => unclear(format!("the answer was not one of close's ({status})")),
        },
        _ => unclear(format!("close failed ({status})")),
    }
}

/// A 4xx body that Close wrote: an object with one of its four members, of a type it may have.
fn refusal(status: u16, body: &[u8]) -> Option<Refusal> {
    let Value::Object(said) = json::parse(body).ok()? else {
        return None;
    };
    let word = said.get("status").and_then(Value::as_str);
    let error = said.get("error").filter(|error| match error {
        Value::String(_) => true,
        Value::Object(wrapped) => !wrapped.is_empty(),
        _ => false,
    });
    let errors = said.get("errors").and_then(Value::as_array);
    let fields = said.get("field-errors").and_then(Value::as_object);
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

/// Text without control characters, cut to `most` characters.
fn clean(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// Field errors with clean texts, as many as fit.
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
    fn every_shape_of_close_s_errors_is_read() {
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
            let (said, why, fields) = refused(status, body);
            assert_eq!((said.as_deref(), why.as_deref()), (word, reason), "{body}");
            assert_eq!(fields, errors, "{body}");
        }
    }

    #[test]
    fn what_close_did_not_say_is_no_refusal() {
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
    fn some_statuses_speak_for_themselves_whatever_the_body_says() {
        let said = br#"{"status":"error","error":"x"}"#;
        for status in [
            100, 199, 300, 301, 302, 307, 308, 399, 408, 500, 502, 503, 504, 599, 600, 999,
        ] {
            assert!(matches!(read(status, said), Outcome::Unclear { .. }), "{status}");
        }
        assert!(matches!(read(401, said), Outcome::Unauthorized));
        assert!(matches!(read(401, b"<html>"), Outcome::Unauthorized));
    }

    #[test]
    fn a_2xx_must_hold_json_or_nothing() {
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
    fn close_s_words_are_cut_and_cleaned_before_anyone_sees_them() {
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
