//! From who a token is of to the caller: a service account's rights stand in the policy, and are those of the moment.

use std::sync::Arc;

use crate::desk::Desk;
use crate::domain::caller::Caller;
use crate::domain::service_account::{Identity, ServiceAccount, ServiceAccountName};
use crate::error::Error;
use crate::policy::Grant;

impl Desk {
    /// The caller with all rights. A service account without an entry in the policy in force is an error.
    pub fn admit(&self, identity: Identity) -> Result<Arc<Caller>, Error> {
        let account = match identity {
            Identity::Caller(caller) => return Ok(caller),
            Identity::ServiceAccount(account) => account,
        };
        match self
            .0
            .policy
            .load()
            .service_account(&account.issuer, &account.name)
        {
            Some(grant) => Ok(Arc::new(acting(&account, grant))),
            None => Err(Error::ServiceAccountUnmapped {
                name: account.name.clone(),
                issuer: account.issuer.clone(),
            }),
        }
    }

    /// Whether the policy in force gives a caller who was admitted before what it gave then. What a token gives, it gives
    /// until it ends.
    pub(super) fn still_admits(&self, caller: &Caller) -> bool {
        let Ok(name) = caller.subject.parse::<ServiceAccountName>() else {
            return true;
        };
        let policy = self.0.policy.load();
        policy
            .service_account(&caller.issuer, &name)
            .is_some_and(|grant| {
                caller.teams == [grant.team.clone()] && caller.permissions == grant.permissions
            })
    }
}

fn acting(account: &ServiceAccount, grant: &Grant) -> Caller {
    Caller {
        issuer: account.issuer.clone(),
        subject: account.name.to_string(),
        teams: vec![grant.team.clone()],
        permissions: grant.permissions.clone(),
        close_user: grant.close_user.clone(),
        claims: account.claims.clone(),
    }
}
