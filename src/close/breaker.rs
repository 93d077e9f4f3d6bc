//! The breaker: a Close that has stopped answering is left alone for a while, then asked once. So nobody waits for what
//! won't come, nothing paid is sent into the void, and Close is not knocked on by everyone as it comes back.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::domain::backoff::Backoff;
use crate::domain::time::Timestamp;
use crate::telemetry::metrics::CLOSE_BREAKER_OPEN;

/// Calls in a row without an answer after which Close is left alone. A 5xx is none: what stands before Close says that, too.
const LOST: u32 = 20;
/// How long at first; twice as long after each probe that fails.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);

/// Whether Close answers, as far as the calls so far tell.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    /// Calls in a row without an answer.
    lost: u32,
    /// While it is open.
    open: Option<Open>,
}

#[derive(Clone, Copy)]
struct Open {
    since: Timestamp,
    until: Timestamp,
    backoff: Backoff,
}

impl Open {
    /// Not for who has had the clock set back, either: how long that would last nobody knows.
    fn holds(self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }
}

/// Leave to make one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// As usual.
    Usual,
    /// The one call that shows whether Close is back.
    Probe,
}

impl Breaker {
    /// Whether a call would be refused.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.lock().open.is_some_and(|open| open.holds(now))
    }

    /// Leave to make a call that takes `limit` at most; none while Close is left alone or somebody probes.
    pub(super) fn enter(&self, now: Timestamp, limit: Duration) -> Option<Pass> {
        let mut state = self.lock();
        let Some(open) = &mut state.open else {
            return Some(Pass::Usual);
        };
        if open.holds(now) {
            return None;
        }
        // Should the probe be dropped, another one follows after that time.
        (open.since, open.until) = (now, now.plus(limit));
        Some(Pass::Probe)
    }

    /// How a call ended.
    pub(super) fn learn(&self, pass: Pass, answered: bool, now: Timestamp) {
        let mut state = self.lock();
        if answered {
            if state.open.is_some() {
                tracing::info!("Close answers again");
            }
            *state = State::default();
        } else {
            state.lost = state.lost.saturating_add(1);
            let backoff = match state.open {
                Some(open) if pass == Pass::Probe => Some(open.backoff),
                None if state.lost >= LOST => Some(Backoff::new(FIRST, LONGEST)),
                // Begun before it was left alone.
                _ => None,
            };
            if let Some(mut backoff) = backoff {
                let pause = backoff.next_pause();
                tracing::warn!(
                    calls = state.lost,
                    pause_s = pause.as_secs(),
                    "Close does not answer and is left alone"
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

    fn lose(breaker: &Breaker, times: u32, now: Timestamp) {
        for _ in 0..times {
            let pass = breaker.enter(now, LIMIT).unwrap();
            breaker.learn(pass, false, now);
        }
    }

    #[test]
    fn only_calls_in_a_row_without_an_answer_open_it() {
        let (breaker, now) = (Breaker::default(), NOW);
        lose(&breaker, LOST - 1, now);
        breaker.learn(Pass::Usual, true, now);
        lose(&breaker, LOST - 1, now);
        assert!(!breaker.is_open(now));
        lose(&breaker, 1, now);
        assert!(breaker.is_open(now));
        assert_eq!(breaker.enter(now, LIMIT), None);
    }

    #[test]
    fn one_probe_is_let_through_and_each_that_fails_makes_the_pause_longer() {
        let (breaker, mut now) = (Breaker::default(), NOW);
        lose(&breaker, LOST, now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let began = now;
            while breaker.is_open(now) {
                now = now.plus(Duration::from_secs(1));
            }
            pauses.push(now.since(began).as_secs());
            assert_eq!(breaker.enter(now, LIMIT), Some(Pass::Probe));
            assert_eq!(breaker.enter(now, LIMIT), None, "one at a time");
            // Who began before it was open changes nothing.
            breaker.learn(Pass::Usual, false, now);
            breaker.learn(Pass::Probe, false, now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        now = now.plus(LONGEST);
        let probe = breaker.enter(now, LIMIT).unwrap();
        breaker.learn(probe, true, now);
        assert_eq!(breaker.enter(now, LIMIT), Some(Pass::Usual));
        lose(&breaker, LOST - 1, now);
        assert!(!breaker.is_open(now), "it begins anew");
    }

    #[test]
    fn a_probe_that_never_tells_is_followed_by_another() {
        let (breaker, now) = (Breaker::default(), NOW);
        lose(&breaker, LOST, now);
        assert_eq!(breaker.enter(now.plus(FIRST), LIMIT), Some(Pass::Probe));
        assert_eq!(breaker.enter(now.plus(FIRST + LIMIT), LIMIT), Some(Pass::Probe));
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let breaker = Breaker::default();
        lose(&breaker, LOST, NOW);
        assert!(!breaker.is_open(NOW.minus(Duration::from_secs(1))));
        assert_eq!(breaker.enter(NOW.minus(LIMIT), LIMIT), Some(Pass::Probe));
    }
}
