//! JSON pointers (RFC 6901): into request bodies and files, and into the claims of a token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::claim;
use crate::domain::schema::string_schema;

/// Returns the pointer to the member `name` of the value at `parent`, with the name escaped.
pub fn child(parent: &str, name: &str) -> String {
    let mut pointer = String::with_capacity(parent.len() + 1 + name.len());
    pointer.push_str(parent);
    pointer.push('/');
    if name.contains(['~', '/']) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
    pointer
}

/// Returns the name for one token of a pointer: the reverse of the escape in [`child`].
pub(super) fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Returns the indexes of a value's ancestors and of the value itself, which sort as the values appear in the input.
pub(super) fn position(root: &Value, pointer: &str) -> Vec<usize> {
    let (mut here, mut indexes) = (Some(root), Vec::new());
    for part in pointer.split('/').skip(1) {
        let name = unescape(part);
        let index = match here {
            Some(Value::Array(items)) => {
                let index = name.parse().unwrap_or(usize::MAX);
                here = items.get(index);
                index
            }
            Some(Value::Object(members)) => {
                let index = members.keys().position(|key| *key == name).unwrap_or(usize::MAX);
                here = members.get(&name);
                index
            }
            _ => usize::MAX,
        };
        indexes.push(index);
    }
    indexes
}

/// A JSON pointer to a claim of a token, such as `/phone/countries`. Never the whole token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer(String);

impl Pointer {
    /// Returns the pointer as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the values of a claim; `None` if the claim is missing or has another type.
    ///
    /// The claim is an array of strings, one string with spaces between the values, like `scope` in some tokens, or an
    /// object whose members have the values as names.
    pub fn words<'a>(&self, claims: &'a Value) -> Option<Vec<&'a str>> {
        match claims.pointer(&self.0)? {
            Value::String(text) => Some(text.split_ascii_whitespace().collect()),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            members @ Value::Object(_) => Some(claim::words(members)),
            _ => None,
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error for a string that is not a JSON pointer to a claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a JSON pointer into the token, which begins with a slash, like \"/phone/countries\"; in the \
     name of a claim, `/` is written `~1` and `~` is written `~0`"
)]
pub struct NotAPointer;

impl FromStr for Pointer {
    type Err = NotAPointer;
    fn from_str(text: &str) -> Result<Self, NotAPointer> {
        let escapes = text
            .split('~')
            .skip(1)
            .all(|rest| rest.starts_with('0') || rest.starts_with('1'));
        let plain = text.len() <= 256 && !text.chars().any(char::is_control);
        if text.len() > 1 && text.starts_with('/') && escapes && plain {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAPointer)
        }
    }
}
impl TryFrom<String> for Pointer {
    type Error = NotAPointer;
    fn try_from(text: String) -> Result<Self, NotAPointer> {
        text.parse()
    }
}
impl From<Pointer> for String {
    fn from(pointer: Pointer) -> String {
        pointer.0
    }
}

string_schema! {
    Pointer: "A JSON pointer to a claim of the token; `~` is written `~0`, and `/` in a name `~1`.",
    pattern: "^/([^~]|~[01])+$", max_length: 256, example: "/phone/countries"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_read_from_an_array_or_from_one_string_with_spaces() {
        let claims = json!({"scope": "a b  c", "https://x/y": ["d", "e"], "n": 5, "mixed": ["a", 1]});
        let words = |text: &str| text.parse::<Pointer>().unwrap().words(&claims);
        assert_eq!(words("/scope"), Some(vec!["a", "b", "c"]));
        assert_eq!(words("/https:~1~1x~1y"), Some(vec!["d", "e"]));
        for missing in ["/n", "/mixed", "/none", "/scope/0"] {
            assert_eq!(words(missing), None, "{missing}");
        }
    }

    #[test]
    fn a_pointer_without_a_slash_or_with_a_wrong_escape_is_rejected() {
        for bad in ["", "/", "scope", "#/scope", "/a~", "/a~2", "$.scope", "/a\n"] {
            assert!(bad.parse::<Pointer>().is_err(), "{bad}");
        }
    }
}
