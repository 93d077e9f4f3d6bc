//! Another API key for Close: tried before it is used, so that a slip in a file does not stop a desk that works.

use secrecy::SecretString;

use crate::close::Trouble;
use crate::desk::Desk;
use crate::error::Error;

/// Why another key is not used; the one before stays.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is no key of Close.
    #[error("Close does not accept the new API key; the one before stays in use")]
    Refused,
    /// What it sees is not ours.
    #[error(
        "the new API key is of another Close organization than the inventory; the one before stays in use"
    )]
    Foreign,
    /// Close can't be asked.
    #[error("the new API key can't be tried now ({0}); the one before stays in use")]
    Untried(Trouble),
    /// Neither can the database.
    #[error("it can't be told whose inventory this is; the API key before stays in use")]
    Unknown(#[source] Error),
    /// It can't be sent.
    #[error("the new API key is none that can be sent; the one before stays in use")]
    Unsendable,
}

impl Desk {
    /// Uses the key from the next call on, once Close has said that it is good and of the inventory's organization. The
    /// key in use is taken as it is.
    pub async fn adopt_api_key(&self, key: SecretString) -> Result<(), Unfit> {
        let close = &self.0.close;
        if close.uses(&key) {
            return Ok(());
        }
        let other = close.with_key(key.clone()).map_err(|_| Unfit::Unsendable)?;
        let me = other.me().await.map_err(|trouble| match trouble {
            Trouble::Unauthorized => Unfit::Refused,
            trouble => Unfit::Untried(trouble),
        })?;
        let known = self.0.store.known_organization().await.map_err(Unfit::Unknown)?;
        if known.is_some_and(|known| !me.organization_ids.contains(&known)) {
            return Err(Unfit::Foreign);
        }
        close.replace_key(key);
        tracing::info!(user = %me.user_id, "another API key is in use");
        Ok(())
    }
}
