//! Writes events, each in the transaction of the change that it reports.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::event::Event;
use crate::domain::event_data::PhoneNumberData;
use crate::domain::event_kind::EventKind;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::number::Facts;
use crate::domain::order::Order;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::handle::Store;
use crate::store::sql::db::{Tx, sql};
use crate::store::sql::row::json;

impl Store {
    /// Writes an event that reports no other change of the database.
    pub async fn write_event(&self, event: &Event) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        self::event(&mut tx, event).await?;
        tx.commit().await
    }
}

/// Writes an event in the transaction of the change that it reports.
pub(in crate::store) async fn event(tx: &mut Tx, event: &Event) -> Result<(), Error> {
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

/// Writes the event of an order's new state.
pub(in crate::store) async fn order(tx: &mut Tx, order: &Order) -> Result<(), Error> {
    let event = Event::of_order(
        order.updated_at,
        &order.team,
        &order.id,
        order.state,
        order.phone_number_id.as_ref(),
    );
    self::event(tx, &event).await
}

/// Writes an event of a number.
pub(in crate::store) async fn number(
    tx: &mut Tx,
    at: Timestamp,
    kind: EventKind,
    team: Option<&Team>,
    facts: &Facts,
) -> Result<(), Error> {
    event(
        tx,
        &Event::of_number(at, kind, team, &PhoneNumberData::new(facts)),
    )
    .await
}
