//! What one team may do, as types. How it is written in the file is known to `read`; how it is shown again
//! (`/v1/me`) is the same shape.

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
use crate::policy::approval::ApprovalRule;

/// The rules of one team. The default allows nothing. It is written as in the policy file.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct TeamRules {
    /// Where numbers may be ordered.
    pub countries: AllowedCountries,
    /// Who may have numbers that several people share.
    pub group_numbers: GroupRule,
    /// The kinds of line; `None` is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_types: Option<Vec<CarrierType>>,
    /// Numbers held at the same time, reservations included; `None` is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_numbers: Option<i64>,
    /// Orders in 24 hours; `None` is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_orders_per_day: Option<i64>,
    /// US dollars a month for all numbers held, reservations included; `None` is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_budget: Option<Money>,
    /// Where calls may be forwarded.
    pub forward_to_countries: Vec<Country>,
    /// Who may be given a number.
    pub assign_to: Assignees,
    /// Which orders a second person has to approve; `None` is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// How long after it was asked for a release is sent to Close; `None` is at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_delay: Option<ReleaseDelay>,
}

impl TeamRules {
    /// The Close group whose members may be given numbers, if that is the rule.
    pub fn group(&self) -> Option<&GroupId> {
        match &self.assign_to {
            Assignees::Group(group) => Some(group),
            _ => None,
        }
    }

    /// What the team may have at most.
    pub const fn caps(&self) -> Caps {
        Caps {
            max_numbers: self.max_numbers,
            max_orders_per_day: self.max_orders_per_day,
            monthly_budget: self.monthly_budget,
        }
    }
}

/// How long a release can be called off: a minute to 90 days, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct ReleaseDelay {
    text: String,
    #[serde(skip)]
    length: Duration,
}

impl ReleaseDelay {
    /// How long.
    pub const fn length(&self) -> Duration {
        self.length
    }
}

/// A text that is no such delay.
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

/// Where numbers may be ordered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum AllowedCountries {
    /// In these.
    List(Vec<Country>),
    /// In those that the token names, as far as they are among `within`.
    Claim {
        /// Where the token names them.
        #[serde(rename = "claim")]
        pointer: Pointer,
        /// The most that any token can have.
        within: Vec<Country>,
    },
}

impl AllowedCountries {
    /// The most that any caller may have.
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

/// Who may have numbers that several people share; written `false`, `true` or `{ permission = "…" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GroupRule {
    /// No caller of the team.
    #[default]
    Nobody,
    /// Every caller of the team.
    Everybody,
    /// Callers whose token has the permission.
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

/// Who may be given a number; written `"self"`, `"anyone"`, a list of users or `{ group = "group_…" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Assignees {
    /// The caller's own user in Close.
    #[default]
    SelfOnly,
    /// These users.
    Users(Vec<UserId>),
    /// The members of a Close group.
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
