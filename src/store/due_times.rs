//! Stored times at which something is due: leases, retries, next steps.
//!
//! A replica whose clock is ahead stores times that are hours away for all others. So a time that is further away than
//! the longest wait of its kind counts as due. Use this only where doing a thing early does no harm.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// How far the clocks of replicas may differ before a time that one of them stored counts as wrong.
const CLOCKS_APART: Duration = Duration::from_mins(5);

/// The SQL condition that the time in `column` has come at `now`, or is later than `latest`.
///
/// `now` and `latest` are placeholders, such as `$1`. The value of the second one is [`latest`].
pub(in crate::store) fn due(column: &str, now: &str, latest: &str) -> String {
    format!("({column} <= {now} OR {column} > {latest})")
}

/// The latest end of a wait of at most `longest` that has begun, by the clock of any replica.
pub(in crate::store) fn latest(now: Timestamp, longest: Duration) -> Timestamp {
    now.plus(longest + CLOCKS_APART)
}
