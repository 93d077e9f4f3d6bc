//! Compares the inventory with Close: one complete listing, and one request for each missing number.

use std::sync::atomic::Ordering;

use crate::desk::sync::InventorySync;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::event::Event;
use crate::domain::event_kind::EventKind;
use crate::error::Error;

impl InventorySync {
    /// Compares the whole inventory with Close.
    ///
    /// A number that the listing lacks is requested separately before it counts as gone, because listings lag behind
    /// and the number may have been rented since.
    pub async fn compare(&self) -> Result<(), Error> {
        let started = self.core.now();
        let outcome = self.compare_once().await;
        match &outcome {
            Ok(()) => {
                self.account.mark_compared(started);
                // The event informs the other replicas.
                let event = Event::new(started, EventKind::InventoryCompared, None);
                self.core.store.write_event(&event).await?;
            }
            Err(Error::StoreUnavailable(_) | Error::Internal(_)) => {}
            Err(error) => self.account.set_status(&error.to_string()),
        }
        outcome
    }

    /// One step: compares once after this process started, and then whenever a comparison is due.
    ///
    /// When a comparison is due, only one replica compares.
    pub async fn compare_when_due(&self) -> Result<(), Error> {
        let every = self.core.settings.full_sync;
        let due = self.core.store.claim_step("sync", self.core.now(), every).await?;
        if due {
            // If the comparison fails, this replica compares again at its next step.
            self.compared.store(false, Ordering::Relaxed);
        }
        if due || !self.compared.load(Ordering::Relaxed) {
            self.compare().await?;
            self.compared.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn compare_once(&self) -> Result<(), Error> {
        for group in self.core.policy.load_full().groups() {
            self.account.refresh_group(&group).await;
        }
        let listing = self.account.listing().await?;
        let mut absent = Vec::new();
        let settled = listing.started.minus(self.core.settings.settle_after);
        for id in self.core.store.known_number_ids(settled).await? {
            if !listing.ids.contains(&id) && !self.account.refetch_number(&id).await? {
                absent.push(id);
            }
        }
        // The key may have been replaced meanwhile. Only a key of this organization can prove that a number is gone.
        if !absent.is_empty()
            && self.account.verify_organization().await?.organization == listing.owner.organization
        {
            for id in absent {
                let row =
                    AuditRow::new(listing.started, Actor::desk(), Action::NumberGone, "gone").number(&id);
                if self.core.store.mark_gone(&id, listing.started, &row).await? {
                    tracing::warn!(number_id = %id, "number is gone from Close");
                }
            }
        }
        // The comparison is complete, even if the event log cannot be read.
        if let Err(error) = self.orders.name_late_arrivals(None).await {
            tracing::warn!(%error, "late arrivals not checked; the next comparison checks them");
        }
        Ok(())
    }
}
