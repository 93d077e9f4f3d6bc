//! One claim of a token or several, each named by a JSON pointer.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::input::json_type::{ByType, JsonType, by_type};
use crate::domain::input::list::{Distinct, Item};
use crate::domain::input::pointer::Pointer;
use crate::domain::schema::ComposeSchema;

/// More pointers than a token has claims are a mistake.
const MAX_POINTERS: usize = 20;

/// One JSON pointer, or a list of different ones. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointers(Vec<Pointer>);

impl Pointers {
    /// Returns the pointers, in their order.
    pub fn as_slice(&self) -> &[Pointer] {
        &self.0
    }

    /// Returns the pointers as strings.
    pub fn to_strings(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// The schema of the two forms, to which a caller may add others.
    pub fn forms() -> OneOfBuilder {
        OneOfBuilder::new()
            .item(Pointer::schema())
            .item(Distinct::<Pointer, 1, MAX_POINTERS>::schema())
    }
}

impl From<Pointer> for Pointers {
    fn from(pointer: Pointer) -> Self {
        Self(vec![pointer])
    }
}

impl Item for Pointer {
    const PLURAL: &'static str = "pointers";
}

impl ByType for Pointers {
    fn of_type<'de, D: Deserializer<'de>>(json_type: JsonType, value: D) -> Result<Self, D::Error> {
        match json_type {
            JsonType::String => Pointer::deserialize(value).map(Self::from),
            JsonType::Array => {
                Distinct::<Pointer, 1, MAX_POINTERS>::deserialize(value).map(|pointers| Self(pointers.0))
            }
            _ => Err(D::Error::custom(
                "must be a JSON pointer into the token, like \"/groups\", or a list of them, like \
                 [\"/groups\", \"/roles\"]",
            )),
        }
    }
}
impl<'de> Deserialize<'de> for Pointers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_type(deserializer)
    }
}
impl Serialize for Pointers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}
impl ComposeSchema for Pointers {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        Self::forms().into()
    }
}
impl ToSchema for Pointers {}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::input::read::part;

    #[test]
    fn a_claim_is_one_pointer_or_a_list_of_different_ones() {
        let read = |value: Value| part::<Pointers>(&value, "").map(|pointers| pointers.to_strings());
        assert_eq!(read(json!("/groups")).unwrap(), ["/groups"]);
        assert_eq!(read(json!(["/groups", "/roles"])).unwrap(), ["/groups", "/roles"]);
        let many: Vec<String> = (0..=MAX_POINTERS).map(|number| format!("/{number}")).collect();
        assert_eq!(read(json!(many[1..])).unwrap().len(), MAX_POINTERS);
        for bad in [
            json!([]),
            json!(many),
            json!(["/groups", "/groups"]),
            json!("groups"),
            json!(["/groups", "roles"]),
            json!(true),
            json!(null),
            json!({}),
        ] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }
}
