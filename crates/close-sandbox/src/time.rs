//! The formats in which Close writes times, and elapsed time.

use std::time::Duration;

use jiff::Timestamp;

/// `2026-11-23T10:00:00.123456+00:00`, the format of objects that are read.
pub(crate) fn with_offset(at: Timestamp) -> String {
    format!("{}+00:00", naive(at))
}

/// `2026-11-23T10:00:00.123456` in UTC, the format of fresh numbers, subscriptions and events.
pub(crate) fn naive(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// Reads both formats, and a time that ends in `Z`.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    // A plus sign that the client did not encode arrives as a space.
    let text = text.replace(' ', "+");
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// Whether at least `delay` has elapsed between `since` and `now`. No delay has always elapsed.
pub(crate) fn has_elapsed(since: Timestamp, delay: Duration, now: Timestamp) -> bool {
    delay.is_zero() || now.duration_since(since).unsigned_abs() >= delay && now >= since
}
