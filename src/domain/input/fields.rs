//! A reader for all hand-written input: request bodies, the configuration and the policy.
//!
//! It continues after a fault, and so reports all faults at once, each with a JSON pointer (RFC 6901). For TOML files,
//! [`document`](crate::domain::input::document) maps the pointer to a line.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::domain::input::pointer;

/// A fault in the input, with its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The JSON pointer to the value; `""` for the whole document.
    pub pointer: String,
    /// What is wrong or what would be right, as a sentence without a full stop.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

/// Reads a whole document with `read`; returns the value or all faults.
///
/// `read` must record a fault before it returns `None`.
pub fn read<T>(root: &Value, read: impl FnOnce(Node<'_>) -> Option<T>) -> Result<T, Vec<Fault>> {
    let faults = RefCell::new(Vec::new());
    let value = read(Node {
        value: root,
        pointer: String::new(),
        faults: &faults,
    });
    let faults = faults.into_inner();
    match value {
        Some(value) if faults.is_empty() => Ok(value),
        _ => Err(faults),
    }
}

/// A value in the document, with its location.
#[derive(Clone)]
pub struct Node<'a> {
    value: &'a Value,
    pointer: String,
    faults: &'a RefCell<Vec<Fault>>,
}

impl<'a> Node<'a> {
    /// Returns the value.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Records a fault at this location.
    ///
    /// It always returns `None`, so that a reader can write `return node.fault(…)`.
    pub fn fault<T>(&self, message: impl Into<String>) -> Option<T> {
        self.faults.borrow_mut().push(Fault {
            pointer: self.pointer.clone(),
            message: message.into(),
        });
        None
    }

    /// Returns a reader of the object's fields. Call [`Fields::finish`] at the end.
    pub fn fields(self) -> Option<Fields<'a>> {
        match self.value {
            Value::Object(map) => Some(Fields {
                map,
                node: self,
                known: Vec::new(),
            }),
            other => self.fault(format!("must be an object, not {}", kind(other))),
        }
    }

    /// Reads every item of an array with `item`, and records the faults of all items.
    pub fn list<T>(&self, item: impl Fn(Node<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Array(items) = self.value else {
            return self.fault(format!("must be an array, not {}", kind(self.value)));
        };
        let read: Vec<Option<T>> = items
            .iter()
            .enumerate()
            .map(|(index, value)| item(self.at(&index.to_string(), value)))
            .collect();
        read.into_iter().collect()
    }

    /// Reads every member of an object with arbitrary names, in the order of the text.
    pub fn entries<T>(&self, entry: impl Fn(&'a str, Node<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Object(map) = self.value else {
            return self.fault(format!("must be an object, not {}", kind(self.value)));
        };
        let read: Vec<Option<T>> = map
            .iter()
            .map(|(name, value)| entry(name, self.at(name, value)))
            .collect();
        read.into_iter().collect()
    }

    /// Reads a string.
    pub fn string(&self) -> Option<&'a str> {
        match self.value {
            Value::String(text) => Some(text),
            other => self.fault(format!("must be a string, not {}", kind(other))),
        }
    }

    /// Reads a string of at most `max` characters without control characters.
    pub fn text(&self, max: usize) -> Option<String> {
        let text = self.string()?;
        if text.chars().count() > max {
            return self.fault(format!("must have at most {max} characters"));
        }
        if text.chars().any(char::is_control) {
            return self.fault("must not contain control characters");
        }
        Some(text.to_owned())
    }

    /// Reads a string and parses it as `T`. The fault is the message of `T`'s error.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Option<T> {
        match self.string()?.parse() {
            Ok(value) => Some(value),
            Err(fault) => self.fault(fault.to_string()),
        }
    }

    /// Reads `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            other => self.fault(format!("must be true or false, not {}", kind(other))),
        }
    }

    /// Reads a whole number from `min` to `max`.
    pub fn integer(&self, min: i64, max: i64) -> Option<i64> {
        match self.value.as_i64() {
            Some(value) if (min..=max).contains(&value) => Some(value),
            _ if self.value.is_number() => self.fault(format!("must be a whole number from {min} to {max}")),
            _ => self.fault(format!(
                "must be a whole number from {min} to {max}, not {}",
                kind(self.value)
            )),
        }
    }

    fn at(&self, name: &str, value: &'a Value) -> Node<'a> {
        Node {
            value,
            pointer: pointer::child(&self.pointer, name),
            faults: self.faults,
        }
    }
}

/// A reader of an object's fields. Fields that nobody reads before [`Fields::finish`] are unknown.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    node: Node<'a>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Reads a required field.
    pub fn required<T>(&mut self, name: &'static str, read: impl FnOnce(Node<'a>) -> Option<T>) -> Option<T> {
        self.known.push(name);
        match self.map.get(name) {
            Some(value) => read(self.node.at(name, value)),
            None => self.node.fault(format!("`{name}` is required")),
        }
    }

    /// Reads an optional field. `Some(None)` is absent; `None` is invalid, with a recorded fault.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Node<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.known.push(name);
        match self.map.get(name) {
            Some(value) => read(self.node.at(name, value)).map(Some),
            None => Some(None),
        }
    }

    /// Reads an optional field for which `null` means absent.
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Node<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.optional(name, |node| {
            if node.value.is_null() {
                Some(None)
            } else {
                read(node).map(Some)
            }
        })
        .map(Option::flatten)
    }

    /// Whether the field is present.
    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Returns the object itself, for faults that concern several fields.
    pub fn node(&self) -> &Node<'a> {
        &self.node
    }

    /// Records a fault for every unknown field, with the nearest known name.
    pub fn finish(self) -> Option<()> {
        let mut clean = Some(());
        for (name, value) in self.map {
            if !self.known.contains(&name.as_str()) {
                clean = self.node.at(name, value).fault(unknown(name, &self.known));
            }
        }
        clean
    }
}

/// Returns the message for an unknown key, with the nearest known key or all of them.
pub fn unknown(name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(64).collect();
    format!("unknown key `{shown}`; {}", nearest(&shown, known))
}

/// Returns a suggestion: the nearest known name, or the list of known names.
pub fn nearest(shown: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(shown, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 2);
    match nearest {
        Some((_, nearest)) => format!("did you mean `{nearest}`?"),
        None => format!("expected one of {}", known.join(", ")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_faults_are_reported_at_once_with_pointer_and_nearest_field() {
        let body = json!({"country": 5, "labl": "x", "assign": ["a", 1]});
        let faults = read(&body, |node| {
            let mut fields = node.fields()?;
            let country = fields.required("country", |n| n.string().map(str::to_owned));
            let label = fields.optional("label", |n| n.text(10));
            let assign = fields.optional("assign", |n| n.list(|item| item.text(9)));
            let owner = fields.required("owner", |n| n.boolean());
            fields.finish();
            Some((country?, label?, assign?, owner?))
        })
        .unwrap_err();
        let messages: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "/country: must be a string, not a number",
                "/assign/1: must be a string, not a number",
                ": `owner` is required",
                "/labl: unknown key `labl`; did you mean `label`?"
            ]
        );
    }
}
