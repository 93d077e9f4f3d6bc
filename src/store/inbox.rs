//! The inbox of Close's webhooks. Each webhook is stored once, with its refetch job.
//!
//! The service stores a webhook before it answers Close. A webhook only names the object to refetch from Close; nothing
//! else in it is trusted.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::close_event::CloseEvent;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::param::Param;

impl Store {
    /// Stores events of Close in one transaction, and queues a refetch job for each new event.
    ///
    /// Events whose object the service does not follow get no job. Returns for each event whether it is new. The events
    /// are on disk when this returns.
    pub async fn ingest(&self, events: &[CloseEvent], now: Timestamp) -> Result<Vec<bool>, Error> {
        let mut tx = self.db.begin().await?;
        let mut unseen = store_names(&mut tx, events, now).await?;
        // An event without an id always counts as new. Of two equal events, one counts as new.
        let fresh: Vec<bool> = events
            .iter()
            .map(|event| event.event_id.is_none() || name(event).is_some_and(|name| unseen.remove(&name)))
            .collect();
        let fresh_events = events.iter().zip(&fresh).filter(|(_, fresh)| **fresh);
        queue_jobs(&mut tx, fresh_events.map(|(event, _)| event), now).await?;
        failpoint::reached("inbox.commit");
        tx.commit().await?;
        failpoint::reached("inbox.done");
        Ok(fresh)
    }

    /// Deletes up to `limit` events that were received before `before`; returns how many.
    pub async fn delete_close_events(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
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

/// The id and version of an event; `None` without an id.
fn name(event: &CloseEvent) -> Option<(String, i64)> {
    let version = event.updated.map_or(0, Timestamp::as_micros);
    Some((event.event_id.clone()?, version))
}

/// Inserts the names of new events and returns them.
///
/// It inserts in order of the names, so that two transactions do not wait for each other.
async fn store_names(
    tx: &mut Tx,
    events: &[CloseEvent],
    now: Timestamp,
) -> Result<BTreeSet<(String, i64)>, Error> {
    let names: BTreeSet<_> = events.iter().filter_map(name).collect();
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

/// The events of one object, merged.
#[derive(Default)]
struct Merged {
    count: i64,
    gone: bool,
    version_at: Option<Timestamp>,
}

/// Queues one refetch job per object.
///
/// `gone` stays set even if an older event arrives late, because a deleted object does not come back.
async fn queue_jobs(
    tx: &mut Tx,
    fresh_events: impl Iterator<Item = &CloseEvent>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut objects: BTreeMap<String, Merged> = BTreeMap::new();
    for event in fresh_events {
        let Some(object) = event.object() else { continue };
        let merged = objects.entry(object.as_str().to_owned()).or_default();
        merged.count += 1;
        merged.gone |= event.gone();
        merged.version_at = merged.version_at.max(event.data_updated);
    }
    if objects.is_empty() {
        return Ok(());
    }
    let rows = Rows::of(objects.into_iter().map(|(object, merged)| {
        [
            object.into(),
            merged.count.into(),
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
            let placeholders: Vec<String> = (first..first + N).map(|nth| format!("${nth}")).collect();
            all.tuples.push(format!("({})", placeholders.join(", ")));
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
