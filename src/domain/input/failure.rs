//! Why serde stopped at a value of the input, in the words of faults.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use crate::domain::input::fault::{nearest, unknown};

/// Why serde stopped, and at which value.
#[derive(Debug)]
pub(super) struct Failure {
    /// `None` until it has passed the reader of the value.
    pub(super) pointer: Option<String>,
    pub(super) cause: Cause,
}

/// What is wrong with the value.
#[derive(Debug)]
pub(super) enum Cause {
    Message(String),
    /// A struct has no field of this name.
    Unknown(String),
    /// A struct lacks a required field.
    Missing {
        field: &'static str,
        object: &'static str,
    },
}

impl Failure {
    /// Sets the location, unless a part of the value has set it.
    pub(super) fn at(mut self, pointer: &str) -> Self {
        self.pointer.get_or_insert_with(|| pointer.to_owned());
        self
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Message(message) | Cause::Unknown(message) => f.write_str(message),
            Cause::Missing { field, .. } => write!(f, "`{field}` is required"),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Self {
            pointer: None,
            cause: Cause::Message(message.to_string()),
        }
    }
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("must be {expected}, not {}", name_of(&found)))
    }
    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("must be {expected}"))
    }
    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("must have {expected}"))
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let shown: String = variant.chars().take(64).collect();
        Self::custom(format_args!(
            "unknown value `{shown}`; {}",
            nearest(&shown, expected)
        ))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self {
            pointer: None,
            cause: Cause::Unknown(unknown(field, expected)),
        }
    }
    fn missing_field(field: &'static str) -> Self {
        Self {
            pointer: None,
            cause: Cause::Missing { field, object: "" },
        }
    }
}

fn name_of(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "a string",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        Unexpected::Unit | Unexpected::Option => "null",
        _ => "this",
    }
}
