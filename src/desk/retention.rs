//! Forgetting what nobody asks for any more: old events and old notices.

use std::time::Duration;

use crate::desk::Desk;
use crate::error::Error;

/// Rows a transaction.
const BATCH: u32 = 1_000;
/// How much longer than its signature holds a notice is remembered, so that no repeated one is taken for new.
const LONGER: Duration = Duration::from_hours(24);

impl Desk {
    /// One step: may be run at any time, by any replica, any number of times.
    pub async fn forget(&self) -> Result<(), Error> {
        let (store, settings, now) = (&self.0.store, &self.0.settings, self.now());
        let events = now.minus(settings.keep_events);
        while store.delete_events(events, BATCH).await? == u64::from(BATCH) {}
        let notices = now.minus(settings.webhook_tolerance + LONGER);
        while store.delete_close_events(notices, BATCH).await? == u64::from(BATCH) {}
        Ok(())
    }
}
