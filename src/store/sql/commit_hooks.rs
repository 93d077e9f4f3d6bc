//! Commit hooks: what a transaction changed, and the notifications after its commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::domain::id::PhoneNumberId;

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

    /// Notified after commits with events.
    pub(in crate::store) fn events(&self) -> Arc<Notify> {
        self.0.events.clone()
    }

    /// Notified after commits with deliveries.
    pub(in crate::store) fn deliveries(&self) -> Arc<Notify> {
        self.0.deliveries.clone()
    }

    /// Counts the commits that changed numbers.
    pub(in crate::store) fn dirty_count(&self) -> u64 {
        self.dirty().count
    }

    /// Takes the dirty numbers and the count that they belong to.
    pub(in crate::store) fn take_dirty(&self) -> (u64, BTreeSet<PhoneNumberId>) {
        let mut dirty = self.dirty();
        (dirty.count, std::mem::take(&mut dirty.numbers))
    }

    /// Marks numbers dirty.
    pub(in crate::store) fn mark_dirty(&self, numbers: impl IntoIterator<Item = PhoneNumberId>) {
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
