//! The circuit breaker: after too many calls without a response, no call is made for a while; then one probe decides.
//!
//! Requests then fail at once instead of waiting, no paid call is sent without hope of a response, and Close is not
//! flooded by every caller when it comes back.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::domain::backoff::Backoff;
use crate::domain::time::Timestamp;
use crate::telemetry::metrics::CLOSE_BREAKER_OPEN;

/// Failures in a row that open the circuit. A 5xx is a failure: proxies in front of a dead Close answer with one.
const FAILURES: u32 = 20;
/// How long the circuit stays open at first; twice as long after each failed probe.
const FIRST: Duration = Duration::from_secs(1);
/// The longest time that it stays open.
const LONGEST: Duration = Duration::from_secs(15);

/// Decides whether calls are made, from the outcomes of the calls so far.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    /// Calls in a row without a response.
    failures: u32,
    /// While the circuit is open.
    open: Option<Open>,
}

#[derive(Clone, Copy)]
struct Open {
    since: Timestamp,
    until: Timestamp,
    backoff: Backoff,
}

impl Open {
    /// Whether calls are refused. A clock that was set back behind `since` ends it too: `until` could be far away.
    fn holds(self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }
}

/// Permission to make one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The circuit is closed.
    Normal,
    /// The one call that decides whether the circuit closes.
    Probe,
}

/// What the end of a call says about Close as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// Close works.
    Responded,
    /// Close may be down.
    Failed,
    /// Close failed at one object, which says nothing about others.
    Inconclusive,
}

impl Breaker {
    /// Whether a call would be refused now.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.lock().open.is_some_and(|open| open.holds(now))
    }

    /// Permits a call that takes `limit` at most; `None` while the circuit is open or a probe is in progress.
    pub(super) fn enter(&self, now: Timestamp, limit: Duration) -> Option<Pass> {
        let mut state = self.lock();
        let Some(open) = &mut state.open else {
            return Some(Pass::Normal);
        };
        if open.holds(now) {
            return None;
        }
        // If the probe is dropped without a result, the next one is permitted after this time.
        (open.since, open.until) = (now, now.plus(limit));
        Some(Pass::Probe)
    }

    /// Records how a call ended. An inconclusive end counts only for a probe, which must not leave the circuit closed.
    pub(super) fn record(&self, pass: Pass, end: CallEnd, now: Timestamp) {
        if end == CallEnd::Inconclusive && pass == Pass::Normal {
            return;
        }
        let mut state = self.lock();
        if end == CallEnd::Responded {
            if state.open.is_some() {
                tracing::info!("circuit breaker closed; Close responds again");
            }
            *state = State::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            let backoff = match state.open {
                Some(open) if pass == Pass::Probe => Some(open.backoff),
                None if state.failures >= FAILURES => Some(Backoff::new(FIRST, LONGEST)),
                // The call began before the circuit opened.
                _ => None,
            };
            if let Some(mut backoff) = backoff {
                let pause = backoff.next_pause();
                tracing::warn!(
                    failures = state.failures,
                    pause_s = pause.as_secs(),
                    "circuit breaker opened; Close does not respond"
                );
                state.open = Some(Open {
                    since: now,
                    until: now.plus(pause),
                    backoff,
                });
            }
        }
        metrics::gauge!(CLOSE_BREAKER_OPEN).set(f64::from(u8::from(state.open.is_some())));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);
    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn fail(breaker: &Breaker, times: u32, now: Timestamp) {
        for _ in 0..times {
            let pass = breaker.enter(now, LIMIT).unwrap();
            breaker.record(pass, CallEnd::Failed, now);
        }
    }

    #[test]
    fn only_failures_in_a_row_open_the_circuit() {
        let (breaker, now) = (Breaker::default(), NOW);
        fail(&breaker, FAILURES - 1, now);
        breaker.record(Pass::Normal, CallEnd::Responded, now);
        fail(&breaker, FAILURES - 1, now);
        assert!(!breaker.is_open(now));
        fail(&breaker, 1, now);
        assert!(breaker.is_open(now));
        assert_eq!(breaker.enter(now, LIMIT), None);
    }

    #[test]
    fn a_failure_at_one_object_neither_opens_the_circuit_nor_ends_a_row_of_failures() {
        let (breaker, now) = (Breaker::default(), NOW);
        for _ in 0..FAILURES * 2 {
            breaker.record(Pass::Normal, CallEnd::Inconclusive, now);
        }
        assert!(!breaker.is_open(now));
        fail(&breaker, FAILURES - 1, now);
        breaker.record(Pass::Normal, CallEnd::Inconclusive, now);
        fail(&breaker, 1, now);
        assert!(breaker.is_open(now));
        let later = now.plus(FIRST);
        assert_eq!(breaker.enter(later, LIMIT), Some(Pass::Probe));
        breaker.record(Pass::Probe, CallEnd::Inconclusive, later);
        assert!(breaker.is_open(later), "a probe decides");
    }

    #[test]
    fn one_probe_is_permitted_and_each_failed_one_makes_the_pause_longer() {
        let (breaker, mut now) = (Breaker::default(), NOW);
        fail(&breaker, FAILURES, now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let began = now;
            while breaker.is_open(now) {
                now = now.plus(Duration::from_secs(1));
            }
            pauses.push(now.since(began).as_secs());
            assert_eq!(breaker.enter(now, LIMIT), Some(Pass::Probe));
            assert_eq!(breaker.enter(now, LIMIT), None, "one at a time");
            // A call that began before the circuit opened changes nothing.
            breaker.record(Pass::Normal, CallEnd::Failed, now);
            breaker.record(Pass::Probe, CallEnd::Failed, now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        now = now.plus(LONGEST);
        let probe = breaker.enter(now, LIMIT).unwrap();
        breaker.record(probe, CallEnd::Responded, now);
        assert_eq!(breaker.enter(now, LIMIT), Some(Pass::Normal));
        fail(&breaker, FAILURES - 1, now);
        assert!(!breaker.is_open(now), "the count starts again");
    }

    #[test]
    fn a_probe_without_a_result_is_followed_by_another() {
        let (breaker, now) = (Breaker::default(), NOW);
        fail(&breaker, FAILURES, now);
        assert_eq!(breaker.enter(now.plus(FIRST), LIMIT), Some(Pass::Probe));
        assert_eq!(breaker.enter(now.plus(FIRST + LIMIT), LIMIT), Some(Pass::Probe));
    }

    #[test]
    fn a_clock_that_is_set_back_closes_the_circuit_early() {
        let breaker = Breaker::default();
        fail(&breaker, FAILURES, NOW);
        assert!(!breaker.is_open(NOW.minus(Duration::from_secs(1))));
        assert_eq!(breaker.enter(NOW.minus(LIMIT), LIMIT), Some(Pass::Probe));
    }
}
