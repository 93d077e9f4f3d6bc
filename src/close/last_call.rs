//! How the last calls to Close ended, for reports and metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use crate::close::response::Outcome;
use crate::domain::time::{Clock, Timestamp};
use crate::telemetry::metrics::CLOSE_UP;

/// A call to Close without a usable answer.
#[derive(Debug, Clone, Serialize)]
pub struct CallFailure {
    /// When the call ended.
    pub at: Timestamp,
    /// The name of the call, as in the metrics.
    #[serde(rename = "call")]
    pub endpoint: &'static str,
    /// How it ended, as in the metrics: `not_sent`, `unclear` or `unauthorized`.
    pub outcome: &'static str,
    /// What happened. Never contains a URL or a secret.
    pub reason: String,
    /// When the next call had a usable answer; `None` until then.
    pub recovered_at: Option<Timestamp>,
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.outcome == Outcome::Unauthorized.word() {
            return f.write_str(&self.reason);
        }
        write!(f, "the last call failed: {}", self.reason)
    }
}

/// The last failure, and when the last call ended.
pub(super) struct LastCalls {
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    failure: Option<Arc<CallFailure>>,
    ended: Timestamp,
}

impl LastCalls {
    pub(super) fn new(clock: Clock) -> Self {
        let state = State {
            failure: None,
            ended: clock.steady(),
        };
        Self {
            state: Mutex::new(state),
            clock,
        }
    }

    /// Records how a call ended. A call that was not made, because the circuit is open, does not count.
    pub(super) fn record(&self, endpoint: &'static str, outcome: &Outcome) {
        let reason = match outcome {
            Outcome::NotSent { reason } | Outcome::Unclear { reason } => Some(reason.as_str()),
            Outcome::Unauthorized => Some("the API key is not accepted"),
            _ => None,
        };
        // A rejected key is a response: Close itself works.
        metrics::gauge!(CLOSE_UP).set(f64::from(u8::from(outcome.has_response())));
        let at = self.clock.now();
        let mut state = self.state.lock();
        state.ended = self.clock.steady();
        if let Some(reason) = reason {
            state.failure = Some(Arc::new(CallFailure {
                at,
                endpoint,
                outcome: outcome.word(),
                reason: reason.to_owned(),
                recovered_at: None,
            }));
        } else if let Some(failure) = &mut state.failure
            && failure.recovered_at.is_none()
        {
            Arc::make_mut(failure).recovered_at = Some(at);
        }
    }

    /// The last failure, also if later calls had an answer.
    pub(super) fn failure(&self) -> Option<Arc<CallFailure>> {
        self.state.lock().failure.clone()
    }

    /// The failure of the last call; `None` if it had a usable answer.
    pub(super) fn current(&self) -> Option<Arc<CallFailure>> {
        self.failure().filter(|failure| failure.recovered_at.is_none())
    }

    /// How long ago the last call ended, or this value was made.
    pub(super) fn idle(&self) -> Duration {
        self.clock.steady().since(self.state.lock().ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_lasts_until_the_next_usable_answer_and_is_remembered_after_it() {
        let calls = LastCalls::new(Clock::system());
        assert!(calls.failure().is_none());
        let refused = Outcome::NotSent {
            reason: "the connection was refused".to_owned(),
        };
        calls.record("list", &refused);
        let failure = calls.current().unwrap();
        assert_eq!((failure.endpoint, failure.outcome), ("list", "not_sent"));
        assert_eq!(
            failure.to_string(),
            "the last call failed: the connection was refused"
        );
        // A response that says "later" is usable.
        let limited = Outcome::RateLimited {
            until: Timestamp::from_seconds(1),
        };
        calls.record("rent", &limited);
        assert!(calls.current().is_none());
        assert!(calls.failure().unwrap().recovered_at.is_some());
        calls.record("me", &Outcome::Unauthorized);
        assert_eq!(
            calls.current().unwrap().to_string(),
            "the API key is not accepted"
        );
    }
}
