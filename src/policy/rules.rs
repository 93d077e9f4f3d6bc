//! The rules of one team, in the form of the policy file.
//!
//! `GET /v1/me` serializes them in the same form.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::country::Country;
use crate::domain::decision::Caps;
use crate::domain::id::{GroupId, UserId};
use crate::domain::input::values::Whole;
use crate::domain::number::CarrierType;
use crate::domain::schema::string_schema;
use crate::domain::time::Span;
use crate::policy::amount::Amount;
use crate::policy::choices::{AllowedCountries, Assignees, GroupRule};

/// The name of the entry for teams without an entry of their own.
pub(super) const ANY_TEAM: &str = "*";

/// The members of Close groups, as far as the service knows them; an unknown group has no entry.
pub type Members = BTreeMap<GroupId, BTreeSet<UserId>>;

/// The refused orders of a team within an hour, if its entry names no number. Each one costs a call to Close.
const REFUSED_PER_HOUR: i64 = 60;

/// A cap. The largest is more than any organization needs, and keeps every sum in range.
type Cap = Whole<0, 1_000_000>;

/// The rules of one team. Without a rule, nothing is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeamRules {
    /// The countries in which the team may order numbers.
    pub countries: AllowedCountries,
    /// Who may have numbers for several people: with several users or any group, or ordered for several.
    pub group_numbers: GroupRule,
    /// The types of phone lines that the team may order. All by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_types: Option<Vec<CarrierType>>,
    /// The maximum number of numbers that the team holds, with those that its open orders reserve. Unlimited by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_numbers: Option<Cap>,
    /// The maximum number of orders within 24 hours. Unlimited by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_orders_per_day: Option<Cap>,
    /// The number of orders that Close may refuse within an hour before further orders of the team must wait. 60 by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_refused_per_hour: Option<Cap>,
    /// The highest monthly price of all numbers of the team, with those that its open orders reserve. Unlimited by
    /// default.
    ///
    /// A budget needs a price for each of the team's `countries` in `[prices]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_budget: Option<Amount>,
    /// The countries to which calls may be forwarded.
    pub forward_to_countries: Vec<Country>,
    /// The users in Close who may get a number.
    pub assign_to: Assignees,
    /// The orders that a second person must approve. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// The time during which a release can be cancelled. By default a release cannot be cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_delay: Option<ReleaseDelay>,
}

impl TeamRules {
    /// Returns the Close group whose members may get numbers, if the rule names one.
    pub fn group(&self) -> Option<&GroupId> {
        match &self.assign_to {
            Assignees::Group(group) => Some(group),
            _ => None,
        }
    }

    /// Returns the team's caps.
    pub fn caps(&self) -> Caps {
        Caps {
            max_numbers: self.max_numbers.map(Whole::get),
            max_orders_per_day: self.max_orders_per_day.map(Whole::get),
            max_refused_per_hour: Some(self.max_refused_per_hour.map_or(REFUSED_PER_HOUR, Whole::get)),
            monthly_budget: self.monthly_budget.map(|Amount(budget)| budget),
        }
    }
}

/// The time in which a release can be cancelled: one minute to 90 days, kept as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseDelay {
    text: String,
    length: Duration,
}

impl ReleaseDelay {
    /// Returns the length of the delay.
    pub const fn length(&self) -> Duration {
        self.length
    }
}

/// The error for a string that is not a release delay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a length of time from \"1m\" to \"90d\", like \"24h\"")]
pub struct NotADelay;

impl FromStr for ReleaseDelay {
    type Err = NotADelay;
    fn from_str(text: &str) -> Result<Self, NotADelay> {
        let Span(length) = text.parse().map_err(|_| NotADelay)?;
        if (Duration::from_mins(1)..=Duration::from_hours(90 * 24)).contains(&length) {
            let text = text.to_owned();
            Ok(Self { text, length })
        } else {
            Err(NotADelay)
        }
    }
}

impl TryFrom<String> for ReleaseDelay {
    type Error = NotADelay;
    fn try_from(text: String) -> Result<Self, NotADelay> {
        text.parse()
    }
}
impl From<ReleaseDelay> for String {
    fn from(delay: ReleaseDelay) -> String {
        delay.text
    }
}
string_schema! {
    ReleaseDelay: "A length of time from 1m to 90d: a whole number and `s`, `m`, `h` or `d`.",
    pattern: Span::PATTERN, example: "24h"
}

/// The orders that a second person must approve: those that meet at least one condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct ApprovalRule {
    /// Orders with a monthly price above this amount, or with an unknown price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_monthly: Option<Amount>,
    /// Orders for several people, if `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_numbers: Option<bool>,
    /// Orders for a number in one of these countries. The team's `countries` must contain them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countries: Option<Vec<Country>>,
}
