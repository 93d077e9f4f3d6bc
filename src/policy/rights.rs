//! The engine of rights: what the token and the policy give an identity.
//!
//! There are three sources, which differ only in how they match. A token gives its own permissions in its own teams. A
//! grant matches a value of a claim. An entry of `[[service_accounts]]` matches an account by its name.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::caller::Caller;
use crate::domain::identity::{Identity, TokenIdentity};
use crate::domain::rights::{Rights, Source};
use crate::policy::file::Policy;
use crate::policy::grants::{Grant, Reach};

impl Policy {
    /// Returns the caller with all its rights; `None` for a service account that the policy does not list.
    pub fn caller(&self, identity: Identity) -> Option<Caller> {
        match &identity {
            Identity::Token(token) => {
                let matching = self.matching_grants(&token.issuer, &token.claims);
                let (rights, close_user) = (self.rights_of(token, &matching), token.close_user.clone());
                let is_used = |name: &str| matching.iter().any(|index| self.grants()[*index].value == name);
                let caller = Caller::new(identity.clone(), close_user, rights);
                Some(caller.with_used(is_used))
            }
            Identity::ServiceAccount(account) => {
                let entry = self.service_account(&account.issuer, &account.name)?;
                let source = Source::ServiceAccount(entry.index);
                let teams = std::slice::from_ref(&entry.team);
                let rights = Rights::stated(teams, &entry.permissions, source);
                let close_user = entry.close_user.clone();
                Some(Caller::new(identity, close_user, rights))
            }
        }
    }

    /// Returns the grants, in the order of the file.
    pub fn grants(&self) -> &[Grant] {
        &self.grants.entries
    }

    /// Returns the indexes of the grants that match a token, in the order of the file.
    pub fn matching_grants(&self, issuer: &str, claims: &Value) -> BTreeSet<usize> {
        self.grants.matching(issuer, claims)
    }

    fn rights_of(&self, token: &TokenIdentity, matching: &BTreeSet<usize>) -> Rights {
        let mut rights = Rights::stated(&token.teams, &token.permissions, Source::Token);
        for index in matching {
            let (grant, source) = (&self.grants()[*index], Source::Grant(*index));
            match &grant.reach {
                Reach::Teams(teams) => rights.give(teams, &grant.permissions, source),
                Reach::Everywhere => rights.give_everywhere(&grant.permissions, source),
            }
        }
        rights
    }
}

#[cfg(test)]
mod tests;
