//! An order as the API shows it: with its number, and with its status in the queue.

use std::sync::Arc;

use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

/// An order with the number that was rented for it, and with its status in the queue.
#[derive(Debug, Clone)]
pub struct OrderWithNumber {
    /// The order.
    pub order: Order,
    /// Its number. `None`: none is rented yet, or it moved to another team.
    ///
    /// The order's team must not see the numbers of other teams.
    pub number: Option<RentedNumber>,
    /// What a queued order waits for; `None` for other orders.
    pub queue: Option<QueueStatus>,
}

/// The number that was rented for an order.
#[derive(Debug, Clone)]
pub enum RentedNumber {
    /// The team of the order has the number.
    Held(Arc<Number>),
    /// The number is gone from Close, and the team of the order was the last one that had it.
    Released {
        /// The id of the number.
        id: PhoneNumberId,
        /// The number in E.164.
        number: String,
        /// When the number was released, or was found to be gone.
        released_at: Timestamp,
    },
}

impl OrderWithNumber {
    /// An order that has no number yet.
    pub(in crate::desk::orders) const fn without_number(order: Order) -> Self {
        Self {
            order,
            number: None,
            queue: None,
        }
    }
}

/// What a queued order waits for, and its position in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// What the order waits for: a part of a sentence.
    pub reason: String,
    /// The position among the queued orders of its country, counted from 1. `None`: it has just left the queue.
    pub position: Option<u32>,
}
