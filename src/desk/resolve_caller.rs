//! From an authenticated identity to a caller with rights: a service account has the rights of the policy in force.

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

    /// The caller with all rights. A service account without an entry in the policy in force is an error.
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

    /// Whether the policy in force still gives a resolved caller the same rights. The rights of a token last as long as
    /// the token.
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
    /// Names from tokens alone would create any number of time series.
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
