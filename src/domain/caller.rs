//! The authenticated caller of a request: a person or an app, with its rights.
//!
//! The service creates a [`Caller`] only from a verified token. Its rights come from the token and from the policy.

use std::sync::Arc;

use serde_json::Value;

use crate::domain::claim;
use crate::domain::id::UserId;
use crate::domain::identity::{Identity, IgnoredTeam, TokenIdentity};
use crate::domain::rights::{Rights, Source};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// The maximum number of [`Caller::ignored_teams`].
const MAX_IGNORED_TEAMS: usize = 20;

/// The sender of a request, from a verified token.
#[derive(Debug, Clone)]
pub struct Caller {
    identity: Identity,
    subject: String,
    close_user: Option<UserId>,
    rights: Rights,
    ignored_teams: Vec<IgnoredTeam>,
}

impl Caller {
    /// Creates the caller with these rights.
    pub fn new(identity: Identity, close_user: Option<UserId>, rights: Rights) -> Self {
        let subject = match &identity {
            Identity::Token(token) => token.subject.clone(),
            Identity::ServiceAccount(account) => account.name.to_string(),
        };
        let caller = Self {
            identity,
            subject,
            close_user,
            rights,
            ignored_teams: Vec::new(),
        };
        caller.with_used(|_| false)
    }

    /// Leaves names out of [`Caller::ignored_teams`], because a grant used them.
    #[must_use]
    pub fn with_used(mut self, is_used: impl Fn(&str) -> bool) -> Self {
        if let Identity::Token(token) = &self.identity {
            let unused = token.ignored_teams.iter().filter(|team| !is_used(&team.name));
            self.ignored_teams = unused.take(MAX_IGNORED_TEAMS).cloned().collect();
        }
        self
    }

    /// Creates the caller with no other rights than those that its token states.
    pub fn of_token(token: TokenIdentity) -> Self {
        let rights = Rights::stated(&token.teams, &token.permissions, Source::Token);
        let close_user = token.close_user.clone();
        Self::new(Identity::Token(Arc::new(token)), close_user, rights)
    }

    /// Returns the identity that the token proves, from which the rights can be resolved again.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the token's `iss`.
    pub fn issuer(&self) -> &str {
        match &self.identity {
            Identity::Token(token) => &token.issuer,
            Identity::ServiceAccount(account) => &account.issuer,
        }
    }

    /// Returns the token's `sub`. With the issuer, it identifies the caller.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the name for people, which the audit trail, orders and logs show. It decides no right.
    pub fn name(&self) -> &str {
        match &self.identity {
            Identity::Token(token) => &token.name,
            Identity::ServiceAccount(_) => &self.subject,
        }
    }

    /// Returns the caller's own user in Close.
    pub fn close_user(&self) -> Option<&UserId> {
        self.close_user.as_ref()
    }

    /// Returns the permissions of the caller, in each of its teams.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Returns all claims, for policy rules that refer to them.
    pub fn claims(&self) -> &Value {
        match &self.identity {
            Identity::Token(token) => &token.claims,
            Identity::ServiceAccount(account) => &account.claims,
        }
    }

    /// Returns the first names at the teams claims that are no team, and that no grant used.
    pub fn ignored_teams(&self) -> &[IgnoredTeam] {
        &self.ignored_teams
    }

    /// Whether the provider left groups out of the token because the caller has too many.
    pub fn has_group_overage(&self) -> bool {
        match &self.identity {
            Identity::Token(token) => token.overage,
            Identity::ServiceAccount(_) => false,
        }
    }

    /// Returns when the token expires; `None` without a valid `exp`.
    pub fn expires_at(&self) -> Option<Timestamp> {
        claim::time(self.claims().get("exp")?)
    }

    /// The team of a caller that has exactly one.
    pub fn sole_team(&self) -> Option<&Team> {
        let mut teams = self.rights.teams();
        teams.next().filter(|_| teams.len() == 0)
    }
}
