//! The inventory in memory, from which numbers are read: loaded once, then kept up with what this process commits and
//! with what the feed tells of others. A database that can't be asked takes no read with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use crate::desk::Desk;
use crate::domain::caller::Scope;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::time::Timestamp;
use crate::error::{Error, chain};
use crate::inventory::Snapshot;
use crate::telemetry::metrics::INVENTORY_NUMBERS;

/// Numbers that are read or changed in one go: others get their turn in between.
const BATCH: u32 = 1_000;
/// How long a read waits for what this process has changed, before it is answered from what is known.
const PATIENCE: Duration = Duration::from_secs(3);

/// What this process knows of all numbers.
#[derive(Default)]
pub(super) struct Inventory {
    /// `None` until it is loaded.
    snapshot: ArcSwapOption<Snapshot>,
    /// Numbers to be read again. Whoever reads holds it, so that nothing older overwrites what is newer.
    due: Mutex<BTreeSet<PhoneNumberId>>,
    /// The count of [`crate::store::Store::dirty_count`] of which the snapshot has everything.
    caught_up: AtomicU64,
    /// Whether what was told of numbers may have been missed.
    missed: AtomicBool,
    /// The count at which a read gave up waiting: until there is news, no other waits for the same.
    gave_up: AtomicU64,
}

impl Inventory {
    /// Whether reads can be answered.
    pub(super) fn loaded(&self) -> bool {
        self.snapshot.load().is_some()
    }

    /// How many numbers there are, as far as they are loaded.
    pub(super) fn len(&self) -> usize {
        self.snapshot.load().as_ref().map_or(0, |snapshot| snapshot.len())
    }

    /// How many numbers no team has, as far as is known.
    pub(super) fn orphans(&self) -> i64 {
        let snapshot = self.snapshot.load();
        let orphans = snapshot.as_ref().map_or(0, |snapshot| snapshot.orphans());
        i64::try_from(orphans).unwrap_or(i64::MAX)
    }

    /// Has all numbers read again. Until then reads are answered from what is known.
    pub(super) fn load_anew(&self) {
        self.missed.store(true, Ordering::Release);
    }
}

impl Desk {
    /// All numbers, with everything that this process has committed so far.
    pub(super) async fn inventory(&self) -> Result<Arc<Snapshot>, Error> {
        let inventory = &self.0.inventory;
        let Some(known) = inventory.snapshot.load_full() else {
            return self.reload([]).await;
        };
        let touches = self.0.store.dirty_count();
        if [&inventory.caught_up, &inventory.gave_up]
            .iter()
            .any(|count| count.load(Ordering::Acquire) == touches)
        {
            return Ok(known);
        }
        let error = match tokio::time::timeout(PATIENCE, self.reload([])).await {
            Ok(Ok(snapshot)) => return Ok(snapshot),
            Ok(Err(error)) => error,
            Err(late) => Error::StoreUnavailable(late.into()),
        };
        tracing::warn!(
            error = chain(&error),
            "what has just changed can't be read again; reads are answered from what is known"
        );
        inventory.gave_up.store(touches, Ordering::Release);
        Ok(known)
    }

    /// Reads these numbers again, and those that this process has changed; all of them the first time. What could not
    /// be read stays due.
    pub(super) async fn reload(
        &self,
        ids: impl IntoIterator<Item = PhoneNumberId>,
    ) -> Result<Arc<Snapshot>, Error> {
        let inventory = &self.0.inventory;
        // What others change while it is loaded is told by the feed afterwards.
        self.feed_begun().await?;
        let mut due = inventory.due.lock().await;
        let (touches, changed) = self.0.store.take_dirty();
        due.extend(changed);
        due.extend(ids);
        let missed = inventory.missed.load(Ordering::Acquire);
        let snapshot = match inventory.snapshot.load_full().filter(|_| !missed) {
            None => Arc::new(self.load().await?),
            Some(known) if due.is_empty() => known,
            Some(known) => Arc::new(self.read_again(&known, &due).await?),
        };
        due.clear();
        if missed {
            inventory.missed.store(false, Ordering::Release);
        }
        inventory.snapshot.store(Some(snapshot.clone()));
        inventory.caught_up.store(touches, Ordering::Release);
        let count = u32::try_from(snapshot.len()).unwrap_or(u32::MAX);
        metrics::gauge!(INVENTORY_NUMBERS).set(count);
        Ok(snapshot)
    }

    /// Close has shown these numbers unchanged at `as_of`, and everything that came before is in the snapshot.
    pub(super) async fn sighted(&self, as_of: Timestamp) -> Result<(), Error> {
        let inventory = &self.0.inventory;
        let seen = self.0.store.numbers_seen_since(as_of).await?;
        for some in seen.chunks(BATCH as usize) {
            let _turn = inventory.due.lock().await;
            let Some(known) = inventory.snapshot.load_full() else {
                return Ok(());
            };
            let later = some.iter().filter_map(|id| {
                let number = known
                    .number(&Scope::All, id)
                    .filter(|number| number.as_of < as_of)?;
                let number = Number {
                    as_of,
                    ..Number::clone(number)
                };
                Some((id.clone(), Some(number)))
            });
            let next = Snapshot::clone(&known).with(later);
            inventory.snapshot.store(Some(Arc::new(next)));
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn load(&self) -> Result<Snapshot, Error> {
        let (mut snapshot, mut last) = (Snapshot::default(), None);
        loop {
            let numbers = self.0.store.numbers_after(last.as_ref(), BATCH).await?;
            let Some(number) = numbers.last() else { break };
            last = Some(number.facts.id.clone());
            snapshot = snapshot.with(numbers.into_iter().map(named));
        }
        tracing::info!(numbers = snapshot.len(), "the inventory is loaded");
        Ok(snapshot)
    }

    async fn read_again(&self, known: &Snapshot, due: &BTreeSet<PhoneNumberId>) -> Result<Snapshot, Error> {
        let mut snapshot = known.clone();
        let ids: Vec<_> = due.iter().cloned().collect();
        for some in ids.chunks(BATCH as usize) {
            let mut changes: BTreeMap<_, _> = some.iter().map(|id| (id.clone(), None)).collect();
            changes.extend(self.0.store.numbers_by_id(some).await?.into_iter().map(named));
            snapshot = snapshot.with(changes);
        }
        Ok(snapshot)
    }
}

fn named(number: Number) -> (PhoneNumberId, Option<Number>) {
    (number.facts.id.clone(), Some(number))
}
