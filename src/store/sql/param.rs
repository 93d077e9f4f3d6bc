//! Parameters of statements: texts and 64-bit integers, converted from the values of the domain.

use crate::domain::money::Money;
use crate::domain::time::Timestamp;

/// One parameter of a statement.
#[derive(Debug, Clone)]
pub(in crate::store) enum Param {
    /// A text.
    Text(Option<String>),
    /// An integer.
    Int(Option<i64>),
}

impl From<Option<String>> for Param {
    /// Replaces NUL, which PostgreSQL can't store in a text; values from Close or a token may contain it.
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(|text| {
            if text.contains('\0') {
                text.replace('\0', "\u{fffd}")
            } else {
                text
            }
        }))
    }
}
impl From<String> for Param {
    fn from(text: String) -> Self {
        Some(text).into()
    }
}
impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Some(text.to_owned()).into()
    }
}
impl From<Option<&str>> for Param {
    fn from(text: Option<&str>) -> Self {
        text.map(str::to_owned).into()
    }
}
impl From<i64> for Param {
    fn from(int: i64) -> Self {
        Self::Int(Some(int))
    }
}
impl From<bool> for Param {
    fn from(flag: bool) -> Self {
        Self::Int(Some(flag.into()))
    }
}
impl From<Option<bool>> for Param {
    fn from(flag: Option<bool>) -> Self {
        Self::Int(flag.map(i64::from))
    }
}
impl From<Money> for Param {
    fn from(money: Money) -> Self {
        Self::Int(Some(money.cents()))
    }
}
impl From<Timestamp> for Param {
    fn from(time: Timestamp) -> Self {
        Self::Int(Some(time.as_micros()))
    }
}
impl From<Option<Timestamp>> for Param {
    fn from(time: Option<Timestamp>) -> Self {
        Self::Int(time.map(Timestamp::as_micros))
    }
}
