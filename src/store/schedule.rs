//! The schedule of periodic steps that one replica does for all.

use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::due_times::{due, latest};
use crate::store::handle::Store;
use crate::store::sql::db::sql;

/// The row that [`Store::probe_write`] writes.
const PROBE: &str = "measure";

impl Store {
    /// Claims the step `name` if it is due, and schedules the next one `every` later.
    ///
    /// Of all replicas that call this at the same time, only one gets `true`. It does the step.
    pub async fn claim_step(
        &self,
        name: &'static str,
        now: Timestamp,
        every: Duration,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let claimed = tx
            .execute(sql!(
                format!(
                    "INSERT INTO turns (name, due_at) VALUES ($1, $3) ON CONFLICT (name) DO UPDATE \
                        SET due_at = excluded.due_at WHERE {}",
                    due("turns.due_at", "$2", "$4")
                ),
                name,
                now,
                now.plus(every),
                latest(now, every)
            ))
            .await?;
        tx.commit().await?;
        Ok(claimed == 1)
    }

    /// Writes one row, to find out whether the database accepts writes.
    ///
    /// A database with a full disk, or a standby, still answers reads.
    pub async fn probe_write(&self, now: Timestamp) -> Result<(), Error> {
        self.claim_step(PROBE, now, Duration::ZERO).await.map(drop)
    }
}
