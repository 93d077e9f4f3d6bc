//! One reader for everything people write by hand: request bodies, the configuration and the policy.
//! It goes on after a fault, so that all faults are named at once, each with a JSON pointer (RFC 6901).
//! It does not know where the tree came from: TOML files map the pointer back to a line.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// One thing that is wrong: where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer to the value, `""` for the whole document.
    pub pointer: String,
    /// What is wrong and what would be right, in a sentence without a full stop.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

/// Reads a whole document with `read`; either the value or every fault found.
///
/// `read` answers `None` only after it has recorded a fault.
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

/// A value in the document together with its place.
#[derive(Clone)]
pub struct Node<'a> {
    value: &'a Value,
    pointer: String,
    faults: &'a RefCell<Vec<Fault>>,
}

impl<'a> Node<'a> {
    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Records a fault at this place; always `None`, so that a reader can `return node.fault(…)`.
    pub fn fault<T>(&self, message: impl Into<String>) -> Option<T> {
        self.faults.borrow_mut().push(Fault {
            pointer: self.pointer.clone(),
            message: message.into(),
        });
        None
    }

    /// The object's fields, read one by one; call [`Fields::finish`] at the end.
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

    /// The items of an array, each read by `item`. Faults of all items are recorded.
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

    /// Every member of an object whose names are free, in the order they are written.
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

    /// A string.
    pub fn string(&self) -> Option<&'a str> {
        match self.value {
            Value::String(text) => Some(text),
            other => self.fault(format!("must be a string, not {}", kind(other))),
        }
    }

    /// A string of at most `max` characters without control characters.
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

    /// A string that `T` parses; the fault is `T`'s own message.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Option<T> {
        match self.string()?.parse() {
            Ok(value) => Some(value),
            Err(fault) => self.fault(fault.to_string()),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            other => self.fault(format!("must be true or false, not {}", kind(other))),
        }
    }

    /// A whole number from `min` to `max`.
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
        let name = name.replace('~', "~0").replace('/', "~1");
        Node {
            value,
            pointer: format!("{}/{name}", self.pointer),
            faults: self.faults,
        }
    }
}

/// The fields of one object. What is not asked for before [`Fields::finish`] is unknown, and a fault.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    node: Node<'a>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// A field that must be there.
    pub fn required<T>(&mut self, name: &'static str, read: impl FnOnce(Node<'a>) -> Option<T>) -> Option<T> {
        self.known.push(name);
        match self.map.get(name) {
            Some(value) => read(self.node.at(name, value)),
            None => self.node.fault(format!("`{name}` is required")),
        }
    }

    /// A field that may be left out. `Some(None)` is absent, `None` is faulty (and recorded).
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

    /// A field that may be left out or `null`, which mean the same.
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

    /// Whether the field is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// The object itself, for faults that concern several fields.
    pub fn node(&self) -> &Node<'a> {
        &self.node
    }

    /// Records every field that was not asked for, with the nearest one that exists.
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

/// "unknown field `x`" and, when one is near, what was probably meant.
pub fn unknown(name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(64).collect();
    format!("unknown key `{shown}`; {}", nearest(&shown, known))
}

/// What was probably meant when one is near; otherwise what there is.
pub fn nearest(shown: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(shown, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 2);
    match nearest {
        Some((_, nearest)) => format!("did you mean `{nearest}`?"),
        None => format!("known are {}", known.join(", ")),
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
    fn all_faults_are_named_at_once_with_pointer_and_nearest_field() {
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
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "/country: must be a string, not a number",
                "/assign/1: must be a string, not a number",
                ": `owner` is required",
                "/labl: unknown key `labl`; did you mean `label`?"
            ]
        );
    }
}
