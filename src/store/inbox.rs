//! The inbox: what Close told of, durable before Close is answered, each notice once; and the errands that come of it.
//! A notice says what to ask Close about and is believed in nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::close_event::CloseEvent;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::param::Param;

impl Store {
    /// Takes notices in, in one transaction, and makes an errand of each that is new and of an object the desk follows;
    /// which of them are new. On disk when this returns.
    pub async fn ingest(&self, notices: &[CloseEvent], now: Timestamp) -> Result<Vec<bool>, Error> {
        let mut tx = self.db.begin().await?;
        let mut unseen = write_down(&mut tx, notices, now).await?;
        // One that names no event can't be told from another and is always taken for new; of two that are the same, one is.
        let fresh: Vec<bool> = notices
            .iter()
            .map(|notice| notice.event_id.is_none() || named(notice).is_some_and(|name| unseen.remove(&name)))
            .collect();
        let news = notices.iter().zip(&fresh).filter(|(_, fresh)| **fresh);
        ask(&mut tx, news.map(|(notice, _)| notice), now).await?;
        failpoint::reached("inbox.commit");
        tx.commit().await?;
        failpoint::reached("inbox.done");
        Ok(fresh)
    }

    /// Forgets notices that were taken in before `before`, `limit` at most; how many.
    pub async fn delete_notices(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let gone = tx
            .execute(sql!(
                "DELETE FROM inbox WHERE (event_id, version) IN \
                    (SELECT event_id, version FROM inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2)",
                before,
                i64::from(limit)
            ))
            .await?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// The event's id and the version of it that the notice tells.
fn named(notice: &CloseEvent) -> Option<(String, i64)> {
    let version = notice.updated.map_or(0, Timestamp::as_micros);
    Some((notice.event_id.clone()?, version))
}

/// Writes down what is new, in the order of all who write here, so that none waits for another in a circle; what that is.
async fn write_down(
    tx: &mut Tx,
    notices: &[CloseEvent],
    now: Timestamp,
) -> Result<BTreeSet<(String, i64)>, Error> {
    let names: BTreeSet<_> = notices.iter().filter_map(named).collect();
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

/// What the notices of one object come to.
#[derive(Default)]
struct Told {
    notices: i64,
    gone: bool,
    version_at: Option<Timestamp>,
}

/// Makes errands. What is gone does not come back, whatever is told of it late.
async fn ask(tx: &mut Tx, news: impl Iterator<Item = &CloseEvent>, now: Timestamp) -> Result<(), Error> {
    let mut objects: BTreeMap<String, Told> = BTreeMap::new();
    for notice in news {
        let Some(object) = notice.object() else { continue };
        let told = objects.entry(object.as_str().to_owned()).or_default();
        told.notices += 1;
        told.gone |= notice.gone();
        told.version_at = told.version_at.max(notice.data_updated);
    }
    if objects.is_empty() {
        return Ok(());
    }
    let rows = Rows::of(objects.into_iter().map(|(object, told)| {
        [
            object.into(),
            told.notices.into(),
            now.into(),
            now.into(),
            0.into(),
            told.gone.into(),
            told.version_at.into(),
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

/// Rows of one statement: a batch takes one round trip, not one a row.
#[derive(Default)]
struct Rows {
    places: Vec<String>,
    args: Vec<Param>,
}

impl Rows {
    fn of<const N: usize>(rows: impl Iterator<Item = [Param; N]>) -> Self {
        let mut all = Self::default();
        for row in rows {
            let first = all.args.len() + 1;
            let places: Vec<String> = (first..first + N).map(|place| format!("${place}")).collect();
            all.places.push(format!("({})", places.join(", ")));
            all.args.extend(row);
        }
        all
    }

    fn statement(self, before: &'static str, after: &'static str) -> Statement {
        Statement {
            text: format!("{before} {} {after}", self.places.join(", ")),
            args: self.args,
        }
    }
}
