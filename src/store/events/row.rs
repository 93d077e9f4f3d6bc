//! Reads an event from its row.

use crate::domain::event::Event;
use crate::error::Error;
use crate::store::sql::row::Row;

/// An event with its sequence number in the event log. The numbers rise by one, without a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct SequencedEvent {
    /// The sequence number.
    pub seq: i64,
    /// The event.
    pub event: Event,
}

/// `SELECT` with every column of an event; the argument continues the statement with `WHERE`.
macro_rules! select_event {
    ($rest:literal) => {
        concat!(
            "SELECT id, at, team, kind, order_id, phone_number_id, data, seq FROM events",
            $rest
        )
    };
}
pub(in crate::store) use select_event;

/// Reads an event and its sequence number.
pub(in crate::store) fn read_sequenced(row: &Row) -> Result<SequencedEvent, Error> {
    Ok(SequencedEvent {
        seq: row.int("seq")?,
        event: read(row)?,
    })
}

/// Reads an event.
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
