//! An event: something that changed, told to whoever follows the desk. It names what changed and how it stands now;
//! the object itself is read where it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::caller::Team;
use crate::domain::id::{EventId, OrderId, PhoneNumberId};
use crate::domain::number::{Facts, words};
use crate::domain::order::State;
use crate::domain::time::Timestamp;

words! {
    /// What happened.
    EventKind {
        /// A second person has to agree to an order.
        OrderAwaitingApproval = "order.awaiting_approval",
        /// An order waits to be sent.
        OrderQueued = "order.queued",
        /// An order's paid call is, or may be, under way.
        OrderRenting = "order.renting",
        /// Nobody knows yet what became of an order's paid call.
        OrderUnverified = "order.unverified",
        /// A person has to look at an order.
        OrderNeedsReview = "order.needs_review",
        /// An order has its number.
        OrderFulfilled = "order.fulfilled",
        /// An order ended without a number.
        OrderRefused = "order.refused",
        /// An order was withdrawn before anything was sent.
        OrderCancelled = "order.cancelled",
        /// A number came into the inventory, or is there again.
        NumberAdded = "phone_number.added",
        /// Close says something else of a number than before.
        NumberUpdated = "phone_number.updated",
        /// The team got a number.
        NumberAssigned = "phone_number.assigned",
        /// The number went to another team.
        NumberUnassigned = "phone_number.unassigned",
        /// A number is to be released.
        NumberReleaseScheduled = "phone_number.release_scheduled",
        /// A number is kept after all.
        NumberReleaseCalledOff = "phone_number.release_called_off",
        /// Close was, or may have been, asked to release a number.
        NumberReleasing = "phone_number.releasing",
        /// A number was released by the desk.
        NumberReleased = "phone_number.released",
        /// A number is gone from Close, and not by the desk.
        NumberVanished = "phone_number.vanished",
        /// A group of users in Close has changed.
        GroupChanged = "group.changed",
        /// The desk has stopped telling an endpoint of events.
        EndpointDisabled = "webhook_endpoint.disabled",
        /// The whole inventory was compared with Close.
        InventoryCompared = "inventory.compared",
        /// Another policy is in force.
        PolicyChanged = "policy.changed",
        /// The policy file is broken, and the last good one stays in force.
        PolicyRejected = "policy.rejected",
    }
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// Whose affair it is; `None` is nobody's but an administrator's.
    pub team: Option<Team>,
    /// What happened: a word of [`EventKind`], or of a newer version of the desk.
    pub kind: String,
    /// The order concerned.
    pub order_id: Option<OrderId>,
    /// The number concerned.
    pub phone_number_id: Option<PhoneNumberId>,
    /// What a follower needs to know at once.
    pub data: Map<String, Value>,
}

impl Event {
    /// An event of what belongs to `team`.
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

    /// An order that came to stand in `state`.
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
            .said("order_id", json!(id))
            .said("state", json!(state))
            .said("phone_number_id", json!(number))
    }

    /// Something that happened to a number.
    pub fn of_number(at: Timestamp, kind: EventKind, team: Option<&Team>, facts: &Facts) -> Self {
        let mut event = Self::new(at, kind, team);
        event.phone_number_id = Some(facts.id.clone());
        event
            .said("phone_number_id", json!(facts.id))
            .said("number", json!(facts.number))
    }

    /// Adds something that a follower needs to know.
    #[must_use]
    pub fn said(mut self, name: &str, value: Value) -> Self {
        self.data.insert(name.to_owned(), value);
        self
    }
}
