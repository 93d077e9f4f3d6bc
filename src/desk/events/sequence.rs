//! Assigns sequence numbers to committed events, and applies new events to the state of this process.
//!
//! Any replica may have written the events.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::desk::events::Events;
use crate::domain::event::Event;
use crate::domain::event_kind::EventKind;
use crate::error::Error;
use crate::store::SequencedEvent;
use crate::telemetry::metrics::{FEED_PLACE, INVENTORY_AGE_SECONDS};

/// Events read in one query.
const PAGE: u32 = 500;

impl Events {
    /// One step: assigns sequence numbers, and applies all new events to this process.
    ///
    /// Idempotent: any replica can run it at any time.
    pub async fn assign_sequence(&self) -> Result<(), Error> {
        // First, because the inventory grows old while the database does not respond, too. Before the first comparison,
        // the age counts from the start of this process.
        let as_of = self.account.health().inventory_as_of;
        let age = self.core.now().since(as_of.unwrap_or(self.core.tasks.started_at));
        metrics::gauge!(INVENTORY_AGE_SECONDS).set(age.as_secs_f64());
        let store = &self.core.store;
        let mut at = self.position.at.lock().await;
        let mut seq = match *at {
            Some(seq) => seq,
            None => *at.insert(self.cache.event_log_start().await?),
        };
        self.cache.refresh([]).await?;
        while store.assign_sequence().await? > 0 {}
        loop {
            let page = store.events_after(seq, PAGE).await?;
            let (Some(first), Some(last)) = (page.first(), page.last()) else {
                break;
            };
            if first.seq > seq + 1 {
                tracing::warn!("events deleted before this process applied them; reading all numbers again");
                self.cache.mark_stale();
            }
            seq = last.seq;
            self.apply_page(&page).await?;
            *at = Some(seq);
            self.position.applied.store(seq, Ordering::Release);
        }
        metrics::gauge!(FEED_PLACE).set(f64::from(u32::try_from(seq).unwrap_or(u32::MAX)));
        Ok(())
    }

    /// Refreshes the number cache, so that it is at least as recent as these events.
    pub(in crate::desk::events) async fn refresh_numbers_of(
        &self,
        page: &[SequencedEvent],
    ) -> Result<(), Error> {
        let applied = self.position.applied.load(Ordering::Acquire);
        if page.last().is_none_or(|last| last.seq <= applied) {
            return Ok(());
        }
        let numbers = page
            .iter()
            .filter(|event| event.seq > applied)
            .filter_map(|event| event.event.phone_number_id.clone());
        self.cache.refresh(numbers).await.map(drop)
    }

    /// Applies events to this process and sends them to its streams. Applying an event twice does no harm.
    async fn apply_page(&self, page: &[SequencedEvent]) -> Result<(), Error> {
        // A reader of the event must find the number as the event describes it, or newer.
        let numbers = page
            .iter()
            .filter_map(|event| event.event.phone_number_id.clone());
        self.cache.refresh(numbers).await?;
        for event in page {
            self.apply(&event.event).await?;
            // An error means that no stream is open.
            let _ = self.position.live.send(Arc::new(event.clone()));
        }
        Ok(())
    }

    /// Applies one event to the state of this process.
    async fn apply(&self, event: &Event) -> Result<(), Error> {
        if let Some(order) = &event.order_id {
            self.order_changes.notify_unless_in_flight(order);
        }
        if event.kind == EventKind::InventoryCompared.as_str() {
            self.account.mark_compared(event.at);
            // The replica that compared has read the groups of the policy from Close.
            self.account.reload_groups().await?;
            self.cache.mark_seen(event.at).await?;
        }
        if event.kind == EventKind::GroupChanged.as_str()
            && let Some(group) = event
                .data
                .get("group_id")
                .and_then(|id| id.as_str()?.parse().ok())
            && self.account.knows_group(&group)
        {
            // Another replica may have read them already, and Close may not answer this one.
            self.account.reload_groups().await?;
            // On a task of its own, so that streams do not wait for Close.
            let account = self.account.clone();
            tokio::spawn(async move { account.refresh_group(&group).await });
        }
        Ok(())
    }
}
