//! Resolves authenticated identities to callers, whose rights come from the token and from the policy in force.

use std::sync::Arc;

use crate::desk::core::Core;
use crate::domain::caller::Caller;
use crate::domain::identity::{Identity, IgnoredTeam};
use crate::error::Error;

/// Resolves callers against the policy in force.
#[derive(Clone)]
pub struct Access {
    core: Core,
}

impl Access {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// Returns the caller with its rights.
    ///
    /// Fails for a service account that the policy in force does not name.
    pub fn resolve_caller(&self, identity: Identity) -> Result<Arc<Caller>, Error> {
        let unmapped = match &identity {
            Identity::Token(_) => None,
            Identity::ServiceAccount(account) => Some((account.name.clone(), account.issuer.clone())),
        };
        match (self.core.policy.load().caller(identity), unmapped) {
            (Some(caller), _) => {
                if !caller.ignored_teams().is_empty() || caller.has_group_overage() {
                    log_ignored(&caller);
                }
                Ok(Arc::new(caller))
            }
            (None, Some((name, issuer))) => Err(Error::ServiceAccountUnmapped { name, issuer }),
            (None, None) => Err(Error::Internal("a token has no caller".into())),
        }
    }

    /// Returns the caller with the rights that the policy in force gives it now; `None` if it is no caller any more.
    pub(in crate::desk) fn resolve_again(&self, caller: &Caller) -> Option<Caller> {
        self.core.policy.load().caller(caller.identity().clone())
    }

    /// The fingerprint of the policy in force.
    pub(in crate::desk) fn policy_fingerprint(&self) -> String {
        self.core.policy.load().fingerprint()
    }

    /// The metric label of the caller's team: its name if the policy names it, otherwise `other`.
    ///
    /// Team names from tokens could create an unlimited number of time series.
    pub fn team_label(&self, caller: &Caller) -> String {
        let policy = self.core.policy.load();
        let named = caller.sole_team().filter(|team| policy.names(team));
        named.map_or_else(|| "other".to_owned(), ToString::to_string)
    }
}

/// Logs the names at the teams claims that give no team, for an operator who looks for a caller's missing rights.
fn log_ignored(caller: &Caller) {
    let ignored = caller.ignored_teams();
    let names: Vec<String> = ignored.iter().map(IgnoredTeam::shown).collect();
    let reason = if caller.has_group_overage() {
        "the provider left groups out of the token, because the caller has too many"
    } else {
        ignored.first().map_or("", |team| team.reason.as_str())
    };
    tracing::debug!(
        issuer = caller.issuer(),
        subject = caller.name(),
        ignored = names.join(", "),
        reason,
        "teams of the token ignored"
    );
}
