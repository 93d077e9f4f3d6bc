//! The authenticated caller of a request: a person or an app, with teams and permissions.
//!
//! The service creates a [`Caller`] only from a verified token. The permissions come from the token or, for a service
//! account, from the policy.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::id::UserId;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

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
