//! A hold: while it lasts, the service sends nothing that costs or destroys. Reads and decisions go on.

use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::number::Facts;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// The cause of a hold.
    HoldCause: stored {
        /// Close has logged calls that the database does not know.
        UnknownCalls = "unknown-calls",
        /// An operator turned it on.
        Operator = "operator",
    }
}

/// A hold that is in force, on all replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its cause.
    pub cause: HoldCause,
    /// Why, in a sentence without its full stop.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

string_enum! {
    /// A call with the service's own API key.
    CallKind: open {
        /// It rented a number.
        Rent = "rent",
        /// It released a number.
        Release = "release",
    }
}

/// A call with the service's own API key that Close has logged and the database does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct UnknownCall {
    /// The call.
    pub kind: CallKind,
    /// The number.
    pub number_id: PhoneNumberId,
    /// When, by Close's clock.
    pub at: Timestamp,
    /// The number as it was rented, if the log has it.
    pub facts: Option<Facts>,
    /// The order that the number was probably rented for, once a person has confirmed the call.
    pub order_id: Option<OrderId>,
}
