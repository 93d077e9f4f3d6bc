//! Deletes old events, and old records of Close's webhooks.

use std::time::Duration;

use crate::desk::core::Core;
use crate::error::Error;

/// Rows deleted in one transaction.
const BATCH: u32 = 1_000;
/// How long a webhook of Close is remembered after its signature has expired.
///
/// A repeated webhook is therefore never treated as a new one.
const MARGIN: Duration = Duration::from_hours(24);

/// Deletes rows that are older than their retention time.
#[derive(Clone)]
pub struct Retention {
    core: Core,
}

impl Retention {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// One step: deletes expired rows in batches.
    ///
    /// Idempotent: any replica can run it at any time.
    pub async fn delete_expired(&self) -> Result<(), Error> {
        let (store, settings, now) = (&self.core.store, &self.core.settings, self.core.now());
        let events = now.minus(settings.event_retention);
        while store.delete_events(events, BATCH).await? == u64::from(BATCH) {}
        let close_events = now.minus(settings.webhook_tolerance + MARGIN);
        while store.delete_close_events(close_events, BATCH).await? == u64::from(BATCH) {}
        Ok(())
    }
}
