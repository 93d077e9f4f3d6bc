//! Points in time, clocks and lengths of time.
//!
//! Only this module names the time library or reads the system clock.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::domain::schema::string_schema;

/// A point in time in UTC, exact to the microsecond.
///
/// Written as RFC 3339 with a `Z` and always six fraction digits, so that texts of one length sort by time. Version 0.1
/// wrote only the digits that are needed; reading accepts any number of digits.
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
    /// Returns the time for a sentence: rounded up to whole seconds, such as `2026-11-23T10:00:00Z`.
    pub fn in_words(self) -> String {
        let seconds = self.0.saturating_add(999_999).div_euclid(1_000_000);
        jiff::Timestamp::from_second(seconds).map_or_else(|_| self.to_string(), |time| time.to_string())
    }
    /// Returns RFC 3339 with as few digits as possible, the form of requests to Close.
    pub fn to_shortest(self) -> String {
        jiff::Timestamp::from_microsecond(self.0).map_or_else(|_| self.to_string(), |time| time.to_string())
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
            Ok(time) => write!(f, "{time:.6}"),
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

/// When this process first needed [`Clock::elapsed`] or [`Clock::steady`]: by a clock that nobody sets, and the time.
static START: LazyLock<(Instant, Timestamp)> = LazyLock::new(|| (Instant::now(), Clock::system().now()));

/// A clock: the system's, or one that a test moves.
///
/// It shows the time of day, which somebody may set at any moment, and the time that has passed, which only grows.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Manual>);

/// A clock that a test moves.
#[derive(Debug, Clone)]
struct Manual {
    start: Timestamp,
    /// Microseconds since the start.
    elapsed: Arc<AtomicI64>,
    /// Microseconds by which the time of day is wrong.
    error: Arc<AtomicI64>,
}

impl Clock {
    /// Returns the system's clock.
    pub const fn system() -> Self {
        Self(None)
    }
    /// Creates a clock that shows `start` until [`Clock::advance`] moves it. Clones move together.
    pub fn manual(start: Timestamp) -> Self {
        Self(Some(Manual {
            start,
            elapsed: Arc::default(),
            error: Arc::default(),
        }))
    }
    /// Returns the current time of day.
    pub fn now(&self) -> Timestamp {
        if let Some(manual) = &self.0 {
            let passed = manual.elapsed.load(Ordering::SeqCst);
            Timestamp(manual.start.0 + passed + manual.error.load(Ordering::SeqCst))
        } else {
            #[expect(clippy::disallowed_methods, reason = "this is where the system clock is read")]
            let now = jiff::Timestamp::now();
            Timestamp(now.as_microsecond())
        }
    }
    /// Returns the time that has passed since some moment before. Setting the clock does not change it.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Some(manual) => {
                Duration::from_micros(u64::try_from(manual.elapsed.load(Ordering::SeqCst)).unwrap_or(0))
            }
            None => START.0.elapsed(),
        }
    }
    /// Returns a time that only grows, for waits inside this process: the time of its start, and what has passed since.
    ///
    /// Never store it, and never compare it with [`Clock::now`].
    pub fn steady(&self) -> Timestamp {
        let start = self.0.as_ref().map_or_else(|| START.1, |manual| manual.start);
        start.plus(self.elapsed())
    }
    /// Moves a manual clock forward; it has no effect on the system's clock.
    pub fn advance(&self, length: Duration) {
        if let Some(manual) = &self.0 {
            manual.elapsed.fetch_add(micros(length), Ordering::SeqCst);
        }
    }
    /// Sets a manual clock to a time of day that is wrong by `seconds`; negative: it is behind. No time passes.
    pub fn set_wrong_by(&self, seconds: i64) {
        if let Some(manual) = &self.0 {
            manual
                .error
                .store(seconds.saturating_mul(1_000_000), Ordering::SeqCst);
        }
    }
    /// Returns the clock of another machine: as much time passes there, and it is right until it is set.
    #[must_use]
    pub fn of_another_machine(&self) -> Self {
        Self(self.0.as_ref().map(|manual| Manual {
            error: Arc::default(),
            ..manual.clone()
        }))
    }
}

/// A length of time in a settings file: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// The pattern of the text, for schemas.
    pub(crate) const PATTERN: &'static str = "^[0-9]+(ms|s|m|h|d)$";
}

impl fmt::Display for Span {
    /// Writes the length in the largest unit that divides it; in days only from four days on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        match ms {
            0 => f.write_str("0s"),
            345_600_000.. if ms.is_multiple_of(86_400_000) => write!(f, "{}d", ms / 86_400_000),
            _ if ms.is_multiple_of(3_600_000) => write!(f, "{}h", ms / 3_600_000),
            _ if ms.is_multiple_of(60_000) => write!(f, "{}m", ms / 60_000),
            _ if ms.is_multiple_of(1_000) => write!(f, "{}s", ms / 1_000),
            _ => write!(f, "{ms}ms"),
        }
    }
}

/// The error for a string that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a length of time like \"30s\", \"5m\", \"24h\" or \"7d\"")]
pub struct NotASpan;

impl FromStr for Span {
    type Err = NotASpan;
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        // `parse` alone would accept a plus sign, which the pattern does not allow.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotASpan);
        }
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

string_schema! {
    Timestamp: "A time in RFC 3339, in UTC. Responses have six fraction digits and end with `Z`.", format: "date-time",
    example: "2026-11-23T10:00:00.000000Z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_timestamp_formats_of_close_mean_the_same_moment() {
        let with_offset: Timestamp = "2016-07-18T22:54:24.787000+00:00".parse().unwrap();
        let naive: Timestamp = "2016-07-18T22:54:24.787000".parse().unwrap();
        assert_eq!(with_offset, naive);
        assert_eq!(naive.to_string(), "2016-07-18T22:54:24.787000Z");
        assert_eq!(
            "2016-07-19T00:54:24.787+02:00".parse::<Timestamp>().unwrap(),
            naive
        );
    }

    #[test]
    fn a_length_of_time_is_written_in_the_largest_unit_that_divides_it() {
        for text in ["0s", "25s", "90s", "5m", "72h", "30d", "1500ms"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("300s".parse::<Span>().unwrap().to_string(), "5m");
    }

    #[test]
    fn a_time_is_written_with_six_digits_and_read_with_any_number_of_digits() {
        for (written, expected) in [
            ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000000Z"),
            ("2026-11-23T10:00:00.5Z", "2026-11-23T10:00:00.500000Z"),
            ("2026-11-23T10:00:00.000001Z", "2026-11-23T10:00:00.000001Z"),
            ("2026-11-23T11:59:59.25+02:00", "2026-11-23T09:59:59.250000Z"),
            ("1969-12-31T23:59:59.9Z", "1969-12-31T23:59:59.900000Z"),
        ] {
            let time: Timestamp = written.parse().unwrap();
            assert_eq!(time.to_string(), expected);
            assert_eq!(expected.parse(), Ok(time));
        }
        let time: Timestamp = "2026-11-23T10:00:00.000001Z".parse().unwrap();
        assert_eq!(time.in_words(), "2026-11-23T10:00:01Z");
        assert_eq!(time.to_shortest(), "2026-11-23T10:00:00.000001Z");
        assert_eq!(Timestamp::from_seconds(0).to_shortest(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_seconds(0).in_words(), "1970-01-01T00:00:00Z");
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
            "+5s",
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
