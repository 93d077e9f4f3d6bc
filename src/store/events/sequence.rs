//! Assigns sequence numbers to committed events, in batches, and queues their webhook deliveries.
//!
//! Only committed events get a number, so a reader that continues from a number misses no event that was committed
//! late.

use crate::domain::event::Event;
use crate::error::Error;
use crate::failpoint;
use crate::store::events::row::{read, select_event};
use crate::store::handle::Store;
use crate::store::sql::db::{Statement, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::param::Param;
use crate::store::webhooks::queue;

/// The PostgreSQL channel that replicas listen to.
pub(in crate::store) const CHANNEL: &str = "numberdesk_feed";
/// Events that one transaction sequences.
const BATCH: usize = 500;

impl Store {
    /// Assigns the next sequence numbers to committed events without one, by time; returns how many.
    ///
    /// It waits for another replica that assigns numbers. After it returns, every event that this process committed
    /// before, up to one batch, has its number.
    pub async fn assign_sequence(&self) -> Result<usize, Error> {
        let waiting = self
            .db
            .row(sql!("SELECT id FROM events WHERE seq IS NULL LIMIT 1"))
            .await?;
        if waiting.is_none() {
            return Ok(0);
        }
        let mut tx = self.db.begin().await?;
        let head = tx
            .lock(sql!("SELECT seq FROM feed_head WHERE one = 1"))
            .await?
            .ok_or_else(|| corrupt("the row of `feed_head` is missing", None))?
            .int("seq")?;
        let rows = tx
            .rows(sql!(
                select_event!(" WHERE seq IS NULL ORDER BY at, nth, id LIMIT $1"),
                i64::try_from(BATCH).expect("a batch is small")
            ))
            .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let events = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let sequenced = tx.execute(set_sequence(&events, head)).await?;
        let count = i64::try_from(events.len()).expect("a batch is small");
        tx.execute(sql!("UPDATE feed_head SET seq = $1 WHERE one = 1", head + count))
            .await?;
        if sequenced != events.len() as u64 {
            return Err(corrupt(
                "an event was sequenced while `feed_head` was locked",
                None,
            ));
        }
        queue::fan_out(&mut tx, &events).await?;
        if tx.on_postgres() {
            tx.row(sql!("SELECT pg_notify($1, '')", CHANNEL)).await?;
        }
        failpoint::reached("feed.commit");
        tx.commit().await?;
        Ok(events.len())
    }

    /// The last sequence number that was assigned.
    pub async fn last_sequence(&self) -> Result<i64, Error> {
        self.db
            .row(sql!("SELECT seq FROM feed_head WHERE one = 1"))
            .await?
            .ok_or_else(|| corrupt("the row of `feed_head` is missing", None))?
            .int("seq")
    }
}

/// One statement that sets the sequence numbers of a batch, from `head + 1` on.
fn set_sequence(events: &[Event], head: i64) -> Statement {
    let mut args: Vec<Param> = Vec::with_capacity(events.len() * 2);
    let mut rows = Vec::with_capacity(events.len());
    for (event, seq) in events.iter().zip(head + 1..) {
        args.extend([event.id.as_str().into(), seq.into()]);
        rows.push(format!("(${}, ${})", args.len() - 1, args.len()));
    }
    Statement {
        text: format!(
            "UPDATE events SET seq = placed.column2 FROM (VALUES {}) AS placed \
             WHERE events.id = placed.column1 AND events.seq IS NULL",
            rows.join(", ")
        ),
        args,
    }
}
