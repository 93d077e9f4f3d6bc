//! The states of an order, and the evidence for a final state.

use crate::domain::string_enum::string_enum;

string_enum! {
    /// The state of an order.
    State: stored {
        /// A second person must approve it.
        AwaitingApproval = "awaiting_approval",
        /// Accepted; nothing has been sent to Close.
        Queued = "queued",
        /// The paid call is, or may be, in progress.
        Renting = "renting",
        /// The outcome of the paid call is unknown: Close may have rented a number.
        Unverified = "unverified",
        /// A person must decide the outcome.
        NeedsReview = "needs_review",
        /// Close rented a number.
        Fulfilled = "fulfilled",
        /// It is certain that Close did not rent a number.
        Refused = "refused",
        /// Cancelled before anything was sent to Close.
        Cancelled = "cancelled",
    }
}

impl State {
    /// Returns the initial state of a new order.
    pub const fn initial(needs_approval: bool) -> Self {
        if needs_approval {
            Self::AwaitingApproval
        } else {
            Self::Queued
        }
    }
    /// Whether no further transition is possible.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Fulfilled | Self::Refused | Self::Cancelled)
    }
    /// Whether an order in this state holds a reservation.
    pub const fn reserves(self) -> bool {
        !self.is_final()
    }
}

string_enum! {
    /// The evidence for a final state.
    Evidence: stored {
        /// Close answered 201 with the number.
        Close201 = "close-201",
        /// Close answered that it did not rent.
        CloseRefusal = "close-refusal",
        /// Reconciliation found the number in Close after an unknown outcome.
        FoundByReconciliation = "found-by-reconciliation",
        /// Close showed no matching number for a long enough time.
        AbsentAfterReconciliation = "absent-after-reconciliation",
        /// A person decided.
        SettledByPerson = "settled-by-person",
    }
}
