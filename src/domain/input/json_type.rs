//! Values that may have one of several JSON types, such as `true` or `{ permission = "…" }`.
//!
//! Serde's untagged enums buffer the value, which loses the location of faults. So [`by_type`] asks the
//! [reader](crate::domain::input::read) for the type first, and the matching variant then reads the value itself.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, EnumAccess, VariantAccess as _, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The name of the enum under which the reader offers the type of a value.
pub(super) const BY_TYPE: &str = "numberdesk::by_type";

/// The type of a JSON value, with the names that faults use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum JsonType {
    /// `null`
    #[serde(rename = "null")]
    Null,
    /// `true` or `false`
    #[serde(rename = "a boolean")]
    Boolean,
    /// A number.
    #[serde(rename = "a number")]
    Number,
    /// A string.
    #[serde(rename = "a string")]
    String,
    /// An array.
    #[serde(rename = "an array")]
    Array,
    /// An object.
    #[serde(rename = "an object")]
    Object,
}

/// Returns the type of a value, by its name in [`JsonType`].
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A type whose form depends on the JSON type of the value.
pub trait ByType: Sized {
    /// Deserializes a value of this type, or returns an error that describes all valid forms.
    fn of_type<'de, D: Deserializer<'de>>(json_type: JsonType, value: D) -> Result<Self, D::Error>;
}

/// Deserializes a value by its JSON type. It works only with the reader of this module.
pub fn by_type<'de, T: ByType, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_enum(BY_TYPE, &[], Union(PhantomData))
}

struct Union<T>(PhantomData<T>);

impl<'de, T: ByType> Visitor<'de> for Union<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a known type")
    }
    fn visit_enum<A: EnumAccess<'de>>(self, value: A) -> Result<T, A::Error> {
        let (json_type, value) = value.variant()?;
        value.newtype_variant_seed(OfType(json_type, PhantomData))
    }
}

struct OfType<T>(JsonType, PhantomData<T>);

impl<'de, T: ByType> DeserializeSeed<'de> for OfType<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<T, D::Error> {
        T::of_type(self.0, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::input::read::{Input, read};
    use serde::de::Error as _;
    use serde_json::json;
    use utoipa::ToSchema;

    #[derive(Debug, PartialEq)]
    enum Light {
        Off,
        Level(Level),
    }
    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Level {
        percent: u8,
        warm: bool,
    }
    impl ByType for Light {
        fn of_type<'de, D: Deserializer<'de>>(json_type: JsonType, value: D) -> Result<Self, D::Error> {
            match json_type {
                JsonType::Null => Option::<()>::deserialize(value).map(|_| Self::Off),
                JsonType::Object => Level::deserialize(value).map(Self::Level),
                _ => Err(D::Error::custom("must be null or { percent, warm }")),
            }
        }
    }
    impl<'de> Deserialize<'de> for Light {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            by_type(deserializer)
        }
    }
    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    struct Room {
        #[schema(value_type = Level)]
        light: Light,
    }
    impl Input for Room {}

    #[test]
    fn a_value_is_read_by_its_type_and_keeps_the_location_of_its_faults() {
        let light = |value| read::<Room>(&json!({ "light": value }));
        assert_eq!(light(json!(null)), Ok(Room { light: Light::Off }));
        let level = Level {
            percent: 5,
            warm: true,
        };
        assert_eq!(
            light(json!({"percent": 5, "warm": true})),
            Ok(Room {
                light: Light::Level(level)
            })
        );
        let faults = |value| {
            let faults = light(value).unwrap_err();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            faults(json!({"percent": "x", "wram": true})),
            [
                "/light: `warm` is required",
                "/light/percent: must be u8, not a string",
                "/light/wram: unknown key `wram`; did you mean `warm`?",
            ]
        );
        for wrong in [json!(true), json!(1), json!("on"), json!([])] {
            assert_eq!(faults(wrong), ["/light: must be null or { percent, warm }"]);
        }
    }
}
