//! Moving the feed on: what was committed gets its place, and whoever follows in this process hears of it, wherever it
//! was committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{Mutex, OnceCell, broadcast};

use crate::desk::Desk;
use crate::domain::event::{Event, EventKind};
use crate::error::Error;
use crate::store::SequencedEvent;
use crate::telemetry::metrics::{FEED_PLACE, INVENTORY_AGE_SECONDS};

/// Events read at once.
const PAGE: u32 = 500;
/// Events that are kept for followers who are behind; beyond that they read them from the store.
const LIVE: usize = 4_096;

/// Where this process is in the feed, and who hears of what comes.
pub(in crate::desk) struct Feed {
    /// The place from which on this process follows.
    begun: OnceCell<i64>,
    /// The place up to which followers were told; `None` before the first look.
    at: Mutex<Option<i64>>,
    /// The same, for who only looks.
    told: AtomicI64,
    /// Tells followers.
    pub(in crate::desk) live: broadcast::Sender<Arc<SequencedEvent>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            begun: OnceCell::new(),
            at: Mutex::default(),
            told: AtomicI64::new(0),
            live: broadcast::channel(LIVE).0,
        }
    }
}

impl Desk {
    /// One step: may be run at any time, by any replica, any number of times.
    pub async fn feed(&self) -> Result<(), Error> {
        let store = &self.0.store;
        let mut at = self.0.feed.at.lock().await;
        let mut seq = match *at {
            Some(seq) => seq,
            None => *at.insert(self.feed_begun().await?),
        };
        self.reload([]).await?;
        while store.assign_sequence().await? > 0 {}
        loop {
            let page = store.events_after(seq, PAGE).await?;
            let (Some(first), Some(last)) = (page.first(), page.last()) else {
                break;
            };
            if first.seq > seq + 1 {
                tracing::warn!(
                    "events were forgotten before this process was told of them: all numbers are read again"
                );
                self.0.inventory.load_anew();
            }
            seq = last.seq;
            self.tell(&page).await?;
            *at = Some(seq);
            self.0.feed.told.store(seq, Ordering::Release);
        }
        metrics::counter!(FEED_PLACE).absolute(u64::try_from(seq).unwrap_or_default());
        // Where this process knows of no comparison yet, it has waited for one since it began.
        let as_of = self.0.close_health.load().inventory_as_of;
        let age = self.now().since(as_of.unwrap_or(self.0.begun));
        metrics::gauge!(INVENTORY_AGE_SECONDS).set(age.as_secs_f64());
        Ok(())
    }

    /// The place from which on this process is told what happens.
    pub(in crate::desk) async fn feed_begun(&self) -> Result<i64, Error> {
        let head = || self.0.store.last_sequence();
        self.0.feed.begun.get_or_try_init(head).await.copied()
    }

    /// Has the inventory show what these events tell, before they are handed out.
    pub(in crate::desk) async fn shows(&self, page: &[SequencedEvent]) -> Result<(), Error> {
        let told = self.0.feed.told.load(Ordering::Acquire);
        if page.last().is_none_or(|last| last.seq <= told) {
            return Ok(());
        }
        let numbers = page
            .iter()
            .filter(|placed| placed.seq > told)
            .filter_map(|placed| placed.event.phone_number_id.clone());
        self.reload(numbers).await.map(drop)
    }

    /// Tells this process what happened. Told twice, it does no harm.
    async fn tell(&self, page: &[SequencedEvent]) -> Result<(), Error> {
        // Whoever hears of a number reads it as it is since.
        let numbers = page
            .iter()
            .filter_map(|placed| placed.event.phone_number_id.clone());
        self.reload(numbers).await?;
        for placed in page {
            self.heed(&placed.event).await?;
            // Nobody may be listening.
            let _ = self.0.feed.live.send(Arc::new(placed.clone()));
        }
        Ok(())
    }

    /// What an event means to this process itself.
    async fn heed(&self, event: &Event) -> Result<(), Error> {
        // A task that is at the order tells when all is done, the label too.
        if let Some(order) = &event.order_id
            && !self.0.turns.taken(order)
        {
            let _ = self.0.changed.send(order.clone());
        }
        if event.kind == EventKind::InventoryCompared.as_str() {
            self.compared(event.at);
            self.sighted(event.at).await?;
        }
        if event.kind == EventKind::GroupChanged.as_str()
            && let Some(group) = event
                .data
                .get("group_id")
                .and_then(|id| id.as_str()?.parse().ok())
            && self.0.members.load().contains_key(&group)
        {
            // Nobody who follows waits for Close.
            let it = self.clone();
            tokio::spawn(async move { it.load_group(&group).await });
        }
        Ok(())
    }
}
