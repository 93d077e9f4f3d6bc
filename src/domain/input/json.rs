//! A strict JSON parser that refuses duplicate members.
//!
//! Two parsers can read the same text with duplicate members as two different requests (CWE-436).

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::domain::input::fault::Fault;
use crate::domain::input::pointer::child;

/// Parses a JSON text.
///
/// It refuses duplicate members, trailing text, invalid UTF-8 and more than 127 levels of nesting (the limit of
/// `serde_json`). The fault of a duplicate has its pointer; any other is one of the whole text, with line and column.
pub fn parse(text: &[u8]) -> Result<Value, Fault> {
    let at = At::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    let parsed = Strict(&at).deserialize(&mut json);
    let parsed = parsed.and_then(|value| json.end().map(|()| value));
    parsed.map_err(|error| {
        let duplicate = at.duplicate.into_inner().map(|pointer| Fault {
            pointer,
            message: "must appear only once".to_owned(),
        });
        duplicate.unwrap_or_else(|| Fault {
            pointer: String::new(),
            message: in_words(text, &error),
        })
    })
}

fn in_words(text: &[u8], error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    if text.trim_ascii().is_empty() {
        "is empty".to_owned()
    } else if error.is_eof() {
        format!("is not valid JSON: it ends too early, at {place}")
    } else if error.to_string().starts_with("recursion limit exceeded") {
        format!("is nested too deeply, at {place}: at most 127 levels are allowed")
    } else {
        format!("is not valid JSON: {error}")
    }
}

/// Where the parser is, and the duplicate member that it found.
#[derive(Default)]
struct At {
    /// The pointer to the value that the parser reads.
    pointer: RefCell<String>,
    /// The pointer to a duplicate member.
    duplicate: RefCell<Option<String>>,
}

impl At {
    /// Runs `read` for the value with this name inside the current value.
    fn inside<T>(&self, name: &str, read: impl FnOnce() -> T) -> T {
        let parent = self.pointer.borrow().len();
        let pointer = child(&self.pointer.borrow(), name);
        self.pointer.replace(pointer);
        let value = read();
        self.pointer.borrow_mut().truncate(parent);
        value
    }
}

#[derive(Clone, Copy)]
struct Strict<'a>(&'a At);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = self
            .0
            .inside(&items.len().to_string(), || seq.next_element_seed(self))?
        {
            items.push(item);
        }
        Ok(Value::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                let pointer = child(&self.0.pointer.borrow(), &name);
                self.0.duplicate.replace(Some(pointer));
                return Err(A::Error::custom("a duplicate member"));
            }
            let value = self.0.inside(&name, || map.next_value_seed(self))?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_member_is_refused_at_any_depth() {
        for (text, pointer) in [
            (r#"{"a":1,"a":1}"#, "/a"),
            (r#"{"w":{"a":[]},"x":[[0],{"a":1,"b":2,"a":3}]}"#, "/x/1/a"),
            (r#"{"a":1,"\u0061":2}"#, "/a"),
            (r#"{"a/b":{"~":1,"~":2}}"#, "/a~1b/~0"),
        ] {
            let fault = parse(text.as_bytes()).unwrap_err();
            assert_eq!(fault.to_string(), format!("{pointer}: must appear only once"));
        }
    }

    #[test]
    fn the_fault_of_a_text_says_what_is_wrong_and_where() {
        let fault = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(fault(""), ": is empty");
        assert_eq!(fault(" \r\n\t"), ": is empty");
        assert_eq!(
            fault("{\"a\":1"),
            ": is not valid JSON: it ends too early, at line 1 column 6"
        );
        assert_eq!(
            fault("{\n1}"),
            ": is not valid JSON: key must be a string at line 2 column 1"
        );
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(127).as_bytes()).is_ok());
        assert_eq!(
            fault(&nested(128)),
            ": is nested too deeply, at line 1 column 128: at most 127 levels are allowed"
        );
    }

    #[test]
    fn well_formed_json_gives_the_value_that_serde_json_gives() {
        let text = r#"{"a":[1,-2,1.5,"x",null,true],"b":{"c":18446744073709551615}}"#;
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
    }

    #[test]
    fn deep_nesting_bad_utf8_and_trailing_text_are_faults_not_crashes() {
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(parse(b"\"\xff\"").is_err());
        assert!(parse(b"{} {}").is_err());
        assert!(parse(b"1e999").is_err());
    }
}
