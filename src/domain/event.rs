//! An event: a change that the service reports in its event log and through webhooks.
//!
//! An event names the changed object and its new state. Clients read the object itself from its own endpoint.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::event_data::{OrderData, PhoneNumberData};
use crate::domain::event_kind::EventKind;
use crate::domain::id::{EventId, OrderId, PhoneNumberId};
use crate::domain::order::State;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// A change that the service reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// When the change happened.
    pub at: Timestamp,
    /// The team concerned; only administrators see events without a team.
    pub team: Option<Team>,
    /// The event's type: one of [`EventKind`], or of a newer version of the service.
    pub kind: String,
    /// The order concerned.
    pub order_id: Option<OrderId>,
    /// The number concerned.
    pub phone_number_id: Option<PhoneNumberId>,
    /// The event's data, as JSON members.
    pub data: Map<String, Value>,
}

impl Event {
    /// Creates an event about an object of `team`.
    pub fn new(at: Timestamp, kind: EventKind, team: Option<&Team>) -> Self {
        Self {
            id: EventId::generate(at),
            at,
            team: team.cloned(),
            kind: kind.to_string(),
            order_id: None,
            phone_number_id: None,
            data: Map::new(),
        }
    }

    /// Creates the event that an order reached `state`.
    pub fn of_order(
        at: Timestamp,
        team: &Team,
        id: &OrderId,
        state: State,
        number: Option<&PhoneNumberId>,
    ) -> Self {
        let mut event = Self::new(at, EventKind::OrderQueued, Some(team));
        // Each state has a type of event with its name.
        event.kind = format!("order.{state}");
        event.order_id = Some(id.clone());
        event.phone_number_id = number.cloned();
        event.with(&OrderData {
            order_id: id,
            state,
            phone_number_id: number,
        })
    }

    /// Creates an event about a number.
    pub fn of_number(
        at: Timestamp,
        kind: EventKind,
        team: Option<&Team>,
        data: &PhoneNumberData<'_>,
    ) -> Self {
        let mut event = Self::new(at, kind, team);
        event.phone_number_id = Some(data.phone_number_id.clone());
        event.with(data)
    }

    /// Sets the event's data, which must be written as an object.
    #[must_use]
    pub fn with(mut self, data: &impl Serialize) -> Self {
        match serde_json::to_value(data) {
            Ok(Value::Object(data)) => self.data = data,
            other => panic!("the data of an event is not an object: {other:?}"),
        }
        self
    }
}
