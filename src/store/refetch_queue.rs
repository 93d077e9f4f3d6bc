//! The queue of objects to refetch from Close, shared by all replicas.
//!
//! A replica takes a job with a lease. A webhook that arrives meanwhile makes the job due again. In the database the
//! queue is the table `errands`.

use std::time::Duration;

use crate::domain::close_event::Object;
use crate::domain::event::Event;
use crate::domain::event_data::GroupData;
use crate::domain::event_kind::EventKind;
use crate::domain::id::GroupId;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::due_times::{due, latest};
use crate::store::events::write;
use crate::store::handle::Store;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::row::Row;

/// The longest pause and the longest lease of a job.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Jobs per transaction, few enough to let other writers in between.
const BATCH: usize = 100;

/// An object to refetch from Close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefetchJob {
    /// The object.
    pub object: Object,
    /// The number of webhooks when the job was taken.
    events: i64,
    /// When the last webhook of the object arrived.
    pub reported_at: Timestamp,
    /// How often Close has returned stale data.
    pub tries: i64,
    /// Whether a webhook reported the object as deleted.
    pub gone: bool,
    /// The version by Close's clock that the data must have reached; older data is stale.
    pub version_at: Option<Timestamp>,
}

impl Store {
    /// Takes up to `limit` due jobs, longest due first. No other replica takes them until `lease` is over.
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
                        WHERE {} AND (lease_until IS NULL OR {}) \
                        ORDER BY due_at, object_id LIMIT $3{locked}) \
                     RETURNING object_id, notices, told_at, tries, gone, version_at",
                    due("due_at", "$1", "$4"),
                    due("lease_until", "$1", "$4")
                ),
                now,
                now.plus(lease),
                i64::from(limit),
                latest(now, LONGEST_WAIT)
            ))
            .await?;
        tx.commit().await?;
        // An object of a kind that only a later version knows waits for a replica of that version.
        let mut jobs: Vec<_> = rows.iter().filter_map(|row| read(row).ok()).collect();
        jobs.sort_by(|one, other| one.object.cmp(&other.object));
        Ok(jobs)
    }

    /// The number of due jobs without a lease, and when the oldest job was queued.
    ///
    /// `due_at` is no substitute for that time: it moves forward on every failed attempt.
    pub async fn refetch_backlog(&self, now: Timestamp) -> Result<(i64, Option<Timestamp>), Error> {
        let row = self
            .db
            .row(sql!(
                format!(
                    "SELECT COUNT(CASE WHEN {} AND (lease_until IS NULL OR {}) THEN 1 END) AS n, \
                        MIN(CASE WHEN tries = 0 THEN told_at WHEN due_at <= $1 THEN due_at END) AS since FROM errands",
                    due("due_at", "$1", "$2"),
                    due("lease_until", "$1", "$2")
                ),
                now,
                latest(now, LONGEST_WAIT)
            ))
            .await?;
        row.map_or(Ok((0, None)), |row| Ok((row.int("n")?, row.time_opt("since")?)))
    }

    /// Deletes finished jobs. A job whose object got a new webhook meanwhile is due at once instead.
    pub async fn finish_refetch_jobs(&self, jobs: &[RefetchJob]) -> Result<(), Error> {
        for batch in in_order(jobs).chunks(BATCH) {
            let mut tx = self.db.begin().await?;
            for job in batch {
                end(&mut tx, job).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Deletes the job of a changed group, and writes the event that notifies all replicas.
    pub async fn finish_group_refetch(
        &self,
        job: &RefetchJob,
        group: &GroupId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        end(&mut tx, job).await?;
        let event = Event::new(now, EventKind::GroupChanged, None);
        write::event(&mut tx, &event.with(&GroupData { group_id: group })).await?;
        tx.commit().await
    }

    /// Returns jobs to the queue, due at `due`, or at once when a new webhook arrived meanwhile.
    ///
    /// `stale` counts an attempt in which Close returned stale data.
    pub async fn postpone_refetch_jobs(
        &self,
        jobs: &[RefetchJob],
        due: Timestamp,
        stale: bool,
    ) -> Result<(), Error> {
        for batch in in_order(jobs).chunks(BATCH) {
            let mut tx = self.db.begin().await?;
            for job in batch {
                tx.execute(sql!(
                    "UPDATE errands SET lease_until = NULL, \
                        due_at = CASE WHEN notices = $2 AND told_at = $3 THEN $4 ELSE due_at END, \
                        tries = CASE WHEN notices = $2 AND told_at = $3 THEN tries + $5 ELSE tries END \
                     WHERE object_id = $1",
                    job.object.as_str(),
                    job.events,
                    job.reported_at,
                    due,
                    i64::from(stale)
                ))
                .await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Sorts jobs into the lock order of this table, so that two transactions do not wait for each other.
fn in_order(jobs: &[RefetchJob]) -> Vec<&RefetchJob> {
    let mut jobs: Vec<_> = jobs.iter().collect();
    jobs.sort_by(|one, other| one.object.as_str().cmp(other.object.as_str()));
    jobs
}

async fn end(tx: &mut Tx, job: &RefetchJob) -> Result<(), Error> {
    let ended = tx
        .execute(sql!(
            // A job that was deleted and queued again belongs to a newer webhook.
            "DELETE FROM errands WHERE object_id = $1 AND notices = $2 AND told_at = $3",
            job.object.as_str(),
            job.events,
            job.reported_at
        ))
        .await?;
    if ended == 0 {
        tx.execute(sql!(
            "UPDATE errands SET lease_until = NULL WHERE object_id = $1",
            job.object.as_str()
        ))
        .await?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<RefetchJob, Error> {
    Ok(RefetchJob {
        object: row.parsed("object_id")?,
        events: row.int("notices")?,
        reported_at: row.time("told_at")?,
        tries: row.int("tries")?,
        gone: row.int("gone")? != 0,
        version_at: row.time_opt("version_at")?,
    })
}
