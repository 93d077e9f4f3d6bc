//! An event of the feed as JSON.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::caller::Team;
use crate::domain::event::Event;
use crate::domain::id::EventId;
use crate::domain::time::Timestamp;
use crate::http::view::enums::EventTypeEnum;

/// The event as whoever follows its team sees it.
pub(in crate::http) fn event(event: Event) -> EventView {
    EventView {
        id: event.id,
        kind: event.kind,
        team: event.team,
        occurred_at: event.at,
        data: event.data,
    }
}

/// Something that changed. It names what changed and how it stands now; read the object itself where it is. Types and
/// members of `data` may be added: leave alone what you do not know.
#[derive(Serialize, ToSchema)]
#[schema(as = Event, example = json!({
    "id": "evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "type": "order.fulfilled", "team": "sales-emea",
    "occurred_at": "2026-11-23T10:00:01Z",
    "data": {"order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "state": "fulfilled",
        "phone_number_id": "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe"},
}))]
pub(in crate::http) struct EventView {
    /// Its id: send the last one you have as `after` or `Last-Event-ID`.
    #[schema(value_type = String)]
    id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(value_type = EventTypeEnum)]
    kind: String,
    /// Whose affair it is; `null` for what belongs to no team, which only `numbers:admin` sees.
    #[schema(required, value_type = Option<String>)]
    team: Option<Team>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// What a follower needs to know at once: ids, the state of an order, the number, which fields changed.
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
