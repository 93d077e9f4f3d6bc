//! Limited values, which several inputs share: texts, whole numbers and lengths of time.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::domain::schema::{ComposeSchema, string};
use crate::domain::time::Span;

/// A text of at most `MAX` characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().count() > MAX {
            return Err(format!("must have at most {MAX} characters"));
        }
        if text.chars().any(char::is_control) {
            return Err("must not contain control characters".to_owned());
        }
        Ok(Self(text))
    }
}
impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> Self {
        text.0
    }
}
impl<const MAX: usize> ComposeSchema for Text<MAX> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        string().max_length(Some(MAX)).into()
    }
}
impl<const MAX: usize> ToSchema for Text<MAX> {
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("Text{MAX}"))
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Whole<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Whole<MIN, MAX> {
    /// Returns the number in a type that holds the whole range.
    pub fn get<T: TryFrom<i64>>(self) -> T {
        T::try_from(self.0).unwrap_or_else(|_| panic!("the range {MIN} to {MAX} does not fit the type"))
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounds<const MIN: i64, const MAX: i64>;
        impl<const MIN: i64, const MAX: i64> Visitor<'_> for Bounds<MIN, MAX> {
            type Value = i64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<i64, E> {
                if (MIN..=MAX).contains(&value) {
                    Ok(value)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Signed(value), &self))
                }
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<i64, E> {
                match i64::try_from(value) {
                    Ok(value) => self.visit_i64(value),
                    Err(_) => Err(E::invalid_value(serde::de::Unexpected::Unsigned(value), &self)),
                }
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<i64, E> {
                Err(E::invalid_value(serde::de::Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_i64(Bounds::<MIN, MAX>).map(Self)
    }
}
impl<const MIN: i64, const MAX: i64> ComposeSchema for Whole<MIN, MAX> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(MIN))
            .maximum(Some(MAX))
            .into()
    }
}
impl<const MIN: i64, const MAX: i64> ToSchema for Whole<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("Whole{MIN}To{MAX}"))
    }
}

/// A length of time from `MIN` to `MAX`, each with its unit: `BoundedSpan<1, 's', 24, 'h'>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundedSpan<const MIN: u64, const MIN_UNIT: char, const MAX: u64, const MAX_UNIT: char>(Duration);

impl<const MIN: u64, const MIN_UNIT: char, const MAX: u64, const MAX_UNIT: char>
    BoundedSpan<MIN, MIN_UNIT, MAX, MAX_UNIT>
{
    const LEAST: Duration = Duration::from_secs(MIN * seconds_in(MIN_UNIT));
    const MOST: Duration = Duration::from_secs(MAX * seconds_in(MAX_UNIT));

    /// Creates a length of time, for defaults.
    pub const fn of(length: u64, unit: char) -> Self {
        let length = Duration::from_secs(length * seconds_in(unit));
        assert!(length.as_secs() >= Self::LEAST.as_secs() && length.as_secs() <= Self::MOST.as_secs());
        Self(length)
    }
    /// Returns the length of time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// Returns the seconds in a unit of time.
const fn seconds_in(unit: char) -> u64 {
    match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => panic!("a unit is one of s, m, h and d"),
    }
}

impl<'de, const MIN: u64, const MIN_UNIT: char, const MAX: u64, const MAX_UNIT: char> Deserialize<'de>
    for BoundedSpan<MIN, MIN_UNIT, MAX, MAX_UNIT>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Span(length) = text.parse().map_err(D::Error::custom)?;
        if (Self::LEAST..=Self::MOST).contains(&length) {
            Ok(Self(length))
        } else {
            Err(D::Error::custom(format_args!(
                "must be from {MIN}{MIN_UNIT} to {MAX}{MAX_UNIT}"
            )))
        }
    }
}
impl<const MIN: u64, const MIN_UNIT: char, const MAX: u64, const MAX_UNIT: char> Serialize
    for BoundedSpan<MIN, MIN_UNIT, MAX, MAX_UNIT>
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Span(self.0))
    }
}
impl<const MIN: u64, const MIN_UNIT: char, const MAX: u64, const MAX_UNIT: char> ComposeSchema
    for BoundedSpan<MIN, MIN_UNIT, MAX, MAX_UNIT>
{
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        string()
            .pattern(Some(Span::PATTERN))
            .description(Some(format!(
                "A length of time from {MIN}{MIN_UNIT} to {MAX}{MAX_UNIT}: a whole number and `ms`, `s`, `m`, `h` or `d`."
            )))
            .into()
    }
}
impl<const MIN: u64, const MIN_UNIT: char, const MAX: u64, const MAX_UNIT: char> ToSchema
    for BoundedSpan<MIN, MIN_UNIT, MAX, MAX_UNIT>
{
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("SpanFrom{MIN}{MIN_UNIT}To{MAX}{MAX_UNIT}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_whole_number_is_deserialized_from_every_format_and_only_within_its_range() {
        // serde_json calls `visit_u64` for each number that is not negative.
        assert_eq!(from_value::<Whole<1, 9>>(json!(3)).unwrap(), Whole(3));
        for bad in [
            json!(0),
            json!(10),
            json!(-1),
            json!(u64::MAX),
            json!(3.0),
            json!("3"),
        ] {
            assert!(from_value::<Whole<1, 9>>(bad.clone()).is_err(), "{bad}");
        }
    }
}
