//! Asks Close for the numbers that its listing lacks, and removes those that are gone.
//!
//! Thousands of numbers may have been deleted at once. So a comparison asks for a bounded count of them, a few at a
//! time, and keeps what it learned: numbers that are gone are removed after each batch, whatever happens to the others.
//! The next comparison continues after the last one that was asked for.

use std::collections::HashSet;

use futures::{StreamExt as _, stream};

use crate::desk::account::{Listing, Refetched};
use crate::desk::errors::unavailable;
use crate::desk::sync::InventorySync;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::id::PhoneNumberId;
use crate::domain::odd_record::OddRecord;
use crate::error::Error;

/// Numbers that one comparison asks for.
const MOST: usize = 2_000;
/// Numbers that are asked for before those that are gone are removed.
const BATCH: usize = 50;
/// Parallel calls. All other calls share the same rate limit, so there are few.
const PARALLEL: usize = 4;
/// Numbers that Close may fail to show in one comparison; after more, it is taken to be down.
const FAILURES: usize = 20;

impl InventorySync {
    /// Removes the numbers that the listing lacks and that Close does not have any more.
    ///
    /// Returns the numbers that Close neither lists nor answers for: they stay. It is an error if some numbers could
    /// not be asked for.
    pub(in crate::desk::sync) async fn remove_missing(
        &self,
        listing: &Listing,
    ) -> Result<Vec<OddRecord>, Error> {
        let missing = self.missing(listing).await?;
        let mut odd = Vec::new();
        let mut failures = 0;
        for batch in missing.get(..MOST).unwrap_or(&missing).chunks(BATCH) {
            let answers: Vec<_> = stream::iter(batch.to_vec())
                .map(|id| async move {
                    let answer = self.account.refetch_number(&id).await;
                    (id, answer)
                })
                .buffered(PARALLEL)
                .collect()
                .await;
            let (mut gone, mut failure, mut last_reason) = (Vec::new(), None, String::new());
            for (id, answer) in answers {
                match answer {
                    Ok(Refetched::Current) => {}
                    Ok(Refetched::Unreadable(record)) => odd.push(record),
                    Ok(Refetched::Missing) => gone.push(id),
                    Ok(Refetched::Failed { reason }) => {
                        failures += 1;
                        let fault = format!("Close does not list it, and does not answer for it: {reason}");
                        odd.push(OddRecord::number(&id, fault));
                        last_reason = reason;
                    }
                    Err(error) => failure = Some(error),
                }
            }
            self.remove_gone_numbers(&gone, listing).await?;
            if failures > FAILURES || (failures > 0 && self.core.close.circuit_open()) {
                failure.get_or_insert_with(|| unavailable(last_reason));
            }
            *self.asked_to.lock() = batch.last().cloned();
            if let Some(error) = failure {
                return Err(error);
            }
        }
        match missing.len().checked_sub(MOST) {
            None | Some(0) => Ok(odd),
            Some(rest) => Err(unavailable(format!(
                "{rest} numbers that Close does not list remain to be asked for; the next comparison goes on"
            ))),
        }
    }

    /// The known numbers that Close did not list, beginning after the last one that was asked for.
    async fn missing(&self, listing: &Listing) -> Result<Vec<PhoneNumberId>, Error> {
        let seen: HashSet<&PhoneNumberId> = listing.seen();
        let settle_after = self.core.settings.settle_after;
        let mut missing = self
            .core
            .store
            .known_number_ids(listing.started, settle_after)
            .await?;
        missing.retain(|id| !seen.contains(id));
        if let Some(last) = &*self.asked_to.lock() {
            let asked = missing.iter().filter(|id| *id <= last).count();
            missing.rotate_left(asked);
        }
        Ok(missing)
    }

    /// Removes numbers for which Close answered 404.
    async fn remove_gone_numbers(&self, gone: &[PhoneNumberId], listing: &Listing) -> Result<(), Error> {
        // The key may have been replaced meanwhile. Only a key of this organization can prove that a number is gone.
        if gone.is_empty()
            || self.account.verify_organization().await?.organization != listing.owner.organization
        {
            return Ok(());
        }
        for id in gone {
            let row = AuditRow::new(listing.started, Actor::desk(), Action::NumberGone, "gone").number(id);
            if self.core.store.mark_gone(id, listing.started, &row).await? {
                tracing::warn!(number_id = %id, "number is gone from Close");
            }
        }
        Ok(())
    }
}
