//! The rate limiter of teams: the generic cell rate algorithm (GCRA), with one cell for each team.
//!
//! For each key it stores one time: when the key's quota is full again. A request moves that time forward by the
//! interval of one request, and is refused if the time would then lie further ahead than a full burst takes to refill.
//! Clients learn their quota from the headers of draft-ietf-httpapi-ratelimit-headers-10.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::domain::caller::{Caller, Team};
use crate::domain::time::Timestamp;

const MINUTE: i64 = 60_000_000;
/// Most keys that are remembered.
///
/// Above it, keys whose quota is full are forgotten; if none is, new keys share one quota.
const MAX_KEYS: usize = 10_000;
/// The key whose quota is shared by callers for whom [`MAX_KEYS`] leaves no room. No caller has it.
const SHARED_KEY: &str = "";
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The quotas of all teams. Times are in microseconds.
pub(in crate::http) struct RateLimiter {
    /// The time in which a quota regains one request; 0 disables the limit.
    interval: i64,
    /// The time in which an empty quota becomes full.
    window: i64,
    /// When each key's quota is full again, in microseconds since 1970.
    full_at: Mutex<HashMap<String, i64>>,
}

/// A team's quota after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Quota {
    /// Requests of a full quota.
    burst: i64,
    /// Seconds in which an empty quota becomes full.
    window: i64,
    /// Requests left.
    remaining: i64,
    /// Seconds until the quota is full.
    full_in: i64,
    /// Seconds until the next request is allowed, if this one was refused.
    pub(in crate::http) retry_after: Option<u64>,
}

impl RateLimiter {
    /// Allows `per_minute` requests a minute, `burst` of them at once. A `per_minute` of 0 disables the limit.
    pub(in crate::http) fn new(per_minute: u32, burst: u32) -> Self {
        let interval = if per_minute == 0 {
            0
        } else {
            MINUTE / i64::from(per_minute)
        };
        Self {
            interval,
            window: interval * i64::from(burst),
            full_at: Mutex::default(),
        }
    }

    /// Spends one request of the caller's quota. `None` if the limit is disabled.
    pub(in crate::http) fn check(&self, caller: &Caller, now: Timestamp) -> Option<Quota> {
        (self.interval > 0).then(|| self.check_key(&key(caller), now.as_micros()))
    }

    fn check_key(&self, key: &str, now: i64) -> Quota {
        let mut keys = self.full_at.lock();
        if keys.len() >= MAX_KEYS && !keys.contains_key(key) {
            keys.retain(|_, full_at| *full_at > now);
        }
        let key = if keys.len() < MAX_KEYS || keys.contains_key(key) {
            key
        } else {
            SHARED_KEY
        };
        // A time beyond a full window means that the clock was set back: without the clamp the team would be locked out.
        let full_at = keys
            .get(key)
            .map_or(now, |at| (*at).clamp(now, now + self.window));
        let after = full_at + self.interval;
        let excess = after - now - self.window;
        let full_at = if excess > 0 { full_at } else { after };
        keys.insert(key.to_owned(), full_at);
        Quota {
            burst: self.window / self.interval,
            window: seconds(self.window),
            remaining: (self.window - (full_at - now)) / self.interval,
            full_in: seconds(full_at - now),
            retry_after: (excess > 0).then(|| seconds(excess).unsigned_abs()),
        }
    }
}

impl Quota {
    /// Writes the headers `RateLimit` and `RateLimit-Policy`.
    pub(in crate::http) fn write_headers(self, headers: &mut HeaderMap) {
        let Self {
            burst,
            window,
            remaining,
            full_in,
            ..
        } = self;
        for (name, text) in [
            (POLICY, format!("\"team\";q={burst};w={window}")),
            (RATE_LIMIT, format!("\"team\";r={remaining};t={full_in}")),
        ] {
            headers.insert(
                name,
                HeaderValue::try_from(text).expect("names and digits are plain ASCII"),
            );
        }
    }
}

/// The key of the quota that a caller spends: its team.
///
/// A token of several teams has a quota of its own for that set of teams, so that it spends nothing of theirs; a token
/// without a team has one for its subject.
fn key(caller: &Caller) -> String {
    let mut teams: Vec<&str> = caller.teams.iter().map(Team::as_str).collect();
    teams.sort_unstable();
    if teams.is_empty() {
        // The name of a team contains no space.
        return format!("{} {}", caller.issuer, caller.subject);
    }
    teams.join(",")
}

/// Rounds up: a client that waits so long must not come too early.
const fn seconds(micros: i64) -> i64 {
    (micros + 999_999) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000_000_000;
    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_burst_is_allowed_at_once_and_refills_with_time() {
        let limiter = RateLimiter::new(60, 3);
        let quotas: Vec<_> = (0..4).map(|_| limiter.check_key("sales", NOW)).collect();
        let seen: Vec<_> = quotas
            .iter()
            .map(|quota| (quota.remaining, quota.full_in, quota.retry_after))
            .collect();
        assert_eq!(seen, [(2, 1, None), (1, 2, None), (0, 3, None), (0, 3, Some(1))]);
        assert_eq!(limiter.check_key("support", NOW).remaining, 2);
        assert_eq!(limiter.check_key("sales", NOW + SECOND - 1).retry_after, Some(1));
        assert_eq!(limiter.check_key("sales", NOW + SECOND).retry_after, None);
        assert_eq!(limiter.check_key("sales", NOW + 60 * SECOND).remaining, 2);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_no_team_out() {
        let limiter = RateLimiter::new(60, 3);
        limiter.check_key("sales", NOW);
        let yesterday = NOW - 86_400 * SECOND;
        assert_eq!(limiter.check_key("sales", yesterday).retry_after, Some(1));
        assert_eq!(limiter.check_key("sales", yesterday + SECOND).retry_after, None);
    }

    #[test]
    fn the_number_of_remembered_keys_is_bounded() {
        let limiter = RateLimiter::new(60, 2);
        for nth in 0..MAX_KEYS + 5 {
            limiter.check_key(&nth.to_string(), NOW);
        }
        assert!(limiter.full_at.lock().len() <= MAX_KEYS + 1);
        limiter.check_key("late", NOW + 60 * SECOND);
        assert_eq!(limiter.full_at.lock().len(), 1);
    }

    #[test]
    fn a_client_gets_its_quota_in_structured_fields() {
        let mut headers = HeaderMap::new();
        RateLimiter::new(600, 300)
            .check_key("sales", NOW)
            .write_headers(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"team\";q=300;w=30");
        assert_eq!(headers["ratelimit"], "\"team\";r=299;t=1");
    }
}
