//! Background workers: each runs one idempotent step at an interval, and at once when it is woken.
//!
//! A failed step is logged, counted and retried after a growing pause. A step must tolerate that it is dropped at any
//! await when the service stops, and that several replicas run it at once. A panic stops the service, because nobody
//! would notice a missing worker.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::backoff::Backoff;
use crate::error::chain;
use crate::telemetry::metrics::WORKER_FAILURES_TOTAL;

/// The interval of workers that requests wait for.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// The pause after a step failed for the first time.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// The longest pause after failures, so that repeated failures are noticed within minutes even at a long interval.
const LONGEST: Duration = Duration::from_mins(1);

/// The error of a step.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Starts the workers of one process.
#[derive(Clone)]
pub struct Workers {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Workers {
    /// Workers run until `stop` is cancelled, as tasks of `tracker`.
    pub fn new(tracker: TaskTracker, stop: CancellationToken) -> Self {
        Self { tracker, stop }
    }

    /// Runs `step` now, and again `interval` after each success.
    ///
    /// After a failure, the pause is `retry`. Each further failure doubles it, up to `interval` or a minute.
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

    /// Runs `step` as [`Self::every`] does. The log says `failed` instead of a text that fits every worker.
    pub fn every_or<F, E>(
        &self,
        name: &'static str,
        failed: &'static str,
        interval: Duration,
        step: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send,
        E: Into<Failure> + Send,
    {
        self.run((name, failed), Arc::default(), (interval, interval), step);
    }

    /// Runs `step` as [`Self::every`] does, and also whenever `wake` is notified.
    pub fn woken<F, E>(
        &self,
        name: &'static str,
        wake: Arc<Notify>,
        interval: Duration,
        retry: Duration,
        step: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send,
        E: Into<Failure> + Send,
    {
        let failed = "worker step failed; retrying";
        self.run((name, failed), wake, (interval, retry), step);
    }

    fn run<F, E>(
        &self,
        (name, failed): (&'static str, &'static str),
        wake: Arc<Notify>,
        (interval, retry): (Duration, Duration),
        mut step: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send,
        E: Into<Failure> + Send,
    {
        // At 0 from the start, so that rates count the first failure.
        metrics::counter!(WORKER_FAILURES_TOTAL, "worker" => name).increment(0);
        let stopping = self.stop.clone();
        self.tracker.spawn(async move {
            let stop_on_drop = stopping.clone().drop_guard();
            let mut backoff = backoff(interval, retry);
            loop {
                let done = tokio::select! {
                    () = stopping.cancelled() => break,
                    done = step() => done,
                };
                let pause = match done {
                    Ok(()) => {
                        backoff.reset();
                        interval
                    }
                    Err(error) => {
                        // With its causes: the outer error may only say that the database is unavailable.
                        let error = chain(&*error.into());
                        tracing::warn!(worker = name, error, "{failed}");
                        metrics::counter!(WORKER_FAILURES_TOTAL, "worker" => name).increment(1);
                        backoff.next_pause()
                    }
                };
                tokio::select! {
                    () = stopping.cancelled() => break,
                    () = tokio::time::sleep(pause) => {}
                    () = wake.notified() => {}
                }
            }
            // A panic does not get here: it drops the guard, which stops the service.
            stop_on_drop.disarm();
        });
    }
}

/// The pauses after failures: first `retry`, then doubled each time, up to `interval` or a minute.
fn backoff(interval: Duration, retry: Duration) -> Backoff {
    Backoff::new(retry, interval.min(LONGEST).max(retry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_failures_are_never_more_than_a_minute_or_the_interval_apart() {
        let retry = Duration::from_secs(5);
        for (interval, most) in [(1, 5), (15, 15), (300, 60), (3_600, 60)] {
            let (interval, most) = (Duration::from_secs(interval), Duration::from_secs(most));
            let mut backoff = backoff(interval, retry);
            let pauses = (0..20).map(|_| backoff.next_pause());
            assert_eq!(pauses.max(), Some(most), "{interval:?}");
        }
    }
}
