//! The JSON of an event.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::event::Event;
use crate::domain::event_kind::EventType;
use crate::domain::id::EventId;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// Renders an event.
pub(in crate::http) fn event(event: Event) -> EventView {
    EventView {
        id: event.id,
        kind: event.kind,
        team: event.team,
        occurred_at: event.at,
        data: event.data,
    }
}

/// A change of an object.
///
/// `data` contains the object's id and its new state; read the object for its other fields. Later versions may add
/// event types and members of `data`: ignore those that you do not know.
#[derive(Serialize, ToSchema)]
#[schema(as = Event, example = json!({
    "id": "evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "type": "order.fulfilled", "team": "sales-emea",
    "occurred_at": "2026-11-23T10:00:01.000000Z",
    "data": {"order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "state": "fulfilled",
        "phone_number_id": "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe"},
}))]
pub(in crate::http) struct EventView {
    /// The id of the event. Send the id of your last event as `after` or `Last-Event-ID`.
    id: EventId,
    /// The type of the event.
    #[serde(rename = "type")]
    #[schema(value_type = EventType)]
    kind: String,
    /// The team that the event concerns.
    ///
    /// `null` for an object without a team; only callers with `numbers:admin` see such an event.
    #[schema(required)]
    team: Option<Team>,
    /// The time of the change.
    occurred_at: Timestamp,
    /// The main facts of the change: ids, the state of an order, the number, the names of changed fields.
    #[schema(value_type = Value)]
    data: Map<String, Value>,
}

impl EventView {
    pub(in crate::http) fn id(&self) -> &str {
        self.id.as_str()
    }
    pub(in crate::http) fn kind(&self) -> &str {
        &self.kind
    }
}
