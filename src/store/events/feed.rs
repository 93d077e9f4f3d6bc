//! The feed: events written in the transaction of what they tell, and given their places afterwards, batch by batch.
//! A place is given to what is committed alone, so whoever reads on from a place misses nothing that came late.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::caller::{Scope, Team};
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{EventId, OrderId, PhoneNumberId};
use crate::domain::number::Facts;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::failpoint;
use crate::store::Store;
use crate::store::sql::db::{Statement, Tx, sql};
use crate::store::sql::error::corrupt;
use crate::store::sql::param::Param;
use crate::store::sql::row::{Row, json};
use crate::store::sql::select::Select;
use crate::store::webhooks::deliveries;

/// What replicas listen to.
pub(in crate::store) const CHANNEL: &str = "numberdesk_feed";
/// Events that get their places in one transaction.
const BATCH: usize = 500;

macro_rules! select_event {
    ($rest:literal) => {
        concat!(
            "SELECT id, at, team, kind, order_id, phone_number_id, data, seq FROM events",
            $rest
        )
    };
}
pub(in crate::store) use select_event;

/// An event and its place in the feed. Places rise by one from event to event, without a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct SequencedEvent {
    /// The place.
    pub seq: i64,
    /// The event.
    pub event: Event,
}

impl Store {
    /// Gives places to events that were committed and have none, in the order in which they happened; how many. Waits
    /// for another replica that is at it, so that whatever this process has committed before has its place afterwards.
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
            .ok_or_else(|| corrupt("the head of the feed is gone", None))?
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
        let placed = tx.execute(places(&events, head)).await?;
        let count = i64::try_from(events.len()).expect("a batch is small");
        tx.execute(sql!("UPDATE feed_head SET seq = $1 WHERE one = 1", head + count))
            .await?;
        if placed != events.len() as u64 {
            return Err(corrupt("an event got a place while the feed was held", None));
        }
        deliveries::fan_out(&mut tx, &events).await?;
        if tx.on_postgres() {
            tx.row(sql!("SELECT pg_notify($1, '')", CHANNEL)).await?;
        }
        failpoint::reached("feed.commit");
        tx.commit().await?;
        Ok(events.len())
    }

    /// Tells something that has no other effect.
    pub async fn write_event(&self, event: &Event) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        write(&mut tx, event).await?;
        tx.commit().await
    }

    /// Events of all teams after a place, in the order of the feed.
    pub async fn events_after(&self, seq: i64, limit: u32) -> Result<Vec<SequencedEvent>, Error> {
        let rows = self
            .db
            .rows(sql!(
                select_event!(" WHERE seq > $1 ORDER BY seq LIMIT $2"),
                seq,
                i64::from(limit)
            ))
            .await?;
        rows.iter().map(placed).collect()
    }

    /// The same as far as the scope reaches, and only of some kinds if any are named.
    pub async fn events(
        &self,
        scope: &Scope,
        kinds: &[EventKind],
        seq: i64,
        limit: u32,
    ) -> Result<Vec<SequencedEvent>, Error> {
        let mut select = Select::within(scope, select_event!(""));
        select.and("seq > ?", seq);
        if !kinds.is_empty() {
            select.and_one_of("kind IN (?)", kinds.iter().map(|kind| kind.as_str()));
        }
        let rows = self.db.rows(select.first("seq", limit)).await?;
        rows.iter().map(placed).collect()
    }

    /// The place of an event in the scope's reach; `None` for one that is not there, or no longer.
    pub async fn sequence_of(&self, scope: &Scope, id: &EventId) -> Result<Option<i64>, Error> {
        let mut select = Select::within(scope, select_event!(""));
        select.and_just("seq IS NOT NULL");
        select.and("id = ?", id.as_str());
        let row = self.db.row(select.statement()).await?;
        row.map(|row| row.int("seq")).transpose()
    }

    /// The last place that was given.
    pub async fn last_sequence(&self) -> Result<i64, Error> {
        self.db
            .row(sql!("SELECT seq FROM feed_head WHERE one = 1"))
            .await?
            .ok_or_else(|| corrupt("the head of the feed is gone", None))?
            .int("seq")
    }

    /// Forgets events that have their place and are older than `before`, `limit` at most; how many.
    pub async fn delete_events(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        let gone = tx
            .execute(sql!(
                "DELETE FROM events WHERE id IN \
                    (SELECT id FROM events WHERE seq IS NOT NULL AND at < $1 ORDER BY seq LIMIT $2)",
                before,
                i64::from(limit)
            ))
            .await?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// Writes an event in the transaction of what it tells.
pub(in crate::store) async fn write(tx: &mut Tx, event: &Event) -> Result<(), Error> {
    static NTH: AtomicI64 = AtomicI64::new(0);
    tx.effects().events = true;
    if let Some(number) = &event.phone_number_id {
        tx.effects().numbers.insert(number.clone());
    }
    tx.execute(sql!(
        "INSERT INTO events (id, at, nth, team, kind, order_id, phone_number_id, data) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        event.id.as_str(),
        event.at,
        NTH.fetch_add(1, Ordering::Relaxed),
        event.team.as_ref().map(Team::as_str),
        event.kind.as_str(),
        event.order_id.as_ref().map(OrderId::as_str),
        event.phone_number_id.as_ref().map(PhoneNumberId::as_str),
        json(&event.data)?,
    ))
    .await
    .map(drop)
}

/// Tells where an order has come to stand.
pub(in crate::store) async fn order(tx: &mut Tx, order: &Order) -> Result<(), Error> {
    let event = Event::of_order(
        order.updated_at,
        &order.team,
        &order.id,
        order.state,
        order.phone_number_id.as_ref(),
    );
    write(tx, &event).await
}

/// Tells what happened to a number.
pub(in crate::store) async fn number(
    tx: &mut Tx,
    at: Timestamp,
    kind: EventKind,
    team: Option<&Team>,
    facts: &Facts,
) -> Result<(), Error> {
    write(tx, &Event::of_number(at, kind, team, facts)).await
}

fn places(events: &[Event], head: i64) -> Statement {
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

fn placed(row: &Row) -> Result<SequencedEvent, Error> {
    Ok(SequencedEvent {
        seq: row.int("seq")?,
        event: read(row)?,
    })
}

/// An event in its row.
pub(in crate::store) fn read(row: &Row) -> Result<Event, Error> {
    Ok(Event {
        id: row.parsed("id")?,
        at: row.time("at")?,
        team: row.parsed_opt("team")?,
        kind: row.text("kind")?,
        order_id: row.parsed_opt("order_id")?,
        phone_number_id: row.parsed_opt("phone_number_id")?,
        data: row.json("data")?,
    })
}
