//! Claims of numbers: at most one change of a number at a time, on all replicas together.

use std::time::Duration;

use crate::domain::id::PhoneNumberId;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::due_times::{due, latest};
use crate::store::handle::Store;
use crate::store::sql::db::sql;

impl Store {
    /// Claims the number for `holder` until `length` after `now`, if no other holder has it.
    ///
    /// `holder` must be unique to the claim. A claim lapses at its time, because its holder may have died. One that
    /// lies further ahead than the end of any claim was written by a wrong clock, and counts as lapsed too.
    pub async fn claim_number(
        &self,
        id: &PhoneNumberId,
        holder: &str,
        now: Timestamp,
        length: Duration,
    ) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let claimed = tx
            .execute(sql!(
                format!(
                    "INSERT INTO number_claims (number_id, holder, until) VALUES ($1, $2, $3) \
                     ON CONFLICT (number_id) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE {}",
                    due("number_claims.until", "$4", "$5")
                ),
                id.as_str(),
                holder,
                now.plus(length),
                now,
                latest(now, length),
            ))
            .await?;
        tx.commit().await?;
        Ok(claimed == 1)
    }

    /// Ends the claim of this holder. A claim that another holder has taken since stays.
    pub async fn unclaim_number(&self, id: &PhoneNumberId, holder: &str) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        tx.execute(sql!(
            "DELETE FROM number_claims WHERE number_id = $1 AND holder = $2",
            id.as_str(),
            holder
        ))
        .await?;
        tx.commit().await
    }
}
