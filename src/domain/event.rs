//! An event: a change that the service reports in its event log and through webhooks.
//!
//! An event names the changed object and its new state. Clients read the object itself from its own endpoint.

use serde_json::{Map, Value, json};

use crate::domain::id::{EventId, OrderId, PhoneNumberId};
use crate::domain::number::Facts;
use crate::domain::order::State;
use crate::domain::string_enum::string_enum;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

string_enum! {
    /// The type of an event.
    EventKind {
        /// An order waits for the approval of a second person.
        OrderAwaitingApproval = "order.awaiting_approval",
        /// An order waits in the queue.
        OrderQueued = "order.queued",
        /// The paid call of an order is in progress, or may be.
        OrderRenting = "order.renting",
        /// The outcome of an order's paid call is unknown.
        OrderUnverified = "order.unverified",
        /// An order needs manual review.
        OrderNeedsReview = "order.needs_review",
        /// An order received its number.
        OrderFulfilled = "order.fulfilled",
        /// An order ended without a number.
        OrderRefused = "order.refused",
        /// An order was cancelled before the service sent it.
        OrderCancelled = "order.cancelled",
        /// A number entered the inventory, or came back.
        NumberAdded = "phone_number.added",
        /// A number's fields in Close changed.
        NumberUpdated = "phone_number.updated",
        /// A team received a number.
        NumberAssigned = "phone_number.assigned",
        /// A number moved to another team.
        NumberUnassigned = "phone_number.unassigned",
        /// The release of a number was scheduled.
        NumberReleaseScheduled = "phone_number.release_scheduled",
        /// A scheduled release was cancelled.
        NumberReleaseCalledOff = "phone_number.release_called_off",
        /// A release request was sent to Close, or may have been.
        NumberReleasing = "phone_number.releasing",
        /// The service released a number.
        NumberReleased = "phone_number.released",
        /// A number disappeared from Close without a release by the service.
        NumberVanished = "phone_number.vanished",
        /// A group of users in Close changed.
        GroupChanged = "group.changed",
        /// The service disabled a webhook endpoint.
        EndpointDisabled = "webhook_endpoint.disabled",
        /// The service compared the whole inventory with Close.
        InventoryCompared = "inventory.compared",
        /// A new policy is in force.
        PolicyChanged = "policy.changed",
        /// The policy file is invalid; the last valid one stays in force.
        PolicyRejected = "policy.rejected",
    }
}

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
        let kind = match state {
            State::AwaitingApproval => EventKind::OrderAwaitingApproval,
            State::Queued => EventKind::OrderQueued,
            State::Renting => EventKind::OrderRenting,
            State::Unverified => EventKind::OrderUnverified,
            State::NeedsReview => EventKind::OrderNeedsReview,
            State::Fulfilled => EventKind::OrderFulfilled,
            State::Refused => EventKind::OrderRefused,
            State::Cancelled => EventKind::OrderCancelled,
        };
        let mut event = Self::new(at, kind, Some(team));
        event.order_id = Some(id.clone());
        event.phone_number_id = number.cloned();
        event
            .with("order_id", json!(id))
            .with("state", json!(state))
            .with("phone_number_id", json!(number))
    }

    /// Creates an event about a number.
    pub fn of_number(at: Timestamp, kind: EventKind, team: Option<&Team>, facts: &Facts) -> Self {
        let mut event = Self::new(at, kind, team);
        event.phone_number_id = Some(facts.id.clone());
        event
            .with("phone_number_id", json!(facts.id))
            .with("number", json!(facts.number))
    }

    /// Adds a member to the event's data.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.data.insert(name.to_owned(), value);
        self
    }
}
