//! Commit hooks: they notify this process of new events, due deliveries and changed numbers after each commit.
//!
//! Other processes learn the same from the event log.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::domain::id::PhoneNumberId;
use crate::store::Store;

/// The effects of one transaction that this process is notified of after the commit.
#[derive(Debug, Default)]
pub(in crate::store) struct CommitEffects {
    /// The transaction wrote events.
    pub(in crate::store) events: bool,
    /// The transaction queued deliveries, or freed capacity for waiting ones.
    pub(in crate::store) deliveries: bool,
    /// Numbers that the transaction changed, or may have changed.
    pub(in crate::store) numbers: BTreeSet<PhoneNumberId>,
}

/// Collects the effects of all transactions of this process. Clones share the same state.
#[derive(Clone, Default)]
pub(in crate::store) struct CommitHooks(Arc<Shared>);

#[derive(Default)]
struct Shared {
    events: Arc<Notify>,
    deliveries: Arc<Notify>,
    dirty: Mutex<Dirty>,
}

/// Changed numbers that the number cache has not read again yet.
#[derive(Default)]
struct Dirty {
    /// Counts every commit that changed numbers.
    count: u64,
    numbers: BTreeSet<PhoneNumberId>,
}

impl CommitHooks {
    /// Marks the changed numbers dirty and wakes the waiting workers.
    pub(in crate::store) fn run(&self, effects: CommitEffects) {
        self.mark_dirty(effects.numbers);
        if effects.events {
            self.0.events.notify_one();
        }
        if effects.deliveries {
            self.0.deliveries.notify_one();
        }
    }

    fn mark_dirty(&self, numbers: impl IntoIterator<Item = PhoneNumberId>) {
        let mut numbers = numbers.into_iter().peekable();
        if numbers.peek().is_none() {
            return;
        }
        let mut dirty = self.dirty();
        dirty.numbers.extend(numbers);
        dirty.count += 1;
    }

    fn dirty(&self) -> MutexGuard<'_, Dirty> {
        self.0.dirty.lock()
    }
}

impl Store {
    /// Notified when the event log has, or may have, new events.
    pub fn new_events(&self) -> Arc<Notify> {
        self.db.hooks.0.events.clone()
    }

    /// Notified when webhook deliveries may have become due.
    pub fn deliveries_due(&self) -> Arc<Notify> {
        self.db.hooks.0.deliveries.clone()
    }

    /// How often this process has changed numbers.
    ///
    /// A cache is current when it has read everything that [`Store::take_dirty`] returned with the same count.
    pub fn dirty_count(&self) -> u64 {
        self.db.hooks.dirty().count
    }

    /// Takes the numbers changed since the last call, and the [`Store::dirty_count`] that they belong to.
    pub fn take_dirty(&self) -> (u64, BTreeSet<PhoneNumberId>) {
        let mut dirty = self.db.hooks.dirty();
        (dirty.count, std::mem::take(&mut dirty.numbers))
    }

    /// Marks numbers dirty again that a reader took and failed to read.
    pub fn mark_dirty(&self, numbers: impl IntoIterator<Item = PhoneNumberId>) {
        self.db.hooks.mark_dirty(numbers);
    }
}
