//! Amounts of money in US dollars, exact to the cent. The service never calculates with floats.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::schema::string_schema;

/// An amount in US dollars, stored as whole cents and written as `"1.15"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Money(i64);

impl Money {
    /// Zero dollars.
    pub const ZERO: Self = Self(0);

    /// Creates an amount from whole cents.
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents)
    }
    /// Returns the amount in whole cents.
    pub const fn cents(self) -> i64 {
        self.0
    }
    /// Returns the sum. It saturates instead of overflowing.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
    /// Returns the difference. It saturates instead of overflowing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
    /// Converts a price that Close reports as a double in dollars; `None` if it can't be a price.
    ///
    /// It rounds up to the cent, so that rounding never exceeds a budget.
    pub fn from_reported(dollars: f64) -> Option<Self> {
        // Subtracting 0.0005 cents absorbs the error of the double (1.15 is 1.1499…).
        let cents = (dollars * 100.0 - 0.000_5).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range is checked in the same line"
        )]
        (0.0..=1e12).contains(&cents).then_some(Self(cents as i64))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

/// The error for a string that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an amount in US dollars like \"120.00\": digits, a point and two decimals")]
pub struct NotMoney;

impl FromStr for Money {
    type Err = NotMoney;
    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let (dollars, cents) = text.split_once('.').ok_or(NotMoney)?;
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(dollars) || !digits(cents) || cents.len() != 2 || dollars.len() > 12 {
            return Err(NotMoney);
        }
        let dollars: i64 = dollars.parse().map_err(|_| NotMoney)?;
        let cents: i64 = cents.parse().map_err(|_| NotMoney)?;
        Ok(Self(dollars * 100 + cents))
    }
}
impl TryFrom<String> for Money {
    type Error = NotMoney;
    fn try_from(text: String) -> Result<Self, NotMoney> {
        text.parse()
    }
}
impl From<Money> for String {
    fn from(money: Money) -> String {
        money.to_string()
    }
}

string_schema! {
    Money: "An amount in US dollars.", pattern: r"^-?[0-9]{1,12}\.[0-9]{2}$", example: "1.15"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_with_exactly_two_decimals() {
        assert_eq!("1.15".parse::<Money>().unwrap().to_string(), "1.15");
        for bad in [
            "1",
            "1.5",
            "1.155",
            "-1.00",
            "1,00",
            ".50",
            "1.",
            "",
            "1e2.00",
            "9999999999999.00",
        ] {
            assert!(bad.parse::<Money>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reported_price_is_rounded_up_to_the_cent_without_float_errors() {
        assert_eq!(Money::from_reported(1.15), Some(Money::from_cents(115)));
        assert_eq!(Money::from_reported(1.151), Some(Money::from_cents(116)));
        assert_eq!(Money::from_reported(0.0), Some(Money::ZERO));
        for bad in [f64::NAN, f64::INFINITY, -5.0, 1e300] {
            assert_eq!(Money::from_reported(bad), None, "{bad}");
        }
    }
}
