//! The authenticated caller of a request: a person or an app, with teams and permissions.
//!
//! The service creates a [`Caller`] only from a verified token. The permissions come from the token or, for a service
//! account, from the policy.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::id::UserId;
use crate::domain::time::Timestamp;

/// The name of a team, which owns numbers and has rules, quotas and a budget in the policy.
///
/// It has 1 to 64 letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Team(String);

impl Team {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error for a string that is not a team name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a team name: 1 to 64 letters, digits, `-`, `_` or `.`")]
pub struct NotATeam;

impl FromStr for Team {
    type Err = NotATeam;
    fn from_str(text: &str) -> Result<Self, NotATeam> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotATeam)
        }
    }
}
impl TryFrom<String> for Team {
    type Error = NotATeam;
    fn try_from(text: String) -> Result<Self, NotATeam> {
        text.parse()
    }
}
impl From<Team> for String {
    fn from(team: Team) -> String {
        team.0
    }
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// A permission, which a token or the policy grants to a caller.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission { $($(#[$doc])* $name),* }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// Returns the permission as a token contains it, such as `numbers:rent`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        /// The permissions as types: a use case names the one that it needs in its signature.
        pub mod needs {
            use super::Permission;

            /// A type that stands for a permission.
            pub trait Needs: Copy + Send + Sync {
                /// The permission.
                const PERMISSION: Permission;
            }

            /// The use case needs no permission.
            #[derive(Debug, Clone, Copy)]
            pub struct Nothing;

            $(
                $(#[$doc])*
                #[derive(Debug, Clone, Copy)]
                pub struct $name;

                impl Needs for $name {
                    const PERMISSION: Permission = Permission::$name;
                }
            )*
        }
    };
}
permissions! {
    /// Read the team's numbers and orders.
    NumbersRead = "numbers:read",
    /// Order numbers and cancel orders.
    NumbersRent = "numbers:rent",
    /// Rent group numbers, if the policy requires this permission.
    NumbersGroup = "numbers:group",
    /// Change numbers.
    NumbersUpdate = "numbers:update",
    /// Release numbers.
    NumbersRelease = "numbers:release",
    /// Approve or reject another person's order.
    OrdersApprove = "orders:approve",
    /// Access all teams; adopt and transfer numbers; settle manual reviews.
    NumbersAdmin = "numbers:admin",
    /// Read the audit trail.
    AuditRead = "audit:read",
    /// Read spend reports.
    SpendRead = "spend:read",
    /// Manage outgoing webhooks.
    WebhooksManage = "webhooks:manage",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for Permission {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|permission| permission.as_str()).collect();
                format!("must be a permission: one of {}", known.join(", "))
            })
    }
}

/// The sender of a request, from a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's `iss`.
    pub issuer: String,
    /// The token's `sub`, which the audit trail shows.
    pub subject: String,
    /// The teams, in the token's order, without duplicates.
    pub teams: Vec<Team>,
    /// The permissions. They include unknown ones, which the policy can name.
    pub permissions: BTreeSet<String>,
    /// The caller's own user in Close.
    pub close_user: Option<UserId>,
    /// All claims, for policy rules that refer to them.
    pub claims: Value,
}

impl Caller {
    /// Whether the caller has this permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(permission.as_str())
    }

    /// Returns when the token expires; `None` without a valid `exp`.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let seconds = self.claims.get("exp")?.as_i64()?;
        Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
    }

    /// The team of a caller that has exactly one.
    pub fn sole_team(&self) -> Option<&Team> {
        match self.teams.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether the objects of the team exist for the caller.
    pub(in crate::domain) fn sees(&self, team: &Team) -> bool {
        self.may(Permission::NumbersAdmin) || self.teams.contains(team)
    }
}
