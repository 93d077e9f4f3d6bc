//! Close's clock, learned from the `Date` header of its answers.
//!
//! The offset is measured against the time that has passed in this process, which nobody sets. So Close's time stays
//! known while the clock of this machine is wrong, and after somebody corrects it.

use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{DATE, HeaderMap};

use crate::domain::time::{Clock, Timestamp};

/// The resolution of the header `Date`.
const RESOLUTION: i64 = 1_000_000;

/// Close's clock as this process knows it.
pub(super) struct ServerClock {
    clock: Clock,
    offset: Mutex<Option<Offset>>,
}

/// Close's time less the time that has passed in this process, in microseconds: between these two.
#[derive(Debug, Clone, Copy)]
struct Offset {
    low: i64,
    high: i64,
}

/// Close's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseTime {
    /// It is at least this late.
    pub at: Timestamp,
    /// How much later it may be.
    pub uncertainty: Duration,
}

impl ServerClock {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            offset: Mutex::default(),
        }
    }

    /// Records an answer to a request that began when `sent` had passed. Its header was written after that.
    ///
    /// Several answers narrow the offset. One that contradicts the others replaces them: somebody set Close's clock.
    pub(super) fn record(&self, sent: Duration, headers: &HeaderMap) {
        let Some(date) = response_time(headers) else {
            return;
        };
        let measured = Offset {
            low: date.as_micros().saturating_sub(micros(self.clock.elapsed())),
            high: date
                .as_micros()
                .saturating_add(RESOLUTION)
                .saturating_sub(micros(sent)),
        };
        let mut offset = self.offset.lock();
        let both = offset.map(|known| Offset {
            low: known.low.max(measured.low),
            high: known.high.min(measured.high),
        });
        *offset = Some(both.filter(|both| both.low <= both.high).unwrap_or(measured));
    }

    /// Close's time now; `None` before its first answer with a date.
    pub(super) fn now(&self) -> Option<CloseTime> {
        let Offset { low, high } = (*self.offset.lock())?;
        Some(CloseTime {
            at: Timestamp::from_micros(low.saturating_add(micros(self.clock.elapsed()))),
            uncertainty: Duration::from_micros(high.abs_diff(low)),
        })
    }
}

/// When the response was written, by the clock of its sender.
pub(super) fn response_time(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_http_date(headers.get(DATE)?.to_str().ok()?)
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_790_000_000);

    fn date(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, text.parse().unwrap())])
    }

    #[test]
    fn close_s_time_is_known_while_the_clock_of_this_machine_is_wrong() {
        let clock = Clock::manual(START);
        let close = ServerClock::new(clock.clone());
        assert_eq!(close.now(), None);
        close.record(clock.elapsed(), &HeaderMap::new());
        assert_eq!(close.now(), None);
        // Thirteen seconds behind this machine.
        close.record(clock.elapsed(), &date("Mon, 21 Sep 2026 14:13:07 GMT"));
        let measured = close.now().unwrap();
        assert_eq!(measured.at, START.minus(Duration::from_secs(13)));
        assert_eq!(measured.uncertainty, Duration::from_secs(1));
        clock.set_wrong_by(7_200);
        clock.advance(Duration::from_mins(1));
        assert_eq!(close.now().unwrap().at, START.plus(Duration::from_secs(47)));
    }

    #[test]
    fn answers_narrow_the_offset_and_a_contradiction_replaces_it() {
        let clock = Clock::manual(START);
        let close = ServerClock::new(clock.clone());
        close.record(clock.elapsed(), &date("Mon, 21 Sep 2026 14:13:20 GMT"));
        // The second changes within these 300 ms.
        clock.advance(Duration::from_millis(700));
        let sent = clock.elapsed();
        clock.advance(Duration::from_millis(300));
        close.record(sent, &date("Mon, 21 Sep 2026 14:13:20 GMT"));
        let narrow = close.now().unwrap();
        assert_eq!(narrow.uncertainty, Duration::from_millis(300));
        assert_eq!(narrow.at, START.plus(Duration::from_secs(1)));
        close.record(clock.elapsed(), &date("Mon, 21 Sep 2026 15:13:20 GMT"));
        assert_eq!(close.now().unwrap().at, START.plus(Duration::from_hours(1)));
    }
}
