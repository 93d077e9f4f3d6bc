//! What all replicas share and nobody configures: written by whoever comes first, the same for all from then on.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::sql::db::sql;
use crate::store::sql::error::corrupt;

const LOG_READ: &str = "log_read";

impl Store {
    /// The key that authenticates cursors: random, made by whoever asks first, the same on all replicas.
    pub async fn cursor_key(&self) -> Result<[u8; 32], Error> {
        let mut key = [0; 32];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| corrupt("the system has no randomness", None))?;
        let known = self.first_word("cursor_key", &hex::encode(key)).await?;
        hex::decode_to_slice(known, &mut key)
            .map_err(|cause| corrupt("the cursor key can't be read", Some(cause.into())))?;
        Ok(key)
    }

    /// The Close organization whose numbers this inventory holds: the first that it was ever compared with.
    pub async fn claim_organization(&self, seen: &str) -> Result<String, Error> {
        self.first_word("organization", seen).await
    }

    /// The same, as far as there was a comparison.
    pub async fn known_organization(&self) -> Result<Option<String>, Error> {
        let row = self
            .db
            .row(sql!("SELECT value FROM settings WHERE name = $1", "organization"))
            .await?;
        row.map(|row| row.text("value")).transpose()
    }

    /// Up to when, by Close's clock, its event log was read; `None` when it never was.
    pub async fn event_log_position(&self) -> Result<Option<Timestamp>, Error> {
        let row = self
            .db
            .row(sql!("SELECT value FROM settings WHERE name = $1", LOG_READ))
            .await?;
        row.map(|row| row.parsed("value")).transpose()
    }

    /// The event log was read up to `at`.
    pub async fn advance_event_log_position(&self, at: Timestamp) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE \
                SET value = CASE WHEN settings.value > excluded.value THEN settings.value ELSE excluded.value END",
            LOG_READ,
            at.to_string()
        ))
        .await?;
        tx.commit().await
    }

    async fn first_word(&self, name: &'static str, word: &str) -> Result<String, Error> {
        let known = || {
            self.db
                .row(sql!("SELECT value FROM settings WHERE name = $1", name))
        };
        if let Some(row) = known().await? {
            return row.text("value");
        }
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            name,
            word
        ))
        .await?;
        tx.commit().await?;
        known()
            .await?
            .ok_or_else(|| corrupt(format!("the setting {name} is gone"), None))?
            .text("value")
    }
}
