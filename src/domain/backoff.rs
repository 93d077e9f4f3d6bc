//! Exponential backoff: the pause between two attempts doubles with each failure, up to a maximum.

use std::time::Duration;

/// A pause that doubles after each failure, up to a maximum.
///
/// It neither sleeps nor adds jitter: the caller does both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Creates a backoff that pauses for `first` after the first failure, and never longer than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// Counts a failure, and returns the pause before the next attempt.
    pub fn next_pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.pause_after(self.failures)
    }

    /// Returns the pause after this many failures in a row. Zero counts as one.
    pub fn pause_after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let pause = self.first.saturating_mul(2_u32.saturating_pow(doublings));
        pause.min(self.longest)
    }

    /// Resets the count of failures after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_restart_after_a_success() {
        let seconds = |seconds| Duration::from_secs(seconds);
        let mut backoff = Backoff::new(seconds(1), seconds(15));
        let pauses: Vec<_> = (0..6).map(|_| backoff.next_pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        backoff.reset();
        assert_eq!(backoff.next_pause(), seconds(1));
    }

    #[test]
    fn no_count_of_failures_overflows() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::MAX);
        assert_eq!(backoff.pause_after(0), Duration::from_secs(1));
        assert_eq!(
            backoff.pause_after(u32::MAX),
            Duration::from_secs(u64::from(u32::MAX))
        );
        let limited = Backoff::new(Duration::MAX, Duration::from_secs(5));
        assert_eq!(limited.pause_after(u32::MAX), Duration::from_secs(5));
    }
}
