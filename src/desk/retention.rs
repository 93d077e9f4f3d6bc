//! Deletes old events and old webhook notices.

use std::time::Duration;

use crate::desk::core::Core;
use crate::error::Error;

/// Rows deleted in one transaction.
const BATCH: u32 = 1_000;
/// How much longer than its signature a notice is remembered, so that a repeated one is never taken for new.
const MARGIN: Duration = Duration::from_hours(24);

/// Deletes what is older than its retention time.
#[derive(Clone)]
pub struct Retention {
    core: Core,
}

impl Retention {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// One step. Safe to run at any time, on any replica, any number of times.
    pub async fn delete_expired(&self) -> Result<(), Error> {
        let (store, settings, now) = (&self.core.store, &self.core.settings, self.core.now());
        let events = now.minus(settings.event_retention);
        while store.delete_events(events, BATCH).await? == u64::from(BATCH) {}
        let notices = now.minus(settings.webhook_tolerance + MARGIN);
        while store.delete_close_events(notices, BATCH).await? == u64::from(BATCH) {}
        Ok(())
    }
}
