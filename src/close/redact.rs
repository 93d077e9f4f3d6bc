//! Removes everything that could be a key from texts of Close.

use serde_json::{Map, Value};

use crate::close::error::Error;

/// This many hexadecimal digits in a row may be a key, or most of one.
const KEY_LIKE: usize = 24;
/// The longest text that is passed on, in characters.
const TEXT: usize = 300;

/// Removes keys from an error: its texts come from a response that may repeat the request.
pub(super) fn without_keys(error: Error) -> Error {
    match error {
        Error::Refused {
            status,
            close_status,
            reason,
            close_errors,
        } => Error::Refused {
            status,
            close_status: redacted(&close_status),
            reason: reason.as_deref().map(redacted),
            close_errors: close_errors.map(|errors| match redacted_all(Value::Object(errors)) {
                Value::Object(errors) => errors,
                _ => Map::new(),
            }),
        },
        other => other,
    }
}

/// Redacts all texts of a value.
fn redacted_all(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redacted(&text)),
        Value::Array(items) => items.into_iter().map(redacted_all).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (redacted(&name), redacted_all(value)))
            .collect(),
        other => other,
    }
}

/// Redacts a text for people: cuts it, and removes control characters and anything that could be a key.
pub(super) fn redacted(text: &str) -> String {
    let mut kept = String::new();
    let mut digits = String::new();
    for c in text.chars().filter(|c| !c.is_control()).chain(['\0']) {
        if c.is_ascii_hexdigit() {
            digits.push(c);
            continue;
        }
        if digits.len() < KEY_LIKE {
            kept.push_str(&digits);
        } else {
            kept.push('…');
        }
        digits.clear();
        if c != '\0' {
            kept.push(c);
        }
    }
    kept.chars().take(TEXT).collect()
}
