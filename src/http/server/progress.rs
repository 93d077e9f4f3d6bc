//! The progress of what a client takes: of the writes to a socket, or of the pieces of a response.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Since when the server waits for a client. Clones share it.
#[derive(Clone, Default)]
pub(in crate::http) struct Progress(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Since when the server waits. `None`: it does not.
    since: Mutex<Option<Instant>>,
    /// Notified when the server begins to wait.
    began: Notify,
    stalled: AtomicBool,
}

impl Progress {
    /// Completes when the server has waited for `limit` without any progress.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let since = *self.0.since.lock();
            let Some(since) = since else {
                // A permit stays if the wait begins before this line.
                self.0.began.notified().await;
                continue;
            };
            sleep_until(since + limit).await;
            if *self.0.since.lock() == Some(since) {
                self.0.stalled.store(true, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Whether [`Self::stalled`] has completed.
    pub(super) fn has_stalled(&self) -> bool {
        self.0.stalled.load(Ordering::Relaxed)
    }

    /// Records whether a write to a socket waits for the client.
    ///
    /// While it waits, further attempts are no progress.
    pub(super) fn set_blocked(&self, blocked: bool) {
        let was_blocked = self.0.since.lock().is_some();
        if was_blocked != blocked {
            self.set_waiting(blocked);
        }
    }

    /// Records that the client has taken everything so far, and whether it has one more piece to take.
    pub(super) fn set_waiting(&self, waiting: bool) {
        let now = waiting.then(Instant::now);
        let before = std::mem::replace(&mut *self.0.since.lock(), now);
        // In all other cases, `stalled` looks again by itself when its time is over.
        if before.is_none() && waiting {
            self.0.began.notify_one();
        }
    }
}
