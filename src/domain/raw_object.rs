//! A JSON object that the service stores and passes on, but seldom reads.
//!
//! The service keeps it as text, which takes a fifth of the memory of a parsed object and preserves the object exactly.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A JSON object. Equality ignores the order of members. Clones share the text.
#[derive(Clone)]
pub struct RawObject(Arc<RawValue>);

impl RawObject {
    /// Parses the object and returns its members, in their order.
    pub fn members(&self) -> Map<String, Value> {
        serde_json::from_str(self.0.get()).expect("the constructors accept only objects")
    }

    /// Parses the object and returns one member.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.members().swap_remove(name)
    }
}

impl From<Map<String, Value>> for RawObject {
    fn from(members: Map<String, Value>) -> Self {
        let text = serde_json::value::to_raw_value(&members).expect("JSON can be written as JSON");
        Self(text.into())
    }
}

impl Default for RawObject {
    fn default() -> Self {
        Map::new().into()
    }
}

impl PartialEq for RawObject {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get() || self.members() == other.members()
    }
}

impl fmt::Debug for RawObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get())
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        // The service wrote this JSON itself and reads it often, so it checks only the first byte.
        if text.get().starts_with('{') {
            Ok(Self(text.into()))
        } else {
            Err(D::Error::custom("is not an object"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> RawObject {
        value.as_object().unwrap().clone().into()
    }

    #[test]
    fn an_object_keeps_its_members_in_their_order() {
        let value = json!({ "b": 1.15, "a": { "z": [null, "\u{0}"], "y": true } });
        let kept = object(&value);
        assert_eq!(serde_json::to_string(&kept).unwrap(), value.to_string());
        assert_eq!(Value::Object(kept.members()), value);
        assert_eq!(
            serde_json::to_value(&kept).unwrap().to_string(),
            value.to_string()
        );
        let read: RawObject = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(
            (&read, read.get("b"), read.get("c")),
            (&kept, Some(json!(1.15)), None)
        );
    }

    #[test]
    fn equality_ignores_the_order_of_members() {
        assert_eq!(
            object(&json!({ "a": 1, "b": 2 })),
            object(&json!({ "b": 2, "a": 1 }))
        );
        assert_ne!(object(&json!({ "a": 1 })), object(&json!({ "a": 2 })));
        assert_ne!(object(&json!({ "a": null })), RawObject::default());
    }

    #[test]
    fn json_that_is_not_an_object_is_rejected() {
        for text in ["[]", "1", "null", "\"{}\"", "{", "{]"] {
            assert!(serde_json::from_str::<RawObject>(text).is_err(), "{text}");
        }
    }
}
