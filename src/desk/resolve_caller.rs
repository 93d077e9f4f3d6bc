//! Resolves authenticated identities to callers with teams and permissions.
//!
//! A service account gets the rights that the policy in force grants it.

use std::sync::Arc;

use crate::desk::core::Core;
use crate::domain::caller::Caller;
use crate::domain::service_account::{Identity, ServiceAccount, ServiceAccountName};
use crate::error::Error;
use crate::policy::Grant;

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
        let account = match identity {
            Identity::Caller(caller) => return Ok(caller),
            Identity::ServiceAccount(account) => account,
        };
        match self
            .core
            .policy
            .load()
            .service_account(&account.issuer, &account.name)
        {
            Some(grant) => Ok(Arc::new(granted(&account, grant))),
            None => Err(Error::ServiceAccountUnmapped {
                name: account.name.clone(),
                issuer: account.issuer.clone(),
            }),
        }
    }

    /// Whether the policy in force still grants a resolved caller the same rights.
    ///
    /// The rights of other callers come from their token and last as long as the token.
    pub(in crate::desk) fn still_grants(&self, caller: &Caller) -> bool {
        let Ok(name) = caller.subject.parse::<ServiceAccountName>() else {
            return true;
        };
        let policy = self.core.policy.load();
        policy
            .service_account(&caller.issuer, &name)
            .is_some_and(|grant| {
                caller.teams == [grant.team.clone()] && caller.permissions == grant.permissions
            })
    }

    /// The metric label of the caller's team: its name if the policy names it, otherwise `other`.
    ///
    /// Team names from tokens could create an unlimited number of time series.
    pub fn team_label(&self, caller: &Caller) -> String {
        let policy = self.core.policy.load();
        let named = caller
            .teams
            .first()
            .filter(|team| caller.teams.len() == 1 && policy.names(team));
        named.map_or_else(|| "other".to_owned(), ToString::to_string)
    }
}

fn granted(account: &ServiceAccount, grant: &Grant) -> Caller {
    Caller {
        issuer: account.issuer.clone(),
        subject: account.name.to_string(),
        teams: vec![grant.team.clone()],
        permissions: grant.permissions.clone(),
        close_user: grant.close_user.clone(),
        claims: account.claims.clone(),
    }
}
