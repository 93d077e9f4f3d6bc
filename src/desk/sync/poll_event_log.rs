//! Catching up: what Close's event log tells of since it was last read. Deliveries may be lost, paused or late; the log
//! has them all, for thirty days.

use std::time::Duration;

use crate::close::{Change, Trouble};
use crate::desk::{Desk, troubled};
use crate::error::Error;
use crate::telemetry::metrics::NOTICES_MISSED_TOTAL;

/// The log is not complete at its end: so much of it is read again.
const AGAIN: Duration = Duration::from_mins(5);
/// As far back as the log goes, less a day.
const MEMORY: Duration = Duration::from_hours(29 * 24);
/// Notices written in one transaction.
const TOGETHER: usize = 500;

impl Desk {
    /// One step: may be run at any time, by any replica, any number of times. Where the log can't be read, the inventory
    /// is compared as a whole instead.
    pub async fn catch_up(&self) -> Result<(), Error> {
        let (now, slack) = self.at_close(self.now());
        let Some(known) = self.0.store.event_log_position().await? else {
            // There is nothing to miss before the first complete comparison.
            return self.0.store.advance_event_log_position(now).await;
        };
        // A clock that was wrong once must not hide what is to come.
        let since = known.min(now).minus(AGAIN + slack).max(now.minus(MEMORY));
        for change in [Change::Created, Change::Updated, Change::Deleted] {
            match self.0.close.changes(change, since).await {
                Ok(notices) => {
                    for some in notices.chunks(TOGETHER) {
                        let fresh = self.note(some).await?;
                        let missed = fresh.iter().filter(|fresh| **fresh).count();
                        metrics::counter!(NOTICES_MISSED_TOTAL).increment(missed as u64);
                    }
                }
                Err(trouble @ (Trouble::Unauthorized | Trouble::RateLimited { .. })) => {
                    return Err(troubled(trouble));
                }
                Err(trouble) => {
                    tracing::warn!(%trouble, "Close's event log can't be read: the whole inventory is compared");
                    self.sync().await?;
                    break;
                }
            }
        }
        self.0.store.advance_event_log_position(now).await
    }
}
