//! The condition under which a caller wants a number to be changed, released or transferred.

use crate::domain::number::Number;
use crate::error::Error;

/// The condition that the number must meet before the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The number exists.
    Exists,
    /// The number has one of these versions.
    OneOf(Vec<String>),
}

impl Precondition {
    /// Fails unless the number meets the condition, if there is one.
    ///
    /// The caller must hold the claim of the number, or else another change may come between this and its own.
    pub(in crate::desk::numbers) fn check(expected: Option<&Self>, number: &Number) -> Result<(), Error> {
        match expected {
            Some(Self::OneOf(versions)) if !versions.contains(&number.version()) => {
                Err(Error::PreconditionFailed)
            }
            Some(Self::OneOf(_) | Self::Exists) | None => Ok(()),
        }
    }
}
