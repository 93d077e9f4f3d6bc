//! A calendar month in UTC, the period of a spend report.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::schema::string_schema;
use crate::domain::time::Timestamp;

/// A month, written `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    start: Timestamp,
    end: Timestamp,
    /// Year and month.
    named: (u16, u8),
}

impl Month {
    /// Returns the first moment of the month.
    pub const fn start(self) -> Timestamp {
        self.start
    }
    /// Returns the month of this moment; `None` before 1970 and after 9999.
    pub fn of(at: Timestamp) -> Option<Self> {
        let date = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
        let date = jiff::tz::TimeZone::UTC.to_datetime(date).date();
        Self::new(date.year(), date.month()).ok()
    }
    fn new(year: i16, month: i8) -> Result<Self, NotAMonth> {
        let next = if month == 12 {
            (year + 1, 1)
        } else {
            (year, month + 1)
        };
        if year < 1970 {
            return Err(NotAMonth);
        }
        Ok(Self {
            start: first_moment(year, month)?,
            end: first_moment(next.0, next.1)?,
            named: (
                u16::try_from(year).map_err(|_| NotAMonth)?,
                u8::try_from(month).map_err(|_| NotAMonth)?,
            ),
        })
    }
    /// Returns the next month.
    pub fn next(self) -> Option<Self> {
        Self::of(self.end)
    }
    /// Returns the previous month.
    pub fn previous(self) -> Option<Self> {
        Self::of(self.start.minus(Duration::from_secs(1)))
    }
    /// Returns the last month of the year.
    pub fn last_of_year(self) -> Option<Self> {
        Self::new(i16::try_from(self.named.0).ok()?, 12).ok()
    }
    /// Returns the number of months since the year 0, for comparisons.
    pub fn number(self) -> i64 {
        let (year, month) = self.named;
        i64::from(year) * 12 + i64::from(month) - 1
    }
    /// Returns the first moment of the next month.
    pub const fn end(self) -> Timestamp {
        self.end
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.named.0, self.named.1)
    }
}

/// The error for a string that is not a month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a month like 2026-11")]
pub struct NotAMonth;

impl FromStr for Month {
    type Err = NotAMonth;
    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let (year, month) = text
            .split_once('-')
            .filter(|(year, month)| year.len() == 4 && month.len() == 2 && digits(year) && digits(month))
            .ok_or(NotAMonth)?;
        Self::new(
            year.parse().map_err(|_| NotAMonth)?,
            month.parse().map_err(|_| NotAMonth)?,
        )
    }
}

impl TryFrom<String> for Month {
    type Error = NotAMonth;
    fn try_from(text: String) -> Result<Self, NotAMonth> {
        text.parse()
    }
}
impl From<Month> for String {
    fn from(month: Month) -> String {
        month.to_string()
    }
}

fn first_moment(year: i16, month: i8) -> Result<Timestamp, NotAMonth> {
    let date = jiff::civil::Date::new(year, month, 1).map_err(|_| NotAMonth)?;
    let moment = date.to_datetime(jiff::civil::Time::midnight());
    let moment = jiff::tz::TimeZone::UTC
        .to_timestamp(moment)
        .map_err(|_| NotAMonth)?;
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}

string_schema! {
    Month: "A month in UTC.", pattern: "^[0-9]{4}-[0-9]{2}$", example: "2026-11"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_at_the_start_of_the_next_month() {
        for (text, start, end) in [
            (
                "2026-11",
                "2026-11-01T00:00:00.000000Z",
                "2026-12-01T00:00:00.000000Z",
            ),
            (
                "2026-12",
                "2026-12-01T00:00:00.000000Z",
                "2027-01-01T00:00:00.000000Z",
            ),
            (
                "2028-02",
                "2028-02-01T00:00:00.000000Z",
                "2028-03-01T00:00:00.000000Z",
            ),
        ] {
            let month: Month = text.parse().unwrap();
            assert_eq!(month.to_string(), text);
            assert_eq!(
                (month.start().to_string(), month.end().to_string()),
                (start.to_owned(), end.to_owned())
            );
        }
    }

    #[test]
    fn malformed_months_are_rejected() {
        for bad in [
            "",
            "2026",
            "2026-",
            "2026-1",
            "2026-00",
            "2026-13",
            "26-11",
            "2026-11-01",
            "+026-11",
            "2026-+1",
            "1969-12",
            "9999-12",
            "2026/11",
            " 2026-11",
            "٢٠٢٦-11",
        ] {
            assert_eq!(bad.parse::<Month>(), Err(NotAMonth), "{bad}");
        }
    }
}
