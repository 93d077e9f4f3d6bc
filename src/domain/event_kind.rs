//! The types of events.

use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::domain::schema::{ComposeSchema, open_enum};
use crate::domain::string_enum::string_enum;

/// The type of a test event, which is delivered to one webhook endpoint and is not in the event log.
pub const TEST: &str = "webhook_endpoint.test";

string_enum! {
    /// The type of an event.
    EventKind: open {
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
        /// Close's API differs from the one that the service knows.
        CloseApiChanged = "close.api_changed",
        /// A new policy is in force.
        PolicyChanged = "policy.changed",
        /// The policy file is invalid; the last valid one stays in force.
        PolicyRejected = "policy.rejected",
    }
}

/// The schema of an event's type: an [`EventKind`], [`TEST`], or a type of a newer version of the service.
pub struct EventType;

impl ComposeSchema for EventType {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let test = (
            TEST,
            "A test that a caller asked for. It is only sent as a webhook.",
        );
        open_enum(
            &["The type of an event."],
            &[EventKind::MEANINGS, &[test]].concat(),
        )
    }
}
impl ToSchema for EventType {}
