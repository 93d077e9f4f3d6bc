//! Looks up in Close's event log who rented the numbers that no order accounts for.
//!
//! The result helps a person to decide about these orphans.

use std::time::Duration;

use crate::close::Error as CloseError;
use crate::desk::each::{CALLS, each};
use crate::desk::errors::map_close_error;
use crate::desk::orders::Orders;
use crate::domain::number::{Number, Provenance};
use crate::domain::time::Timestamp;
use crate::error::Error;

/// Numbers looked up in one step.
const BATCH: u32 = 20;
/// The pause after Close refused its event log.
const REFUSED: Duration = Duration::from_mins(15);
/// How long Close keeps its event log, and one day more.
const LOG_RETENTION: Duration = Duration::from_hours(31 * 24);
/// How far the event log may lag behind.
const LOG_LAG: Duration = Duration::from_mins(5);

impl Orders {
    /// One step: looks up the provenance of some orphans.
    ///
    /// Idempotent: any replica can run it at any time.
    pub async fn explain_orphans(&self) -> Result<(), Error> {
        let now = self.core.now();
        if self.log_refused.is_active(self.core.clock.steady()) {
            return Ok(());
        }
        let after = self.explained_to.lock().clone();
        let numbers = self
            .core
            .store
            .numbers_without_provenance(after.as_ref(), BATCH)
            .await?;
        // The next step goes on after the last number that was begun, so that those which can't be looked up are not the
        // first ones for ever.
        let is_full = numbers.len() == BATCH as usize;
        if numbers.is_empty() {
            *self.explained_to.lock() = None;
        }
        let last = numbers.last().map(|number| number.facts.id.clone());
        each(numbers, CALLS, |number| {
            let begun = number.facts.id.clone();
            let is_end = last.as_ref() == Some(&begun);
            *self.explained_to.lock() = Some(begun).filter(|_| !is_end || is_full);
            async move { self.explain(&number, now).await }
        })
        .await
    }

    async fn explain(&self, number: &Number, now: Timestamp) -> Result<(), Error> {
        if self.log_refused.is_active(self.core.clock.steady()) {
            return Ok(());
        }
        let facts = &number.facts;
        let age = facts.created_at.map(|created| now.since(created));
        // Close no longer has the event of an older number.
        let expired = age.is_some_and(|age| age > LOG_RETENTION);
        let creation = if expired {
            None
        } else {
            match self.core.close.creation_of(&facts.id).await {
                Ok(creation) => creation,
                Err(failure @ CloseError::Refused { .. }) => {
                    tracing::warn!(
                        error = %failure,
                        "event log of Close refused to this API key; the provenance of orphans stays unknown"
                    );
                    self.log_refused.start(self.core.clock.steady().plus(REFUSED));
                    return Ok(());
                }
                Err(failure) => return Err(map_close_error(failure)),
            }
        };
        // The event may still appear, so a later step looks it up again.
        if creation.is_none() && age.is_some_and(|age| age < LOG_LAG) {
            return Ok(());
        }
        let provenance = creation.map_or_else(Provenance::default, |creation| Provenance {
            at: Some(creation.at),
            user_id: creation.user,
            api_key_id: creation.api_key,
            by_renting: creation.by_renting,
        });
        self.core.store.set_provenance(&facts.id, &provenance, now).await
    }
}
