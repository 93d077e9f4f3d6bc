//! What policy said and why, in words that a caller can act on.

use serde::Serialize;
use serde_json::Value;

use crate::domain::money::Money;

/// Which family of rule a refusal belongs to; each has a problem type of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The policy does not allow it, whatever is used up.
    Policy,
    /// Too many numbers held, or too many orders in a day.
    Quota,
    /// The monthly price of all numbers held would be too high.
    Budget,
}

/// The rule that decided, what the caller has, what it would need, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The rule's path in the policy, such as `teams.sales-emea.countries`.
    pub rule: String,
    /// What was asked for, or what the caller has.
    pub have: Value,
    /// What the rule needs.
    pub need: Value,
    /// What to do, in a sentence.
    pub hint: String,
}

/// The answer to "may this caller do this".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes; the explanation names the rule that allows it.
    Allowed(Explanation),
    /// No.
    Denied(Refusal, Explanation),
}

impl Decision {
    /// Whether it is a yes.
    pub const fn allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
    /// The explanation, either way.
    pub const fn explanation(&self) -> &Explanation {
        match self {
            Self::Allowed(explanation) | Self::Denied(_, explanation) => explanation,
        }
    }
}

/// What a team may have at most; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Numbers held at the same time, reservations included.
    pub max_numbers: Option<i64>,
    /// Orders in the last 24 hours.
    pub max_orders_per_day: Option<i64>,
    /// The monthly price of all numbers held, reservations included.
    pub monthly_budget: Option<Money>,
}

/// What a team has of each cap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Numbers held.
    pub numbers_held: i64,
    /// Numbers that open orders hold a place for.
    pub numbers_reserved: i64,
    /// Orders of the last 24 hours that count: neither refused nor cancelled.
    pub orders_last_day: i64,
    /// Monthly price of the numbers held.
    pub monthly_held: Money,
    /// Monthly price that open orders reserve.
    pub monthly_reserved: Money,
}
