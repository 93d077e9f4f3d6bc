//! Values that all replicas share and that are not configured: the first replica writes them.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::sql;
use crate::store::sql::error::corrupt;

const ORGANIZATION: &str = "organization";
const EVENT_LOG_POSITION: &str = "log_read";

impl Store {
    /// The random key that signs cursors; the first replica creates it.
    pub async fn cursor_key(&self) -> Result<[u8; 32], Error> {
        let mut key = [0; 32];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| corrupt("the system's random generator failed", None))?;
        let known = self.get_or_insert("cursor_key", &hex::encode(key)).await?;
        hex::decode_to_slice(known, &mut key)
            .map_err(|cause| corrupt("the cursor key can't be read", Some(cause.into())))?;
        Ok(key)
    }

    /// The Close organization of this inventory: the first one seen, which is stored if none is yet.
    pub async fn claim_organization(&self, seen: &str) -> Result<String, Error> {
        self.get_or_insert(ORGANIZATION, seen).await
    }

    /// Replaces the stored Close organization, if it is still `wrong`.
    pub async fn correct_organization(&self, wrong: &str, right: &str) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "UPDATE settings SET value = $3 WHERE name = $1 AND value = $2",
            ORGANIZATION,
            wrong,
            right
        ))
        .await?;
        tx.commit().await
    }

    /// The Close organization of this inventory, if one is stored.
    pub async fn known_organization(&self) -> Result<Option<String>, Error> {
        let row = self
            .db
            .row(sql!("SELECT value FROM settings WHERE name = $1", ORGANIZATION))
            .await?;
        row.map(|row| row.text("value")).transpose()
    }

    /// The time by Close's clock up to which its event log was read; `None` when it never was.
    pub async fn event_log_position(&self) -> Result<Option<Timestamp>, Error> {
        let row = self
            .db
            .row(sql!(
                "SELECT value FROM settings WHERE name = $1",
                EVENT_LOG_POSITION
            ))
            .await?;
        row.map(|row| row.parsed("value")).transpose()
    }

    /// Records that Close's event log was read up to `at`.
    ///
    /// A time before the stored one changes nothing.
    pub async fn advance_event_log_position(&self, at: Timestamp) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            EVENT_LOG_POSITION,
            at.to_string()
        ))
        .await?;
        let row = tx
            .lock(sql!(
                "SELECT value FROM settings WHERE name = $1",
                EVENT_LOG_POSITION
            ))
            .await?
            .ok_or_else(|| corrupt("the position in the event log is missing", None))?;
        // Compared as times: version 0.1 stored texts with fewer digits, which do not sort.
        if row.parsed::<Timestamp>("value")? < at {
            tx.execute(sql!(
                "UPDATE settings SET value = $2 WHERE name = $1",
                EVENT_LOG_POSITION,
                at.to_string()
            ))
            .await?;
        }
        tx.commit().await
    }

    async fn get_or_insert(&self, name: &'static str, value: &str) -> Result<String, Error> {
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
            value
        ))
        .await?;
        tx.commit().await?;
        known()
            .await?
            .ok_or_else(|| corrupt(format!("the setting {name} is missing"), None))?
            .text("value")
    }
}
