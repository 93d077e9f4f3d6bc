//! Queued webhook deliveries, and the log of attempts.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::time::with_offset;

/// An event to deliver, with its recipients.
#[derive(Debug)]
pub(crate) struct QueuedEvent {
    pub(crate) event_id: String,
    /// Its sequence number in the event log.
    pub(crate) nth: u64,
    /// How long to wait: until no later update can be merged into the event.
    pub(crate) wait: Duration,
    pub(crate) targets: Vec<DeliveryTarget>,
}

/// One delivery in the queue of a subscription.
#[derive(Debug)]
pub(crate) struct DeliveryTarget {
    pub(crate) subscription_id: String,
    pub(crate) generation: u64,
}

/// One HTTP request to a subscriber.
pub(crate) struct DeliveryAttempt {
    pub(crate) subscription_id: String,
    pub(crate) event_id: String,
    pub(crate) nth: u32,
    pub(crate) at: Timestamp,
    /// The subscriber's status, or why it gave none.
    pub(crate) result: Result<u16, String>,
}

impl DeliveryAttempt {
    pub(crate) fn describe(&self) -> Value {
        json!({
            "subscription_id": self.subscription_id,
            "event_id": self.event_id,
            "attempt": self.nth,
            "at": with_offset(self.at),
            "status": self.result.as_ref().ok(),
            "error": self.result.as_ref().err(),
        })
    }

    pub(crate) fn succeeded(&self) -> bool {
        matches!(self.result, Ok(200..=299))
    }
}
