//! The Close organization of the inventory, which the API key must belong to.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::close::{KeyInUse, KeyOrganization, Me};
use crate::desk::core::Core;
use crate::desk::errors::{map_close_error, unavailable};
use crate::domain::number::Facts;
use crate::error::Error;

/// Finds and remembers the organization. Clones share it.
#[derive(Clone)]
pub(in crate::desk) struct Organization {
    core: Core,
    found: Arc<Mutex<Option<Found>>>,
}

/// The organization that a key was found to belong to.
struct Found {
    key: KeyInUse,
    /// The organizations of the key's user.
    all: Vec<String>,
    organization: String,
}

impl Organization {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self {
            core,
            found: Arc::default(),
        }
    }

    /// Returns the organization of the inventory. Fails if the key belongs to another or an unknown one.
    ///
    /// `key` was in use when `me` was read.
    pub(in crate::desk) async fn verify(&self, me: &Me, key: KeyInUse) -> Result<String, Error> {
        let (of_key, is_certain) = self.of_key(me, &key).await?;
        let known = self.core.store.claim_organization(&of_key).await?;
        if known != of_key {
            self.correct(me, &known, &of_key).await?;
        }
        *self.found.lock() = is_certain.then(|| Found {
            key,
            all: me.organization_ids.clone(),
            organization: of_key.clone(),
        });
        Ok(of_key)
    }

    /// Whether the number certainly belongs to another organization.
    pub(in crate::desk) fn is_foreign(&self, facts: &Facts) -> bool {
        let found = self.found.lock();
        match (&*found, &facts.organization) {
            (Some(found), Some(organization)) => found.organization != *organization,
            _ => false,
        }
    }

    /// The organization of the key, and whether that is certain, or only not contradicted yet.
    async fn of_key(&self, me: &Me, key: &KeyInUse) -> Result<(String, bool), Error> {
        let close = &self.core.close;
        if let Some(found) = &*self.found.lock()
            && found.all == me.organization_ids
            && found.key == *key
        {
            return Ok((found.organization.clone(), true));
        }
        let configured = self.core.settings.organization.as_deref();
        let found = close
            .organization_of(me, configured)
            .await
            .map_err(map_close_error)?;
        match found {
            KeyOrganization::Known(organization) => Ok((organization, true)),
            KeyOrganization::Missing => Err(unavailable("the API key belongs to no Close organization")),
            KeyOrganization::Ambiguous(all) => match self.core.store.known_organization().await? {
                Some(known) if all.contains(&known) => Ok((known, false)),
                _ => Err(unavailable(ambiguous(&all))),
            },
            KeyOrganization::NotConfigured(all) => Err(unavailable(not_configured(&all))),
        }
    }

    /// Corrects the stored organization, if it was stored wrongly: no number is of that organization.
    ///
    /// Earlier versions stored the first organization of a user who is a member of several.
    async fn correct(&self, me: &Me, known: &str, of_key: &str) -> Result<(), Error> {
        let may_be_wrong = self.core.settings.organization.is_some()
            || (me.organization_ids.len() > 1 && me.organization_ids.iter().any(|id| id == known));
        if may_be_wrong && !self.core.store.has_numbers_of(known).await? {
            self.core.store.correct_organization(known, of_key).await?;
            tracing::warn!(
                before = known,
                organization_id = of_key,
                "organization of the inventory corrected: no number belongs to the one that was stored"
            );
            return Ok(());
        }
        Err(unavailable(
            "the API key belongs to another Close organization than the inventory",
        ))
    }
}

/// The error for a key whose organization is unknown. It says what to do.
pub fn ambiguous(all: &[String]) -> String {
    format!(
        "the user of the API key is a member of several Close organizations ({}), and the key sees neither numbers nor \
         events that name one: set `close.organization_id` to the one that the key belongs to",
        all.join(", ")
    )
}

/// Says that the configured organization is not one of the user.
pub fn not_configured(all: &[String]) -> String {
    format!(
        "`close.organization_id` is none of the organizations of the API key's user ({}): correct it, or remove it",
        all.join(", ")
    )
}
