//! When, not what: loops around one idempotent step. A step that fails is told and tried again at its next time;
//! a step that panics ends the process, because nobody would notice its absence.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The loops of one process.
#[derive(Clone)]
pub struct Workers {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Workers {
    /// Loops run until `stop`; `tracker` tells when the last one has ended.
    pub fn new(tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self { tracker, stop }
    }

    /// Runs `step` now, and again `interval` after it ended; after a failure `retry` later, then twice that, up to
    /// `interval`. A step under way is dropped when it is time to stop: each can be run again.
    pub fn every<F, E>(
        &self,
        name: &'static str,
        interval: Duration,
        retry: Duration,
        step: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send,
        E: Display + Send,
    {
        self.woken(name, Arc::default(), interval, retry, step);
    }

    /// The same, and also whenever it is woken.
    pub fn woken<F, E>(
        &self,
        name: &'static str,
        wake: Arc<Notify>,
        interval: Duration,
        retry: Duration,
        mut step: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send,
        E: Display + Send,
    {
        let told = self.stop.clone();
        self.tracker.spawn(async move {
            let last_word = told.clone().drop_guard();
            let mut backoff = retry;
            loop {
                let done = tokio::select! {
                    () = told.cancelled() => break,
                    done = step() => done,
                };
                let pause = match done {
                    Ok(()) => {
                        backoff = retry;
                        interval
                    }
                    Err(error) => {
                        tracing::warn!(worker = name, %error, "a step failed; trying again");
                        metrics::counter!("numberdesk_worker_failures_total", "worker" => name).increment(1);
                        let pause = backoff;
                        backoff = (backoff * 2).min(interval.max(retry));
                        pause
                    }
                };
                tokio::select! {
                    () = told.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                    () = wake.notified() => {}
                }
            }
            // Only a loop that was told to stop comes here; a panic drops the guard and stops everyone.
            last_word.disarm();
        });
    }
}
