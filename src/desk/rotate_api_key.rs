//! Replaces the API key for Close.
//!
//! A new key is tested first, so that a wrong key in a file does not stop a working service.

use secrecy::SecretString;

use crate::close::{Error as CloseError, KeyOrganization};
use crate::desk::core::Core;
use crate::desk::organization::{ambiguous, not_configured};
use crate::domain::id::UserId;
use crate::error::Error;

/// The API key for Close.
#[derive(Clone)]
pub struct ApiKey {
    core: Core,
}

/// Why a new key is not used. The previous key stays in use.
#[derive(Debug, thiserror::Error)]
pub enum KeyRejected {
    /// Close does not accept it.
    #[error("Close does not accept the new API key; the previous key stays in use")]
    Refused,
    /// It belongs to another organization than the inventory.
    #[error(
        "the new API key belongs to another Close organization than the inventory; the previous key stays in use"
    )]
    Foreign,
    /// Close did not answer the test.
    #[error("the new API key can't be tested now ({0}); the previous key stays in use")]
    Untried(CloseError),
    /// The database did not answer.
    #[error("the organization of the inventory can't be read now ({0}); the previous key stays in use")]
    Unknown(Error),
    /// It contains characters that an HTTP header cannot contain.
    #[error(
        "the new API key contains characters that can't be sent in a header; the previous key stays in use"
    )]
    Unsendable,
}

impl ApiKey {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// Checks at the start whether the organization of the key is known. The error says what to set.
    ///
    /// Asks Close only if that is not stored, or is configured. An unreachable Close is no error.
    pub async fn check_organization(&self) -> Result<(), String> {
        let (store, close) = (&self.core.store, &self.core.close);
        let configured = self.core.settings.organization.as_deref();
        if configured.is_none() && !matches!(store.known_organization().await, Ok(None)) {
            return Ok(());
        }
        let Ok(me) = close.me().await else {
            return Ok(());
        };
        match close.organization_of(&me, configured).await {
            Ok(KeyOrganization::Ambiguous(all)) => Err(ambiguous(&all)),
            Ok(KeyOrganization::NotConfigured(all)) => Err(not_configured(&all)),
            _ => Ok(()),
        }
    }

    /// Replaces the key, if Close accepts the new one and it belongs to the organization of the inventory.
    ///
    /// The new key is used from the next call on. A key that is already in use is not tested again.
    pub async fn rotate(&self, key: SecretString) -> Result<(), KeyRejected> {
        let close = &self.core.close;
        if close.uses(&key) {
            return Ok(());
        }
        let candidate = close.with_key(key.clone()).map_err(|_| KeyRejected::Unsendable)?;
        let me = candidate.me().await.map_err(|failure| match failure {
            CloseError::Unauthorized => KeyRejected::Refused,
            failure => KeyRejected::Untried(failure),
        })?;
        let known = self
            .core
            .store
            .known_organization()
            .await
            .map_err(KeyRejected::Unknown)?;
        let configured = self.core.settings.organization.as_deref();
        let found = candidate
            .organization_of(&me, configured)
            .await
            .map_err(KeyRejected::Untried)?;
        if known.is_some_and(|known| match found {
            KeyOrganization::Known(organization) => organization != known,
            KeyOrganization::Ambiguous(all) => !all.contains(&known),
            KeyOrganization::Missing | KeyOrganization::NotConfigured(_) => true,
        }) {
            return Err(KeyRejected::Foreign);
        }
        close.replace_key(key);
        let user_id = me.user_id.as_ref().map(UserId::as_str);
        tracing::info!(user_id, "API key replaced");
        Ok(())
    }
}
