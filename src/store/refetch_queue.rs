//! Errands: objects of Close that are to be read back, shared by all replicas. Whoever takes one has it for a while; a
//! notice that comes meanwhile makes it due again.

use std::time::Duration;

use crate::domain::close_event::Object;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::GroupId;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::Store;
use crate::store::events::feed;
use crate::store::sql::db::sql;
use crate::store::sql::row::Row;

/// Errands written in one transaction: others get their turn in between.
const TOGETHER: usize = 100;

/// Something to ask Close about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefetchJob {
    /// What.
    pub object: Object,
    /// How many notices there were when it was taken.
    notices: i64,
    /// When Close last told of it.
    pub told_at: Timestamp,
    /// How often Close has shown less than it had told.
    pub tries: i64,
    /// Whether Close told that it is gone.
    pub gone: bool,
    /// How new it must be for the notice to be answered, by Close's clock.
    pub version_at: Option<Timestamp>,
}

impl Store {
    /// Takes errands that are due, longest due first; for `lease` nobody else takes them.
    pub async fn take_refetch_jobs(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<RefetchJob>, Error> {
        let mut tx = self.db.begin().await?;
        let locked = if tx.on_postgres() {
            " FOR UPDATE SKIP LOCKED"
        } else {
            ""
        };
        let rows = tx
            .rows(sql!(
                format!(
                    "UPDATE errands SET lease_until = $2 WHERE object_id IN (SELECT object_id FROM errands \
                        WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) \
                        ORDER BY due_at, object_id LIMIT $3{locked}) \
                     RETURNING object_id, notices, told_at, tries, gone, version_at"
                ),
                now,
                now.plus(lease),
                i64::from(limit)
            ))
            .await?;
        tx.commit().await?;
        let mut errands = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        errands.sort_by(|one, other| one.object.cmp(&other.object));
        Ok(errands)
    }

    /// How many errands are due and nobody's, and since when the oldest of all has waited for an answer of Close. Due time
    /// alone tells nothing of that: where Close does not answer, it is put off again and again.
    pub async fn refetch_backlog(&self, now: Timestamp) -> Result<(i64, Option<Timestamp>), Error> {
        let row = self
            .db
            .row(sql!(
                "SELECT COUNT(CASE WHEN due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) THEN 1 END) AS n, \
                    MIN(CASE WHEN tries = 0 THEN told_at WHEN due_at <= $1 THEN due_at END) AS since FROM errands",
                now
            ))
            .await?;
        row.map_or(Ok((0, None)), |row| Ok((row.int("n")?, row.time_opt("since")?)))
    }

    /// Ends errands that were done; one that Close told of again meanwhile is due at once.
    pub async fn finish_refetch_jobs(&self, errands: &[RefetchJob]) -> Result<(), Error> {
        for some in in_order(errands).chunks(TOGETHER) {
            let mut tx = self.db.begin().await?;
            for errand in some {
                end(&mut tx, errand).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Ends the errand of a group that has changed, and tells all replicas.
    pub async fn finish_group_refetch(
        &self,
        errand: &RefetchJob,
        group: &GroupId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        end(&mut tx, errand).await?;
        let event = Event::new(now, EventKind::GroupChanged, None);
        feed::write(&mut tx, &event.with("group_id", group.as_str().into())).await?;
        tx.commit().await
    }

    /// Gives errands back to be done at `due`, or at once where Close told of them again meanwhile. `tried`: Close was
    /// asked and showed less than it had told.
    pub async fn postpone_refetch_jobs(
        &self,
        errands: &[RefetchJob],
        due: Timestamp,
        tried: bool,
    ) -> Result<(), Error> {
        for some in in_order(errands).chunks(TOGETHER) {
            let mut tx = self.db.begin().await?;
            for errand in some {
                tx.execute(sql!(
                    "UPDATE errands SET lease_until = NULL, \
                        due_at = CASE WHEN notices = $2 AND told_at = $3 THEN $4 ELSE due_at END, \
                        tries = CASE WHEN notices = $2 AND told_at = $3 THEN tries + $5 ELSE tries END \
                     WHERE object_id = $1",
                    errand.object.as_str(),
                    errand.notices,
                    errand.told_at,
                    due,
                    i64::from(tried)
                ))
                .await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

/// In the order in which all who write here lock, so that none waits for another in a circle.
fn in_order(errands: &[RefetchJob]) -> Vec<&RefetchJob> {
    let mut errands: Vec<_> = errands.iter().collect();
    errands.sort_by(|one, other| one.object.as_str().cmp(other.object.as_str()));
    errands
}

async fn end(tx: &mut crate::store::sql::db::Tx, errand: &RefetchJob) -> Result<(), Error> {
    let ended = tx
        .execute(sql!(
            // An errand that ended and was made anew has told of something else since.
            "DELETE FROM errands WHERE object_id = $1 AND notices = $2 AND told_at = $3",
            errand.object.as_str(),
            errand.notices,
            errand.told_at
        ))
        .await?;
    if ended == 0 {
        tx.execute(sql!(
            "UPDATE errands SET lease_until = NULL WHERE object_id = $1",
            errand.object.as_str()
        ))
        .await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<RefetchJob, Error> {
    Ok(RefetchJob {
        object: row.parsed("object_id")?,
        notices: row.int("notices")?,
        told_at: row.time("told_at")?,
        tries: row.int("tries")?,
        gone: row.int("gone")? != 0,
        version_at: row.time_opt("version_at")?,
    })
}
