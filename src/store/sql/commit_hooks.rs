//! What this process has just committed, told to the rest of it: that events wait for their place in the feed, and
//! which numbers read otherwise than before. Other processes learn it from the feed.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::domain::id::PhoneNumberId;
use crate::store::Store;

/// What one transaction changes.
#[derive(Debug, Default)]
pub(in crate::store) struct Made {
    /// It wrote events.
    pub(in crate::store) events: bool,
    /// It queued deliveries, or made room for others.
    pub(in crate::store) deliveries: bool,
    /// Numbers that it changed, or may have.
    pub(in crate::store) numbers: BTreeSet<PhoneNumberId>,
}

/// What all transactions of this process have changed. Clones share it.
#[derive(Clone, Default)]
pub(in crate::store) struct Changes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    news: Arc<Notify>,
    deliveries: Arc<Notify>,
    touched: Mutex<Touched>,
}

#[derive(Default)]
struct Touched {
    times: u64,
    numbers: BTreeSet<PhoneNumberId>,
}

impl Changes {
    pub(in crate::store) fn tell(&self, made: Made) {
        self.touch(made.numbers);
        if made.events {
            self.0.news.notify_one();
        }
        if made.deliveries {
            self.0.deliveries.notify_one();
        }
    }

    fn touch(&self, numbers: impl IntoIterator<Item = PhoneNumberId>) {
        let mut numbers = numbers.into_iter().peekable();
        if numbers.peek().is_none() {
            return;
        }
        let mut touched = self.touched();
        touched.numbers.extend(numbers);
        touched.times += 1;
    }

    fn touched(&self) -> MutexGuard<'_, Touched> {
        self.0.touched.lock()
    }
}

impl Store {
    /// Notified when there is, or may be, something new in the feed.
    pub fn news(&self) -> Arc<Notify> {
        self.db.changes.0.news.clone()
    }

    /// Notified when webhooks may have become due.
    pub fn deliveries_due(&self) -> Arc<Notify> {
        self.db.changes.0.deliveries.clone()
    }

    /// How often this process has changed numbers. Whoever keeps a copy of them has read all that [`Store::touched`]
    /// gave with the same count.
    pub fn touches(&self) -> u64 {
        self.db.changes.touched().times
    }

    /// Takes the numbers that this process has changed since they were last taken, and the count of
    /// [`Store::touches`] up to which they stand.
    pub fn touched(&self) -> (u64, BTreeSet<PhoneNumberId>) {
        let mut touched = self.db.changes.touched();
        (touched.times, std::mem::take(&mut touched.numbers))
    }

    /// Gives numbers back that were taken and could not be read.
    pub fn touch(&self, numbers: impl IntoIterator<Item = PhoneNumberId>) {
        self.db.changes.touch(numbers);
    }
}
