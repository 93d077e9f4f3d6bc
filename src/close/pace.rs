//! Paces paid calls, so that they stay within Close's rate limit instead of running into it.
//!
//! A response says how many calls are left until the reset. Calls in progress are counted against that, and after the
//! reset against the whole limit. Before the first response of a process the limit is unknown: one call goes ahead, and
//! the others wait a moment for its response.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::close::rate_limit::{member, reset_in_headers};
use crate::domain::time::Timestamp;

/// How long calls wait for the response of the first one. A call that hangs must not hold the others for longer.
const FIRST_RESPONSE: Duration = Duration::from_millis(500);
/// The longest window of a limit that is believed.
const LONGEST: Duration = Duration::from_hours(1);

/// Counts the paid calls of this process. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Pace(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    first_response: Notify,
}

#[derive(Default)]
struct State {
    in_progress: u32,
    /// Whether Close has responded to a paid call.
    answered: bool,
    window: Option<Window>,
}

/// The limit as the last response showed it.
#[derive(Clone, Copy)]
struct Window {
    limit: u32,
    left: u32,
    resets_at: Timestamp,
}

/// Permission to make one paid call. It counts until it is dropped.
pub struct RentPermit(Pace);

impl Drop for RentPermit {
    fn drop(&mut self) {
        let mut state = self.0.0.state.lock();
        state.in_progress = state.in_progress.saturating_sub(1);
    }
}

impl Pace {
    /// Permits one call; `None` while the calls in progress may use up the limit.
    pub(super) async fn admit(&self, now: Timestamp) -> Option<RentPermit> {
        let deadline = Instant::now() + FIRST_RESPONSE;
        loop {
            let responded = self.0.first_response.notified();
            let is_late = Instant::now() >= deadline;
            {
                let mut state = self.0.state.lock();
                if state.answered || state.in_progress == 0 || is_late {
                    if state.in_progress >= state.allowed(now) {
                        return None;
                    }
                    state.in_progress += 1;
                    return Some(RentPermit(self.clone()));
                }
            }
            // Whether it came or not is read from the state.
            let _ = timeout_at(deadline, responded).await;
        }
    }

    /// Records the response to a paid call.
    pub(super) fn record(&self, headers: &HeaderMap, now: Timestamp) {
        let mut state = self.0.state.lock();
        state.answered = true;
        let read = |name| member(headers, name).map(count);
        if let (Some(limit), Some(left)) = (read("limit"), read("remaining"))
            && let Some(reset) = reset_in_headers(headers, now)
        {
            // Responses of one window can arrive in another order than Close wrote them.
            let known = state.window.filter(|window| window.is_open(now));
            state.window = Some(Window {
                limit,
                left: known.map_or(left, |window| window.left.min(left)),
                resets_at: now.plus(reset.min(LONGEST)),
            });
        }
        drop(state);
        self.0.first_response.notify_waiters();
    }
}

impl State {
    fn allowed(&self, now: Timestamp) -> u32 {
        match self.window {
            Some(window) if window.is_open(now) => window.left,
            Some(window) => window.limit.max(1),
            None => u32::MAX,
        }
    }
}

impl Window {
    /// Whether the reset lies ahead. One that lies further ahead than any was recorded by another clock.
    fn is_open(self, now: Timestamp) -> bool {
        let left = self.resets_at.since(now);
        !left.is_zero() && left <= LONGEST
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a header's number is never negative, and a larger one than fits means no limit"
)]
fn count(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

    fn response(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([("ratelimit".parse().unwrap(), text.parse().unwrap())])
    }

    #[tokio::test]
    async fn before_the_first_response_one_call_goes_ahead() {
        let pace = Pace::default();
        let _first = pace.admit(NOW).await.unwrap();
        let mut second = Box::pin(pace.admit(NOW));
        assert!(futures::poll!(second.as_mut()).is_pending());
        pace.record(&HeaderMap::new(), NOW);
        assert!(second.await.is_some());
        // A first call that hangs holds the others for a moment only.
        let hanging = Pace::default();
        let _first = hanging.admit(NOW).await.unwrap();
        assert!(hanging.admit(NOW).await.is_some());
    }

    #[tokio::test]
    async fn calls_in_progress_count_against_what_is_left_until_the_reset() {
        let pace = Pace::default();
        pace.record(&response("limit=3, remaining=2, reset=5"), NOW);
        let (one, two) = (pace.admit(NOW).await, pace.admit(NOW).await);
        assert!(one.is_some() && two.is_some() && pace.admit(NOW).await.is_none());
        drop(one);
        pace.record(&response("limit=3, remaining=0, reset=4"), NOW);
        // A late response to an earlier call does not raise the rest.
        pace.record(&response("limit=3, remaining=1, reset=4"), NOW);
        drop(two);
        assert!(pace.admit(NOW).await.is_none());
        let after = NOW.plus(Duration::from_secs(5));
        let mut permits = Vec::new();
        while let Some(permit) = pace.admit(after).await {
            permits.push(permit);
        }
        assert_eq!(permits.len(), 3);
    }
}
