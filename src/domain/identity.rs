//! The identity that a verified token proves, before the policy adds rights to it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::domain::id::UserId;
use crate::domain::service_account::ServiceAccount;
use crate::domain::team::Team;

/// The maximum number of [`TokenIdentity::ignored_teams`].
pub const MAX_IGNORED_TEAMS: usize = 500;
/// The maximum length of [`IgnoredTeam::shown`], in characters.
pub const MAX_SHOWN_CHARS: usize = 100;

/// The identity that a verified token proves.
#[derive(Debug, Clone)]
pub enum Identity {
    /// A person or an app, from a token of an identity provider.
    Token(Arc<TokenIdentity>),
    /// A service account of a cluster, whose permissions are in the policy.
    ServiceAccount(Arc<ServiceAccount>),
}

/// A person or an app, and what its token states about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIdentity {
    /// The token's `iss`.
    pub issuer: String,
    /// The token's `sub`, unchanged. With the issuer, it identifies the caller: compare callers by these two.
    pub subject: String,
    /// The name for people: in the audit trail, in `created_by` and in logs.
    ///
    /// 1 to 255 characters without control characters; the `sub` if the issuer's settings name no other claim. Some
    /// providers let users change it, so it must never decide a right.
    pub name: String,
    /// The team names at the teams claims, in the token's order, without duplicates.
    pub teams: Vec<Team>,
    /// Names at the teams claims that are no team: at most [`MAX_IGNORED_TEAMS`].
    pub ignored_teams: Vec<IgnoredTeam>,
    /// Whether the provider left groups out of the token because the caller has too many.
    pub overage: bool,
    /// The words at the permissions claims, unknown ones included. They hold in [`TokenIdentity::teams`].
    pub permissions: BTreeSet<String>,
    /// The caller's own user in Close.
    pub close_user: Option<UserId>,
    /// All claims of the token.
    pub claims: Value,
}

impl TokenIdentity {
    /// Creates the identity of a token that has no other claim than `iss` and `sub`.
    pub fn named(issuer: &str, subject: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            name: subject.to_owned(),
            teams: Vec::new(),
            ignored_teams: Vec::new(),
            overage: false,
            permissions: BTreeSet::new(),
            close_user: None,
            claims: Value::Null,
        }
    }
}

/// A name at a teams claim that gives the caller no team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredTeam {
    /// The name, exactly as the token has it.
    pub name: String,
    /// Why it is ignored.
    pub reason: IgnoredReason,
}

impl IgnoredTeam {
    /// Returns the start of the name, fit for logs and answers: [`MAX_SHOWN_CHARS`] without control characters.
    pub fn shown(&self) -> String {
        let printable = |c: char| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        };
        self.name.chars().take(MAX_SHOWN_CHARS).map(printable).collect()
    }
}

/// Why a name at a teams claim gives no team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IgnoredReason {
    /// The name has characters that a team name can't have, or is too long.
    NotATeam,
    /// The name is a path to a group in a group, such as `/sales/emea`.
    GroupPath,
}

impl IgnoredReason {
    /// Returns the reason and the remedy, as a part of a sentence about the name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotATeam => {
                "not a team name (1 to 64 letters, digits, `-`, `_` or `.`); a grant in the policy can give it a team"
            }
            Self::GroupPath => "a group inside another group; a grant in the policy can give it a team",
        }
    }
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
