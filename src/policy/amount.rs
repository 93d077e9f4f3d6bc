//! An amount of money in the policy file.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::money::{Money, NotMoney};
use crate::domain::schema::string_schema;

/// An amount in US dollars. It is a string, because a TOML float has no exact cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Amount(pub Money);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

string_schema! {
    Amount: "US dollars with two decimals, in quotes.", pattern: r"^[0-9]{1,12}\.[0-9]{2}$", example: "120.00"
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
        text.parse().map(Amount).map_err(E::custom)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Amount, E> {
        Err(unquoted())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Amount, E> {
        Err(unquoted())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Amount, E> {
        Err(unquoted())
    }
}

fn unquoted<E: Error>() -> E {
    E::custom(format_args!("{NotMoney}, in quotes"))
}
