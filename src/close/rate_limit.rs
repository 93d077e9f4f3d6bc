//! Close's rate limits, learned from response headers: until when calls of each group of endpoints must wait.
//!
//! Headers are optional and may contain anything, so an unreadable one is ignored.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};
use serde_json::Value;

use crate::close::endpoint::{Endpoint, Group};
use crate::close::server_clock::response_time;
use crate::domain::input::json;
use crate::domain::time::Timestamp;
use crate::telemetry::metrics::CLOSE_RATE_LIMIT_REMAINING;

const GROUPS: usize = Group::Unsubscribe as usize + 1;
/// The longest wait; a longer one in a header is cut.
const LONGEST: Duration = Duration::from_hours(1);
/// The wait after a 429 that names none.
const DEFAULT: Duration = Duration::from_secs(2);
/// The shortest wait after a 429: a reset of zero must not become a busy loop.
const SHORTEST: Duration = Duration::from_millis(100);

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const OLD_RESET: HeaderName = HeaderName::from_static("x-rate-limit-reset");

/// The share of each limit that listings leave to calls that can't wait.
const RESERVE: f64 = 0.25;

/// Per group, in microseconds since 1970: until when the limit is used up, and until when the rest is reserved.
#[derive(Debug, Default)]
pub(super) struct Limits {
    used_up: [AtomicI64; GROUPS],
    scarce: [AtomicI64; GROUPS],
}

impl Limits {
    /// Until when calls of the group must wait; `None` if they need not.
    pub(super) fn held(&self, group: Group, now: Timestamp) -> Option<Timestamp> {
        until(&self.used_up[group as usize], now)
    }

    /// Until when this call must wait. A listing also waits while the rest of the limit is reserved.
    pub(super) fn held_for(&self, endpoint: Endpoint<'_>, now: Timestamp) -> Option<Timestamp> {
        let group = endpoint.group();
        let scarce = endpoint
            .can_wait()
            .then(|| until(&self.scarce[group as usize], now))
            .flatten();
        self.held(group, now).max(scarce)
    }

    /// Records a response. For a 429, returns until when to wait.
    pub(super) fn record(
        &self,
        endpoint: Endpoint<'_>,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let remaining = member(headers, "remaining");
        if let Some(remaining) = remaining {
            metrics::gauge!(CLOSE_RATE_LIMIT_REMAINING, "endpoint" => endpoint.name()).set(remaining);
        }
        let reserve = member(headers, "limit").map_or(0.0, |limit| limit * RESERVE);
        if remaining.is_some_and(|remaining| remaining < reserve)
            && let Some(reset) = reset_in_headers(headers, now)
        {
            let until = now.plus(reset.min(LONGEST));
            self.scarce[endpoint.group() as usize].fetch_max(until.as_micros(), Ordering::Relaxed);
        }
        let wait = if status == 429 {
            let wait = reset_in_headers(headers, now).or_else(|| reset_in_body(body));
            Some(wait.unwrap_or(DEFAULT).clamp(SHORTEST, LONGEST))
        } else if remaining.is_some_and(|remaining| remaining < 1.0) {
            reset_in_headers(headers, now)
        } else {
            None
        };
        let until = now.plus(wait?.min(LONGEST));
        self.used_up[endpoint.group() as usize].fetch_max(until.as_micros(), Ordering::Relaxed);
        (status == 429).then_some(until)
    }
}

/// The moment, unless it has passed.
fn until(moment: &AtomicI64, now: Timestamp) -> Option<Timestamp> {
    let until = Timestamp::from_micros(moment.load(Ordering::Relaxed));
    let left = until.since(now);
    // A longer wait than any that was recorded means that the clock was set back.
    (!left.is_zero() && left <= LONGEST).then_some(until)
}

/// The time until the reset: by `RateLimit`, which has decimals, else by `Retry-After`, else by the older header.
pub(super) fn reset_in_headers(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    member(headers, "reset")
        .and_then(length)
        .or_else(|| {
            let after = text(RETRY_AFTER)?;
            seconds(after).and_then(length).or_else(|| {
                // Close means a time by its own clock, which the same response shows.
                let close_now = response_time(headers).unwrap_or(now);
                Some(Timestamp::from_http_date(after)?.since(close_now))
            })
        })
        .or_else(|| length(seconds(text(OLD_RESET)?)?))
}

/// The time until the reset in the older body of a 429: at the top or inside `error`, as a number or as text.
fn reset_in_body(body: &[u8]) -> Option<Duration> {
    let body = json::parse(body).ok()?;
    let reset = body
        .get("rate_reset")
        .or_else(|| body.get("error")?.get("rate_reset"))?;
    match reset {
        Value::String(text) => length(seconds(text)?),
        other => length(other.as_f64()?),
    }
}

/// A member of `RateLimit: limit=100, remaining=50, reset=5.25`.
pub(super) fn member(headers: &HeaderMap, name: &str) -> Option<f64> {
    headers
        .get_all(RATE_LIMIT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split([',', ';']))
        .filter_map(|part| part.split_once('='))
        .find(|(found, _)| found.trim().eq_ignore_ascii_case(name))
        .and_then(|(_, value)| seconds(value))
}

