//! A time until which something is not tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::time::Timestamp;

/// A time until which something is not tried again. Clones share it.
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
