//! Points in time, clocks and lengths of time.
//!
//! Only this module names the time library or reads the system clock.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A point in time in UTC, exact to the microsecond. Written as RFC 3339 with a `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a point in time from microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// Creates a point in time from seconds since 1970, the unit of token claims.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }
    /// Reads an HTTP date (RFC 9110, section 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let time = httpdate::parse_http_date(text).ok()?;
        let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self(micros(since_1970)))
    }
    /// Returns the microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// Returns the whole seconds since 1970, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// Returns the point in time that is `length` later.
    #[must_use]
    pub fn plus(self, length: Duration) -> Self {
        Self(self.0.saturating_add(micros(length)))
    }
    /// Returns the point in time that is `length` earlier.
    #[must_use]
    pub fn minus(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(micros(length)))
    }
    /// Returns the time that passed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// The error for a string that is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a time like 2026-11-23T10:00:00Z")]
pub struct NotATime;

impl FromStr for Timestamp {
    type Err = NotATime;

    /// Parses RFC 3339. A time without an offset is UTC, as in Close's API.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(time.as_microsecond()));
        }
        let naive = text.parse::<jiff::civil::DateTime>().map_err(|_| NotATime)?;
        let time = jiff::tz::TimeZone::UTC
            .to_timestamp(naive)
            .map_err(|_| NotATime)?;
        Ok(Self(time.as_microsecond()))
    }
}
impl TryFrom<String> for Timestamp {
    type Error = NotATime;
    fn try_from(text: String) -> Result<Self, NotATime> {
        text.parse()
    }
}
impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}

/// A clock: the system's, or one that a test moves.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// Returns the system's clock.
    pub const fn system() -> Self {
        Self(None)
    }
    /// Creates a clock that shows `start` until [`Clock::advance`] moves it. Clones move together.
    pub fn manual(start: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(start.as_micros()))))
    }
    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        if let Some(manual) = &self.0 {
            Timestamp(manual.load(Ordering::SeqCst))
        } else {
            #[expect(clippy::disallowed_methods, reason = "this is where the system clock is read")]
            let now = jiff::Timestamp::now();
            Timestamp(now.as_microsecond())
        }
    }
    /// Moves a manual clock forward; it has no effect on the system's clock.
    pub fn advance(&self, length: Duration) {
        if let Some(manual) = &self.0 {
            manual.fetch_add(micros(length), Ordering::SeqCst);
        }
    }
}

/// A length of time in a settings file: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// The error for a string that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a length of time like \"30s\", \"5m\", \"24h\" or \"7d\"")]
pub struct NotASpan;

impl FromStr for Span {
    type Err = NotASpan;
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let number: u64 = digits.parse().map_err(|_| NotASpan)?;
        let unit_ms = match &text[digits.len()..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(NotASpan),
        };
        // The limit of a century keeps every sum of times in range.
        number
            .checked_mul(unit_ms)
            .filter(|ms| *ms <= 100 * 366 * 86_400_000)
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or(NotASpan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_timestamp_formats_of_close_mean_the_same_moment() {
        let with_offset: Timestamp = "2016-07-18T22:54:24.787000+00:00".parse().unwrap();
        let naive: Timestamp = "2016-07-18T22:54:24.787000".parse().unwrap();
        assert_eq!(with_offset, naive);
        assert_eq!(naive.to_string(), "2016-07-18T22:54:24.787Z");
        assert_eq!(
            "2016-07-19T00:54:24.787+02:00".parse::<Timestamp>().unwrap(),
            naive
        );
    }

    #[test]
    fn lengths_of_time_are_parsed_and_malformed_ones_are_rejected() {
        assert_eq!("25s".parse::<Span>().unwrap().0, Duration::from_secs(25));
        assert_eq!("72h".parse::<Span>().unwrap().0, Duration::from_hours(72));
        for bad in [
            "",
            "5",
            "s",
            "-5s",
            "1.5h",
            "5 s",
            "99999999999999999999d",
            "400000d",
            "5y",
            "5S",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