fn seconds(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

fn length(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    /// How long a 429 with these headers and this body holds renting, in milliseconds.
    fn wait(pairs: &[(&'static str, &str)], body: &str) -> u128 {
        let limits = Limits::default();
        let until = limits.record(Endpoint::Rent, 429, &headers(pairs), body.as_bytes(), NOW);
        assert_eq!(limits.held(Group::Rent, NOW), until);
        until.unwrap().since(NOW).as_millis()
    }

    #[test]
    fn a_429_gives_its_reset_in_several_ways_and_the_most_exact_one_counts() {
        let new = ("ratelimit", "limit=100, remaining=0, reset=5.25");
        let after = ("retry-after", "7");
        let old = ("x-rate-limit-reset", "9.5");
        let body = r#"{"message":"API call count exceeded","rate_limit":320,"rate_reset":"0.59"}"#;
        assert_eq!(wait(&[old, after, new], body), 5_250);
        assert_eq!(wait(&[old, after], body), 7_000);
        assert_eq!(wait(&[old], body), 9_500);
        assert_eq!(wait(&[], body), 590);
        assert_eq!(wait(&[], r#"{"error":{"rate_reset":3}}"#), 3_000);
        assert_eq!(wait(&[], ""), 2_000);
        assert_eq!(wait(&[], "<html>"), 2_000);
    }

    #[test]
    fn retry_after_may_be_a_date() {
        assert_eq!(
            Timestamp::from_http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some("1994-11-06T08:49:37Z".parse().unwrap())
        );
        assert_eq!(
            wait(&[("retry-after", "Mon, 21 Sep 2026 14:13:30 GMT")], ""),
            10_000
        );
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], ""), 100);
        // By Close's clock, which is an hour ahead of ours here.
        let date = ("date", "Mon, 21 Sep 2026 15:13:20 GMT");
        let after = ("retry-after", "Mon, 21 Sep 2026 15:13:25 GMT");
        assert_eq!(wait(&[date, after], ""), 5_000);
        for bad in [
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "x",
        ] {
            assert_eq!(Timestamp::from_http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn invalid_headers_are_ignored_and_no_wait_is_longer_than_an_hour() {
        for value in [
            "",
            ",,,",
            "reset",
            "reset=",
            "reset=-1",
            "reset=NaN",
            "reset=inf",
            "reset=\u{e4}",
            r#""default";r=50;t=30"#,
        ] {
            assert_eq!(
                wait(&[("ratelimit", value), ("retry-after", "soon")], "{"),
                2_000,
                "{value}"
            );
        }
        for value in ["reset=1e300", "limit=1; RESET = 999999999999999999999999"] {
            assert_eq!(wait(&[("ratelimit", value)], ""), 3_600_000, "{value}");
        }
        assert_eq!(wait(&[("ratelimit", "reset=0")], ""), 100);
        assert_eq!(wait(&[], r#"{"rate_reset":-4}"#), 2_000);
        assert_eq!(wait(&[], r#"{"rate_reset":[1]}"#), 2_000);
    }

    #[test]
    fn a_used_up_group_waits_for_its_reset_and_the_others_do_not() {
        let limits = Limits::default();
        let response = |text| headers(&[("ratelimit", text)]);
        let record = |text| limits.record(Endpoint::Me, 200, &response(text), b"", NOW);
        assert_eq!(record("limit=10, remaining=3, reset=8"), None);
        assert_eq!(limits.held(Group::Me, NOW), None);
        assert_eq!(record("limit=10, remaining=0, reset=8"), None);
        let until = NOW.plus(Duration::from_secs(8));
        assert_eq!(limits.held(Group::Me, NOW), Some(until));
        assert_eq!(limits.held(Group::Rent, NOW), None);
        // A late response with an earlier reset does not shorten the wait.
        record("limit=10, remaining=0, reset=1");
        assert_eq!(limits.held(Group::Me, NOW), Some(until));
        assert_eq!(limits.held(Group::Me, until), None);
    }

    #[test]
    fn a_listing_leaves_the_last_quarter_to_others() {
        let limits = Limits::default();
        let response = |text| headers(&[("ratelimit", text)]);
        let number = "phon_A1".parse().unwrap();
        let (list, read) = (Endpoint::List { skip: 0 }, Endpoint::Read(&number));
        limits.record(list, 200, &response("limit=40, remaining=10, reset=8"), b"", NOW);
        assert_eq!(limits.held_for(list, NOW), None);
        limits.record(list, 200, &response("limit=40, remaining=9, reset=8"), b"", NOW);
        let until = NOW.plus(Duration::from_secs(8));
        assert_eq!(limits.held_for(list, NOW), Some(until));
        assert_eq!(limits.held_for(read, NOW), None);
        assert_eq!(limits.held_for(list, until), None);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_calls_for_a_day() {
        let limits = Limits::default();
        limits.record(Endpoint::Me, 429, &HeaderMap::new(), b"", NOW);
        let yesterday = NOW.minus(Duration::from_hours(24));
        assert_eq!(limits.held(Group::Me, yesterday), None);
    }
}
