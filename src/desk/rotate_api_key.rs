//! Replaces the API key for Close. A new key is tested first, so that a mistake in a file does not stop a working desk.

use secrecy::SecretString;

use crate::close::Error as CloseError;
use crate::desk::core::Core;
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
    #[error("Close does not accept the new API key; the one before stays in use")]
    Refused,
    /// It belongs to another organization than the inventory.
    #[error(
        "the new API key is of another Close organization than the inventory; the one before stays in use"
    )]
    Foreign,
    /// Close did not answer the test.
    #[error("the new API key can't be tried now ({0}); the one before stays in use")]
    Untried(CloseError),
    /// The database did not answer.
    #[error("it can't be told whose inventory this is; the API key before stays in use")]
    Unknown(#[source] Error),
    /// It has characters that a header cannot carry.
    #[error("the new API key is none that can be sent; the one before stays in use")]
    Unsendable,
}

impl ApiKey {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// Uses the key from the next call on, if Close accepts it and it belongs to the organization of the inventory.
    ///
    /// The key that is in use already is not tested again.
    pub async fn rotate(&self, key: SecretString) -> Result<(), KeyRejected> {
        let close = &self.core.close;
        if close.uses(&key) {
            return Ok(());
        }
        let other = close.with_key(key.clone()).map_err(|_| KeyRejected::Unsendable)?;
        let me = other.me().await.map_err(|failure| match failure {
            CloseError::Unauthorized => KeyRejected::Refused,
            failure => KeyRejected::Untried(failure),
        })?;
        let known = self
            .core
            .store
            .known_organization()
            .await
            .map_err(KeyRejected::Unknown)?;
        if known.is_some_and(|known| !me.organization_ids.contains(&known)) {
            return Err(KeyRejected::Foreign);
        }
        close.replace_key(key);
        tracing::info!(user_id = %me.user_id, "API key replaced");
        Ok(())
    }
}
