//! The rate limiter of teams: the generic cell rate algorithm (GCRA), with one key for each team.
//!
//! The limiter stores one time for each key: when the quota of the key is full again. A request moves that time forward
//! by the interval of one request. The limiter refuses the request if the time would then be further ahead than the
//! time in which an empty quota becomes full. Responses contain the quota in the headers of
//! draft-ietf-httpapi-ratelimit-headers-10.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::domain::caller::Caller;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

const MINUTE: i64 = 60_000_000;
/// Maximum number of stored keys.
///
/// At the maximum, the limiter removes keys with a full quota. If there are none, new keys share one quota.
const MAX_KEYS: usize = 10_000;
/// The key of the quota that new callers share above [`MAX_KEYS`]. No caller has this key itself.
const SHARED_KEY: &str = "";
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The quotas of all teams. Times are in microseconds.
pub(in crate::http) struct RateLimiter {
    /// The time in which a quota regains one request. 0 disables the limit.
    interval: i64,
    /// The time in which an empty quota becomes full.
    window: i64,
    /// When each key's quota is full again, in microseconds since 1970.
    full_at: Mutex<HashMap<String, i64>>,
}

/// A team's quota after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Quota {
    /// The number of requests in a full quota.
    burst: i64,
    /// Seconds in which an empty quota becomes full.
    window: i64,
    /// The number of requests left.
    remaining: i64,
    /// Seconds until the quota is full.
    full_in: i64,
    /// Seconds until the next request is allowed, if this one was refused.
    pub(in crate::http) retry_after: Option<u64>,
}

impl RateLimiter {
    /// Creates a limiter that allows `per_minute` requests per minute, and `burst` requests at once.
    ///
    /// A `per_minute` of 0 disables the limit.
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

    /// Takes one request from the caller's quota. Returns `None` if the limit is disabled.
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
        // If the clock was set back, the stored time is too far ahead. Without the clamp, the team would be locked out.
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

/// Returns the key of the caller's quota: its team.
///
/// Tokens with the same set of several teams share a quota of their own, so that they use up no single team's quota. A
/// token without a team has the quota of its subject.
fn key(caller: &Caller) -> String {
    let mut teams: Vec<&str> = caller.rights().teams().map(Team::as_str).collect();
    teams.sort_unstable();
    if teams.is_empty() {
        // The name of a team contains no space.
        return format!("{} {}", caller.issuer(), caller.subject());
    }
    teams.join(",")
}

/// Converts microseconds to seconds, rounded up, so that a client does not come back too early.
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
    fn the_number_of_stored_keys_is_bounded() {
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
