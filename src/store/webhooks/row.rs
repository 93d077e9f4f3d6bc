//! Reads endpoints and deliveries from their rows.

use url::Url;

use crate::domain::delivery::Delivery;
use crate::domain::webhook::{Endpoint, Types};
use crate::error::Error;
use crate::store::sql::row::Row;

/// `SELECT` with every column of an endpoint; the argument continues the statement with `WHERE`.
macro_rules! select_endpoint {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, url, description, types, disabled, generation, rotated_at, created_by, created_at, \
                updated_at FROM webhook_endpoints",
            $rest
        )
    };
}
pub(in crate::store) use select_endpoint;

/// Every column of a delivery.
macro_rules! delivery_columns {
    () => {
        "id, endpoint_id, team, event_id, kind, body, state, attempts, queued_at, began_at, due_at, attempted_at, \
            outcome, finished_at"
    };
}
pub(in crate::store) use delivery_columns;

/// Reads an endpoint.
pub(in crate::store) fn read_endpoint(row: &Row) -> Result<Endpoint, Error> {
    Ok(Endpoint {
        id: row.parsed("id")?,
        team: row.parsed("team")?,
        url: row.parsed::<Url>("url")?,
        description: row.text_opt("description")?,
        types: Types::stored(row.json("types")?),
        disabled: row.word_opt("disabled")?,
        generation: row.int("generation")?,
        rotated_at: row.time_opt("rotated_at")?,
        created_by: row.text("created_by")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Reads a delivery.
pub(in crate::store) fn read_delivery(row: &Row) -> Result<Delivery, Error> {
    Ok(Delivery {
        id: row.parsed("id")?,
        endpoint_id: row.parsed("endpoint_id")?,
        team: row.parsed("team")?,
        event_id: row.parsed("event_id")?,
        kind: row.text("kind")?,
        body: row.text("body")?,
        state: row.word("state")?,
        attempts: row.int("attempts")?,
        queued_at: row.time("queued_at")?,
        began_at: row.time_opt("began_at")?,
        due_at: row.time("due_at")?,
        attempted_at: row.time_opt("attempted_at")?,
        outcome: row.text_opt("outcome")?,
        finished_at: row.time_opt("finished_at")?,
    })
}
