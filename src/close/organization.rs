//! Finds out which organization an API key belongs to, when its user is a member of several.
//!
//! Close has no call that answers this. A key belongs to one organization, and shows only the numbers and events of
//! that one, which name it. `/me/` is no evidence: it lists every organization of the user.

use std::collections::BTreeSet;

use crate::close::client::CloseClient;
use crate::close::error::Error;
use crate::close::json::Me;
use crate::domain::time::Timestamp;

/// The organization of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOrganization {
    /// It is certain.
    Known(String),
    /// The user is a member of these, and the key sees nothing that names one of them.
    Ambiguous(Vec<String>),
    /// The user is a member of none.
    Missing,
    /// The user is a member of these, and not of the configured one.
    NotConfigured(Vec<String>),
}

impl CloseClient {
    /// Finds out which organization the key of this user belongs to. `configured` decides, if the user is a member.
    ///
    /// Makes calls only if the user is a member of several organizations and none is configured.
    pub async fn organization_of(&self, me: &Me, configured: Option<&str>) -> Result<KeyOrganization, Error> {
        let all = &me.organization_ids;
        if let Some(configured) = configured {
            return Ok(if all.iter().any(|id| id == configured) {
                KeyOrganization::Known(configured.to_owned())
            } else {
                KeyOrganization::NotConfigured(all.clone())
            });
        }
        match all.as_slice() {
            [] => return Ok(KeyOrganization::Missing),
            [only] => return Ok(KeyOrganization::Known(only.clone())),
            _ => {}
        }
        let numbers = self.sample().await?.items;
        let named = numbers.into_iter().filter_map(|facts| facts.organization);
        if let Some(found) = only(all, named) {
            return Ok(found);
        }
        // The newest events suffice.
        let log = match self.creations(Timestamp::from_micros(i64::MAX)).await {
            Ok(log) => log.known,
            Err(Error::Refused { .. }) => return Ok(KeyOrganization::Ambiguous(all.clone())),
            Err(error) => return Err(error),
        };
        let named = log.into_values().filter_map(|creation| creation.organization);
        Ok(only(all, named).unwrap_or_else(|| KeyOrganization::Ambiguous(all.clone())))
    }
}

/// The one organization of the user that is named; `None` if none is named. Several are ambiguous.
fn only(all: &[String], named: impl Iterator<Item = String>) -> Option<KeyOrganization> {
    let named: BTreeSet<String> = named.filter(|id| all.contains(id)).collect();
    let first = named.first()?.clone();
    Some(if named.len() == 1 {
        KeyOrganization::Known(first)
    } else {
        KeyOrganization::Ambiguous(all.to_vec())
    })
}
