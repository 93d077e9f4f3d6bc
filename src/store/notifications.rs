//! Notifies the workers of this process of new events, due deliveries and changed numbers.
//!
//! The event log notifies other processes of the same changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::domain::id::PhoneNumberId;
use crate::store::handle::Store;

impl Store {
    /// Notified when the event log has, or may have, new events.
    pub fn new_events(&self) -> Arc<Notify> {
        self.db.hooks.events()
    }

    /// Notified when webhook deliveries may have become due.
    pub fn deliveries_due(&self) -> Arc<Notify> {
        self.db.hooks.deliveries()
    }

    /// How often this process has changed numbers.
    ///
    /// A cache is current when it has read everything that [`Store::take_dirty`] returned with the same count.
    pub fn dirty_count(&self) -> u64 {
        self.db.hooks.dirty_count()
    }

    /// Takes the numbers changed since the last call, and the [`Store::dirty_count`] that they belong to.
    pub fn take_dirty(&self) -> (u64, BTreeSet<PhoneNumberId>) {
        self.db.hooks.take_dirty()
    }

    /// Marks numbers dirty again that a reader took and failed to read.
    pub fn mark_dirty(&self, numbers: impl IntoIterator<Item = PhoneNumberId>) {
        self.db.hooks.mark_dirty(numbers);
    }
}
