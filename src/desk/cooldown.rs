//! A cooldown: until its end, an operation that failed is not repeated.
//!
//! Its times are those of [`Clock::steady`](crate::domain::time::Clock::steady), so that no correction of the clock
//! prolongs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::time::Timestamp;

/// The time until which an operation that failed is not repeated. Clones share it.
#[derive(Clone, Default)]
pub(in crate::desk) struct Cooldown(Arc<AtomicI64>);

impl Cooldown {
    /// Starts the cooldown, or moves its end.
    pub(in crate::desk) fn start(&self, until: Timestamp) {
        self.0.store(until.as_micros(), Ordering::Relaxed);
    }

    /// Whether the cooldown is still running at `now`.
    pub(in crate::desk) fn is_active(&self, now: Timestamp) -> bool {
        now.as_micros() < self.0.load(Ordering::Relaxed)
    }
}
