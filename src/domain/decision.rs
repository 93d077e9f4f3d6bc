//! A decision of the policy and its explanation, on which a caller can act.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::money::Money;

/// The family of rules that a denial belongs to. Each has its own problem type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DenialKind)]
pub enum Refusal {
    /// The policy does not allow it, regardless of usage.
    Policy,
    /// The team would hold too many numbers, or place too many orders in a day.
    Quota,
    /// The monthly price of all the team's numbers would exceed its budget.
    Budget,
    /// Too many orders of the team were refused within the hour.
    Rate,
}

/// A decision of the policy: the rule, the actual value, the required value and a hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Decision, example = json!({
    "rule": "teams.sales-emea.countries", "have": "US", "need": ["DE", "FR", "GB"],
    "hint": "order in one of the countries the team may have",
}))]
pub struct Explanation {
    /// The path of the rule in the policy.
    pub rule: String,
    /// The value in the request, or the current usage.
    #[schema(value_type = Value)]
    pub have: Value,
    /// The value that the rule requires.
    #[schema(value_type = Value)]
    pub need: Value,
    /// What to do, in one sentence.
    pub hint: String,
}

/// The policy's decision about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed; the explanation names the rule that allows it.
    Allowed(Explanation),
    /// Denied.
    Denied(Refusal, Explanation),
}

impl Decision {
    /// Whether the request is allowed.
    pub const fn allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
    /// Returns the explanation.
    pub const fn explanation(&self) -> &Explanation {
        match self {
            Self::Allowed(explanation) | Self::Denied(_, explanation) => explanation,
        }
    }
}

/// A team's upper limits; `None` is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// The most numbers held at the same time, reservations included.
    pub max_numbers: Option<i64>,
    /// The most orders in 24 hours.
    pub max_orders_per_day: Option<i64>,
    /// The most orders that may end refused within an hour, before the team must wait.
    pub max_refused_per_hour: Option<i64>,
    /// The highest monthly price of all numbers in US dollars, reservations included.
    pub monthly_budget: Option<Money>,
}

/// The usage of a team.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// The number of phone numbers that the team holds.
    #[schema(example = 3)]
    pub numbers_held: i64,
    /// The number of phone numbers that open orders reserve.
    #[schema(example = 1)]
    pub numbers_reserved: i64,
    /// The orders of the last 24 hours, without refused and cancelled orders.
    #[schema(example = 2)]
    pub orders_last_day: i64,
    /// The orders that Close refused, or that rented no number, within the last hour.
    #[schema(example = 0)]
    pub refused_last_hour: i64,
    /// Seconds until the first of them is an hour old.
    #[serde(skip)]
    pub refused_wait_seconds: u64,
    /// The monthly price of the numbers that the team holds, in US dollars.
    pub monthly_held: Money,
    /// The monthly price that open orders reserve, in US dollars.
    pub monthly_reserved: Money,
}
