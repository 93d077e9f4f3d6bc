//! The inventory in memory, which answers all reads of numbers.
//!
//! It is loaded once. Afterwards it follows the commits of this process and, through the event log, those of the other
//! replicas. While the database is unreachable, the last snapshot answers reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, OnceCell};

use crate::desk::core::Core;
use crate::domain::id::PhoneNumberId;
use crate::domain::number::Number;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::error::{Error, chain};
use crate::inventory::Snapshot;
use crate::telemetry::metrics::INVENTORY_NUMBERS;

/// Numbers read or changed in one step; other tasks run between two steps.
const BATCH: u32 = 1_000;
/// How long a read waits for a refresh before the known snapshot answers it.
const REFRESH_WAIT: Duration = Duration::from_secs(3);

/// The inventory in memory. Clones share it.
#[derive(Clone)]
pub(in crate::desk) struct NumberCache {
    core: Core,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// `None` until the inventory is loaded.
    snapshot: ArcSwapOption<Snapshot>,
    /// Numbers to read again. A reload holds the lock, so that no older read overwrites a newer one.
    dirty: Mutex<BTreeSet<PhoneNumberId>>,
    /// The value of [`crate::store::Store::dirty_count`] up to which the snapshot is current.
    current_to: AtomicU64,
    /// Set when changes of other replicas may have been missed. The next refresh then reads all numbers.
    stale: AtomicBool,
    /// The dirty count at which a read last gave up waiting. Until the count changes, no other read waits.
    gave_up_at: AtomicU64,
    /// The sequence number after which this process follows the event log.
    event_log_start: OnceCell<i64>,
}

impl NumberCache {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self {
            core,
            state: Arc::default(),
        }
    }

    /// Whether reads can be answered.
    pub(in crate::desk) fn loaded(&self) -> bool {
        self.state.snapshot.load().is_some()
    }

    /// The count of loaded numbers.
    pub(in crate::desk) fn len(&self) -> usize {
        self.state
            .snapshot
            .load()
            .as_ref()
            .map_or(0, |snapshot| snapshot.len())
    }

    /// The count of loaded numbers without a team.
    pub(in crate::desk) fn orphans(&self) -> i64 {
        let snapshot = self.state.snapshot.load();
        let orphans = snapshot.as_ref().map_or(0, |snapshot| snapshot.orphans());
        i64::try_from(orphans).unwrap_or(i64::MAX)
    }

    /// Makes the next refresh read all numbers. Until then, the known snapshot answers reads.
    pub(in crate::desk) fn mark_stale(&self) {
        self.state.stale.store(true, Ordering::Release);
    }

    /// The sequence number after which this process follows the event log: the last one at the first call.
    pub(in crate::desk) async fn event_log_start(&self) -> Result<i64, Error> {
        let head = || self.core.store.last_sequence();
        self.state.event_log_start.get_or_try_init(head).await.copied()
    }

    /// All numbers, including the changes of every commit of this process so far.
    ///
    /// If a refresh fails or takes too long, returns the last snapshot.
    pub(in crate::desk) async fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        let dirty_count = self.core.store.dirty_count();
        let needs_no_refresh = [&self.state.current_to, &self.state.gave_up_at]
            .iter()
            .any(|count| count.load(Ordering::Acquire) == dirty_count);
        // Loaded after the counts. A refresh stores its snapshot first, so this one is at least as new as `current_to`.
        let Some(known) = self.state.snapshot.load_full() else {
            return self.refresh([]).await;
        };
        if needs_no_refresh {
            return Ok(known);
        }
        let error = match tokio::time::timeout(REFRESH_WAIT, self.refresh([])).await {
            Ok(Ok(snapshot)) => return Ok(snapshot),
            Ok(Err(error)) => error,
            Err(late) => Error::StoreUnavailable(late.into()),
        };
        tracing::warn!(
            error = chain(&error),
            "inventory not refreshed; the last snapshot answers reads"
        );
        self.state.gave_up_at.store(dirty_count, Ordering::Release);
        Ok(known)
    }

    /// Reads these numbers again, and all numbers that this process has changed.
    ///
    /// The next refresh repeats a failed read.
    pub(in crate::desk) async fn refresh(
        &self,
        ids: impl IntoIterator<Item = PhoneNumberId>,
    ) -> Result<Arc<Snapshot>, Error> {
        let cache = &self.state;
        // Read before the numbers, so that the event log reports every later change.
        self.event_log_start().await?;
        let mut dirty = cache.dirty.lock().await;
        let (dirty_count, changed) = self.core.store.take_dirty();
        dirty.extend(changed);
        dirty.extend(ids);
        let stale = cache.stale.load(Ordering::Acquire);
        let snapshot = match cache.snapshot.load_full().filter(|_| !stale) {
            None => Arc::new(self.load().await?),
            Some(known) if dirty.is_empty() => known,
            Some(known) => Arc::new(self.read_again(&known, &dirty).await?),
        };
        dirty.clear();
        if stale {
            cache.stale.store(false, Ordering::Release);
        }
        cache.snapshot.store(Some(snapshot.clone()));
        cache.current_to.store(dirty_count, Ordering::Release);
        let count = u32::try_from(snapshot.len()).unwrap_or(u32::MAX);
        metrics::gauge!(INVENTORY_NUMBERS).set(count);
        Ok(snapshot)
    }

    /// Sets `as_of` of the numbers that Close showed unchanged at that time.
    ///
    /// The snapshot must already have every earlier change.
    pub(in crate::desk) async fn mark_seen(&self, as_of: Timestamp) -> Result<(), Error> {
        let seen = self.core.store.numbers_seen_since(as_of).await?;
        for batch in seen.chunks(BATCH as usize) {
            let _lock = self.state.dirty.lock().await;
            let Some(known) = self.state.snapshot.load_full() else {
                return Ok(());
            };
            let later = batch.iter().filter_map(|id| {
                let number = known
                    .number(&Scope::system("number cache"), id)
                    .filter(|number| number.as_of < as_of)?;
                let number = Number {
                    as_of,
                    ..Number::clone(number)
                };
                Some((id.clone(), Some(number)))
            });
            let next = Snapshot::clone(&known).with(later);
            self.state.snapshot.store(Some(Arc::new(next)));
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn load(&self) -> Result<Snapshot, Error> {
        let (mut snapshot, mut last) = (Snapshot::default(), None);
        loop {
            let numbers = self.core.store.numbers_after(last.as_ref(), BATCH).await?;
            let Some(number) = numbers.last() else { break };
            last = Some(number.facts.id.clone());
            snapshot = snapshot.with(numbers.into_iter().map(with_id));
        }
        tracing::info!(numbers = snapshot.len(), "inventory loaded");
        Ok(snapshot)
    }

    async fn read_again(&self, known: &Snapshot, dirty: &BTreeSet<PhoneNumberId>) -> Result<Snapshot, Error> {
        let mut snapshot = known.clone();
        let ids: Vec<_> = dirty.iter().cloned().collect();
        for batch in ids.chunks(BATCH as usize) {
            let mut changes: BTreeMap<_, _> = batch.iter().map(|id| (id.clone(), None)).collect();
            changes.extend(
                self.core
                    .store
                    .numbers_by_id(batch)
                    .await?
                    .into_iter()
                    .map(with_id),
            );
            snapshot = snapshot.with(changes);
        }
        Ok(snapshot)
    }
}

fn with_id(number: Number) -> (PhoneNumberId, Option<Number>) {
    (number.facts.id.clone(), Some(number))
}
