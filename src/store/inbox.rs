//! The inbox of Close's webhooks: each one is stored once, before Close is answered, with the refetch job it causes.
//!
//! A webhook only names the object to refetch from Close; nothing else in it is trusted.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::close_event::CloseEvent;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::param::Param;

impl Store {
    /// Stores notices in one transaction, and queues a refetch job for each new one of an object that the desk follows.
    ///
    /// Returns which of them are new. They are on disk when this returns.
    pub async fn ingest(&self, notices: &[CloseEvent], now: Timestamp) -> Result<Vec<bool>, Error> {
        let mut tx = self.db.begin().await?;
        let mut unseen = store_names(&mut tx, notices, now).await?;
        // A notice without an event id always counts as new. Of two equal notices, one does.
        let fresh: Vec<bool> = notices
            .iter()
            .map(|notice| notice.event_id.is_none() || name(notice).is_some_and(|name| unseen.remove(&name)))
            .collect();
        let news = notices.iter().zip(&fresh).filter(|(_, fresh)| **fresh);
        queue_jobs(&mut tx, news.map(|(notice, _)| notice), now).await?;
        failpoint::reached("inbox.commit");
        tx.commit().await?;
        failpoint::reached("inbox.done");
        Ok(fresh)
    }

    /// Deletes up to `limit` notices that were received before `before`; returns how many.
    pub async fn delete_notices(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let deleted = tx
            .execute(sql!(
                "DELETE FROM inbox WHERE (event_id, version) IN \
                    (SELECT event_id, version FROM inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2)",
                before,
                i64::from(limit)
            ))
            .await?;
        tx.commit().await?;
        Ok(deleted)
    }
}

/// The id and version of the Close event that the notice carries.
fn name(notice: &CloseEvent) -> Option<(String, i64)> {
    let version = notice.updated.map_or(0, Timestamp::as_micros);
    Some((notice.event_id.clone()?, version))
}

/// Inserts the new notices and returns their names.
///
/// It inserts in order of the names, so that two transactions do not wait for each other.
async fn store_names(
    tx: &mut Tx,
    notices: &[CloseEvent],
    now: Timestamp,
) -> Result<BTreeSet<(String, i64)>, Error> {
    let names: BTreeSet<_> = notices.iter().filter_map(name).collect();
    if names.is_empty() {
        return Ok(names);
    }
    let rows = Rows::of(
        names
            .into_iter()
            .map(|(event, version)| [event.into(), version.into(), now.into()]),
    );
    let inserted = tx
        .rows(rows.statement(
            "INSERT INTO inbox (event_id, version, received_at) VALUES",
            "ON CONFLICT (event_id, version) DO NOTHING RETURNING event_id, version",
        ))
        .await?;
    inserted
        .iter()
        .map(|row| Ok((row.text("event_id")?, row.int("version")?)))
        .collect()
}

/// The notices of one object, merged.
#[derive(Default)]
struct Merged {
    notices: i64,
    gone: bool,
    version_at: Option<Timestamp>,
}

/// Queues one refetch job per object.
///
/// `gone` stays set, because a deleted object does not come back, whatever arrives late.
async fn queue_jobs(
    tx: &mut Tx,
    news: impl Iterator<Item = &CloseEvent>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut objects: BTreeMap<String, Merged> = BTreeMap::new();
    for notice in news {
        let Some(object) = notice.object() else { continue };
        let merged = objects.entry(object.as_str().to_owned()).or_default();
        merged.notices += 1;
        merged.gone |= notice.gone();
        merged.version_at = merged.version_at.max(notice.data_updated);
    }
    if objects.is_empty() {
        return Ok(());
    }
    let rows = Rows::of(objects.into_iter().map(|(object, merged)| {
        [
            object.into(),
            merged.notices.into(),
            now.into(),
            now.into(),
            0.into(),
            merged.gone.into(),
            merged.version_at.into(),
        ]
    }));
    tx.execute(rows.statement(
        "INSERT INTO errands (object_id, notices, told_at, due_at, tries, gone, version_at) VALUES",
        "ON CONFLICT (object_id) DO UPDATE SET notices = errands.notices + excluded.notices, \
            told_at = excluded.told_at, due_at = excluded.due_at, tries = 0, \
            gone = CASE WHEN errands.gone > excluded.gone THEN errands.gone ELSE excluded.gone END, \
            version_at = CASE WHEN errands.version_at > COALESCE(excluded.version_at, 0) \
                THEN errands.version_at ELSE excluded.version_at END",
    ))
    .await
    .map(drop)
}

/// The rows of a multi-row INSERT, so that a batch takes one round trip.
#[derive(Default)]
struct Rows {
    tuples: Vec<String>,
    args: Vec<Param>,
}

impl Rows {
    fn of<const N: usize>(rows: impl Iterator<Item = [Param; N]>) -> Self {
        let mut all = Self::default();
        for row in rows {
            let first = all.args.len() + 1;
            let places: Vec<String> = (first..first + N).map(|place| format!("${place}")).collect();
            all.tuples.push(format!("({})", places.join(", ")));
            all.args.extend(row);
        }
        all
    }

    fn statement(self, before: &'static str, after: &'static str) -> Statement {
        Statement {
            text: format!("{before} {} {after}", self.tuples.join(", ")),
            args: self.args,
        }
    }
}
