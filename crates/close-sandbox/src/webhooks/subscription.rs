//! A webhook subscription: which events it selects, and the health of its deliveries.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::filter;
use crate::random::Random;
use crate::time::naive;

/// A webhook subscription with its health.
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) events: Vec<Value>,
    pub(crate) verify_ssl: bool,
    pub(crate) signature_key: String,
    pub(crate) active: bool,
    pause_reason: Option<&'static str>,
    /// Changes when the queue is cleared, which cancels the deliveries of older generations.
    pub(crate) generation: u64,
    pub(crate) pending: usize,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) failed_in_a_row: u64,
    pub(crate) latest_error: Option<String>,
    created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Subscription {
    pub(crate) fn new(
        random: &mut Random,
        url: String,
        events: Vec<Value>,
        verify_ssl: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            id: random.id("whsub_", 22),
            url,
            events,
            verify_ssl,
            signature_key: random.hex(32),
            active: true,
            pause_reason: None,
            generation: next_generation(),
            pending: 0,
            delivered: 0,
            failed: 0,
            failing_since: None,
            failed_in_a_row: 0,
            latest_error: None,
            created: now,
            updated: now,
        }
    }

    /// Whether a selector of this subscription names this kind of event.
    pub(crate) fn selects(&self, object_type: &str, action: &str) -> bool {
        self.events
            .iter()
            .any(|selector| selector["object_type"] == object_type && selector["action"] == action)
    }

    /// Whether a selector of this subscription matches the event, extra filter included.
    pub(crate) fn wants(&self, event: &Value) -> bool {
        self.events.iter().any(|selector| {
            selector["object_type"] == event["object_type"]
                && selector["action"] == event["action"]
                && match &selector["extra_filter"] {
                    Value::Null => true,
                    extra => filter::passes(extra, event),
                }
        })
    }

    /// Pauses the subscription and clears its queue.
    pub(crate) fn pause(&mut self, reason: &'static str) {
        self.active = false;
        self.pause_reason = Some(reason);
        self.generation = next_generation();
        self.pending = 0;
    }

    pub(crate) fn resume(&mut self) {
        self.active = true;
        self.pause_reason = None;
        self.failing_since = None;
        self.failed_in_a_row = 0;
    }

    pub(crate) fn view(&self, owner: &str) -> Value {
        json!({
            "id": self.id,
            "url": self.url,
            "events": self.events,
            "status": if self.active { "active" } else { "paused" },
            "verify_ssl": self.verify_ssl,
            "signature_key": self.signature_key,
            "created_by": owner,
            "updated_by": owner,
            "date_created": naive(self.created),
            "date_updated": naive(self.updated),
            "health_status": if self.failed_in_a_row == 0 { "healthy" } else { "unhealthy" },
            "latest_error": self.latest_error,
            "pause_reason": self.pause_reason,
            "counters": { "delivered": self.delivered, "failed": self.failed, "pending": self.pending },
            "recent_consecutive_fail_buckets_cnt": self.failed_in_a_row,
        })
    }
}

/// A process-wide unique generation: deliveries from before a pause or a reset never match it.
fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}
