//! JSON merge patches (RFC 7396): their fields, and the rule that each changes something.

use std::borrow::Cow;
use std::ops::Deref;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::domain::input::fault::Fault;
use crate::domain::schema::ComposeSchema;

/// A field of a JSON merge patch (RFC 7396): `None` leaves the value unchanged.
///
/// With `Change<Option<T>>`, `null` removes the value. With `Change<T>`, `null` is a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<T>(pub Option<T>);

impl<T> Default for Change<T> {
    fn default() -> Self {
        Self(None)
    }
}
impl<T> Deref for Change<T> {
    type Target = Option<T>;
    fn deref(&self) -> &Option<T> {
        &self.0
    }
}
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}
impl<T> Change<T> {
    /// Deserializes a field that cannot be null. The fault of a null says what to send instead.
    pub fn unless_null<'de, D: Deserializer<'de>>(deserializer: D, instead: &str) -> Result<Self, D::Error>
    where
        T: Deserialize<'de>,
    {
        match Option::deserialize(deserializer)? {
            Some(value) => Ok(Self(Some(value))),
            None => Err(D::Error::custom(format_args!("must not be null; {instead}"))),
        }
    }
}
impl<T: ComposeSchema> ComposeSchema for Change<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        T::compose(Vec::new())
    }
}
impl<T: ComposeSchema + ToSchema> ToSchema for Change<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

/// Adds the fault of a merge patch that changes nothing.
pub(crate) fn changes_something(patch: &Value, faults: &mut Vec<Fault>) {
    if patch.as_object().is_some_and(Map::is_empty) {
        faults.push(Fault {
            pointer: String::new(),
            message: "must change at least one field".to_owned(),
        });
    }
}
