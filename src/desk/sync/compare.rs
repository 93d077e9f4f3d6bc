//! Compares the inventory with Close: one complete listing, and one request for each missing number.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{StreamExt as _, stream};

use crate::desk::each::CALLS;
use crate::desk::sync::InventorySync;
use crate::domain::event::Event;
use crate::domain::event_kind::EventKind;
use crate::domain::odd_record::{OddKind, OddRecord};
use crate::error::Error;

/// How long an odd event is reported.
const EVENT: Duration = Duration::from_hours(24);

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
        // Neither a group that Close does not show nor the listing keeps the others waiting.
        let groups = self.core.policy.load_full().groups();
        let members = stream::iter(groups)
            .map(|group| async move { self.account.refresh_group(&group).await })
            .buffer_unordered(CALLS)
            .concat();
        let (mut odd, listing) = tokio::join!(members, self.account.listing());
        let listing = listing?;
        odd.extend(self.remove_missing(&listing).await?);
        odd.extend(listing.odd);
        odd.extend(listing.owner.odd);
        self.note_complete(&odd).await?;
        // The comparison is complete, even if the event log cannot be read.
        if let Err(error) = self.orders.name_late_arrivals(None).await {
            tracing::warn!(%error, "late arrivals not checked; the next comparison checks them");
        }
        Ok(())
    }

    /// Notes the odd records of a complete comparison, and forgets those that are not odd any more.
    async fn note_complete(&self, odd: &[OddRecord]) -> Result<(), Error> {
        self.account.note_odd(odd).await?;
        for kind in [OddKind::PhoneNumber, OddKind::Group, OddKind::Membership] {
            self.account.forget_odd(kind, odd).await?;
        }
        // An event stays odd. It is forgotten once an operator had the time to see it.
        let before = self.core.now().minus(EVENT);
        self.core
            .store
            .forget_old_odd_records(OddKind::Event, before)
            .await
    }
}
