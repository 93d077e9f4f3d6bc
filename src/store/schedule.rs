//! Turns: steps that one replica does for all, when their time has come.

use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::sql::db::sql;

impl Store {
    /// Whether it is the caller's to do the step now: of all who ask, one has the turn, and the next is `every` later.
    pub async fn take_turn(
        &self,
        name: &'static str,
        now: Timestamp,
        every: Duration,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let taken = tx
            .execute(sql!(
                "INSERT INTO turns (name, due_at) VALUES ($1, $3) ON CONFLICT (name) DO UPDATE \
                    SET due_at = excluded.due_at WHERE turns.due_at <= $2",
                name,
                now,
                now.plus(every)
            ))
            .await?;
        tx.commit().await?;
        Ok(taken == 1)
    }
}
