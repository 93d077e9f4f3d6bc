//! When, not what: loops around one idempotent step. A step that fails is told and tried again at its next time;
//! a step that panics ends the process, because nobody would notice its absence.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::backoff::Backoff;
use crate::error::chain;
use crate::telemetry::metrics::WORKER_FAILURES_TOTAL;

/// The longest pause after a failure: however seldom a step is due, one that keeps failing is noticed within minutes.
const LONGEST: Duration = Duration::from_mins(1);

/// What a step fails with.
type Failure = Box<dyn std::error::Error + Send + Sync>;

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
    /// `interval` or a minute. A step under way is dropped when it is time to stop: each can be run again.
    pub fn every<F, E>(
        &self,
        name: &'static str,
        interval: Duration,
        retry: Duration,
        step: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send,
        E: Into<Failure> + Send,
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
        E: Into<Failure> + Send,
    {
        let told = self.stop.clone();
        self.tracker.spawn(async move {
            let last_word = told.clone().drop_guard();
            let mut backoff = backoff(interval, retry);
            loop {
                let done = tokio::select! {
                    () = told.cancelled() => break,
                    done = step() => done,
                };
                let pause = match done {
                    Ok(()) => {
                        backoff.reset();
                        interval
                    }
                    Err(error) => {
                        // With its causes: the error alone may say no more than that the database is away.
                        let error = chain(&*error.into());
                        tracing::warn!(worker = name, error, "a step failed; trying again");
                        metrics::counter!(WORKER_FAILURES_TOTAL, "worker" => name).increment(1);
                        backoff.next_pause()
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

/// The pauses after failures: `retry` at first, then doubling up to `interval` or a minute.
fn backoff(interval: Duration, retry: Duration) -> Backoff {
    Backoff::new(retry, interval.min(LONGEST).max(retry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_keeps_failing_does_so_often_enough_to_be_noticed_however_seldom_it_is_due() {
        let retry = Duration::from_secs(5);
        for (interval, most) in [(1, 5), (15, 15), (300, 60), (3_600, 60)] {
            let (interval, most) = (Duration::from_secs(interval), Duration::from_secs(most));
            let mut backoff = backoff(interval, retry);
            let pauses = (0..20).map(|_| backoff.next_pause());
            assert_eq!(pauses.max(), Some(most), "{interval:?}");
        }
    }
}
