//! The ids of the API keys that were ever the service's own, as Close's event log shows them.

use std::collections::BTreeSet;

use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::sql;

impl Store {
    /// The ids of all API keys that are known to be or to have been the service's own.
    pub async fn own_keys(&self) -> Result<BTreeSet<String>, Error> {
        let rows = self.db.rows(sql!("SELECT id FROM own_keys")).await?;
        rows.iter().map(|row| row.text("id")).collect()
    }

    /// Adds ids of API keys that are certainly the service's own.
    pub async fn add_own_keys(&self, ids: &BTreeSet<String>, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        for id in ids {
            tx.execute(sql!(
                "INSERT INTO own_keys (id, known_since) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
                id.as_str(),
                now
            ))
            .await?;
        }
        tx.commit().await
    }
}
