//! Polls Close's event log for changes whose webhooks were lost, paused or late.
//!
//! Close keeps the log for thirty days.

use std::time::Duration;

use crate::close::{Change, Error as CloseError};
use crate::desk::errors::map_close_error;
use crate::desk::sync::InventorySync;
use crate::error::Error;
use crate::telemetry::metrics::NOTICES_MISSED_TOTAL;

/// How much of the log is read again, because the end of the log may be incomplete.
const OVERLAP: Duration = Duration::from_mins(5);
/// How far back the log is read: as long as Close keeps it, less a day.
const LOG_RETENTION: Duration = Duration::from_hours(29 * 24);
/// Events stored in one transaction.
const BATCH: usize = 500;

impl InventorySync {
    /// One step: enqueues the changes since the last poll.
    ///
    /// If the log cannot be read, compares the whole inventory instead. Idempotent: any replica can run it at any time.
    pub async fn poll_event_log(&self) -> Result<(), Error> {
        let (now, skew) = self.account.close_now();
        let Some(read_to) = self.core.store.event_log_position().await? else {
            // The first complete comparison has everything up to now.
            return self.core.store.advance_event_log_position(now).await;
        };
        // `min(now)`: a clock that was once ahead must not hide later changes.
        let since = read_to
            .min(now)
            .minus(OVERLAP + skew)
            .max(now.minus(LOG_RETENTION));
        for change in [Change::Created, Change::Updated, Change::Deleted] {
            match self.core.close.changes(change, since).await {
                Ok(listed) => {
                    self.account.note_odd(&listed.odd).await?;
                    for batch in listed.items.chunks(BATCH) {
                        let new = self.enqueue(batch).await?;
                        let missed = new.iter().filter(|new| **new).count();
                        metrics::counter!(NOTICES_MISSED_TOTAL).increment(missed as u64);
                    }
                }
                Err(failure @ (CloseError::Unauthorized | CloseError::RateLimited { .. })) => {
                    return Err(map_close_error(failure));
                }
                Err(failure) => {
                    tracing::warn!(error = %failure, "event log of Close not read; comparing the whole inventory");
                    self.compare().await?;
                    break;
                }
            }
        }
        self.core.store.advance_event_log_position(now).await
    }
}
