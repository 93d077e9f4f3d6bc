//! The rules of one team, as types.
//!
//! `GET /v1/me` serializes them in the same form as the policy file.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::domain::country::Country;
use crate::domain::decision::Caps;
use crate::domain::id::{GroupId, UserId};
use crate::domain::input::pointer::Pointer;
use crate::domain::money::Money;
use crate::domain::number::CarrierType;
use crate::domain::time::Span;

/// The name of the entry for teams without an entry of their own.
pub(super) const ANY_TEAM: &str = "*";

/// The members of Close groups, as far as the service knows them; an unknown group has no entry.
pub type Members = BTreeMap<GroupId, BTreeSet<UserId>>;

/// The rules of one team, in the form of the policy file. The default allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct TeamRules {
    /// The countries in which the team may order numbers.
    pub countries: AllowedCountries,
    /// The callers who may have group numbers.
    pub group_numbers: GroupRule,
    /// The allowed kinds of line; `None` allows all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_types: Option<Vec<CarrierType>>,
    /// The most numbers held at the same time, reservations included; `None` is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_numbers: Option<i64>,
    /// The most orders in 24 hours; `None` is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_orders_per_day: Option<i64>,
    /// The highest monthly price of all numbers in US dollars, with reservations; `None` is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_budget: Option<Money>,
    /// The countries to which calls may be forwarded.
    pub forward_to_countries: Vec<Country>,
    /// The users who may get a number.
    pub assign_to: Assignees,
    /// The orders that a second person must approve; `None` requires no approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// How long a release is delayed; `None` sends it to Close at once.
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
    pub const fn caps(&self) -> Caps {
        Caps {
            max_numbers: self.max_numbers,
            max_orders_per_day: self.max_orders_per_day,
            monthly_budget: self.monthly_budget,
        }
    }
}

/// The time in which a release can be cancelled: one minute to 90 days, kept as written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct ReleaseDelay {
    text: String,
    #[serde(skip)]
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

/// The orders that a second person must approve: those that meet at least one condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ApprovalRule {
    /// Orders with a monthly price above this amount in US dollars, or with an unknown price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_monthly: Option<Money>,
    /// Orders for group numbers, if `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_numbers: Option<bool>,
    /// Orders for a number in one of these countries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countries: Option<Vec<Country>>,
}

/// The countries in which a team may order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum AllowedCountries {
    /// These countries.
    List(Vec<Country>),
    /// The countries that a claim of the token names, limited to `within`.
    Claim {
        /// The claim that names the countries.
        #[serde(rename = "claim")]
        pointer: Pointer,
        /// The only countries that a token can allow.
        within: Vec<Country>,
    },
}

impl AllowedCountries {
    /// Returns every country that the rule can allow.
    pub fn most(&self) -> &[Country] {
        match self {
            Self::List(countries)
            | Self::Claim {
                within: countries, ..
            } => countries,
        }
    }
}
impl Default for AllowedCountries {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// The callers who may have group numbers: `false`, `true` or `{ permission = "…" }` in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GroupRule {
    /// No caller of the team.
    #[default]
    Nobody,
    /// Every caller of the team.
    Everybody,
    /// Callers of the team whose token has this permission.
    Permission(String),
}

impl Serialize for GroupRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nobody => serializer.serialize_bool(false),
            Self::Everybody => serializer.serialize_bool(true),
            Self::Permission(permission) => entry(serializer, "permission", permission),
        }
    }
}

/// The users who may get a number.
///
/// In the file: `"self"`, `"anyone"`, a list of users or `{ group = "group_…" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Assignees {
    /// Only the caller's own user in Close.
    #[default]
    SelfOnly,
    /// The listed users.
    Users(Vec<UserId>),
    /// The members of this Close group.
    Group(GroupId),
    /// Any user of the Close organization.
    Anyone,
}

impl Serialize for Assignees {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::SelfOnly => serializer.serialize_str("self"),
            Self::Anyone => serializer.serialize_str("anyone"),
            Self::Users(users) => users.serialize(serializer),
            Self::Group(group) => entry(serializer, "group", group.as_str()),
        }
    }
}

fn entry<S: Serializer>(serializer: S, name: &str, value: &str) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, value)?;
    map.end()
}
