//! Which requests have a line in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;

/// A request that takes this long has a line in any case.
const SLOW: Duration = Duration::from_secs(1);
/// Of so many quick reads that succeed, one is logged as a sample.
const SAMPLED_OF: u64 = 100;

/// The requests that have a line in the log.
///
/// Errors, slow requests and requests that may change something always have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoggedRequests {
    /// All requests.
    #[default]
    All,
    /// No other requests.
    Errors,
    /// Also the reads whose trace is recorded, and one of a hundred others.
    Sampled,
}

/// Decides about each request. Clones share the count of the sample.
#[derive(Clone, Default)]
pub(in crate::http) struct RequestLog {
    which: LoggedRequests,
    reads: Arc<AtomicU64>,
}

/// What is known about a request when it ends.
pub(in crate::http) struct Ended {
    pub(in crate::http) method: &'static str,
    pub(in crate::http) status: StatusCode,
    pub(in crate::http) took: Duration,
    /// Whether its trace is recorded.
    pub(in crate::http) traced: bool,
}

impl RequestLog {
    pub(in crate::http) fn new(which: LoggedRequests) -> Self {
        Self {
            which,
            reads: Arc::default(),
        }
    }

    /// Whether the request has a line.
    pub(in crate::http) fn has(&self, ended: &Ended) -> bool {
        let is_read = matches!(ended.method, "GET" | "HEAD" | "OPTIONS");
        let has_failed = ended.status.is_client_error() || ended.status.is_server_error();
        if !is_read || has_failed || ended.took >= SLOW {
            return true;
        }
        match self.which {
            LoggedRequests::All => true,
            LoggedRequests::Errors => false,
            LoggedRequests::Sampled => {
                ended.traced
                    || self
                        .reads
                        .fetch_add(1, Ordering::Relaxed)
                        .is_multiple_of(SAMPLED_OF)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Ended = Ended {
        method: "GET",
        status: StatusCode::OK,
        took: Duration::from_micros(40),
        traced: false,
    };

    #[test]
    fn errors_and_slow_requests_and_writes_are_always_logged() {
        for which in [
            LoggedRequests::All,
            LoggedRequests::Errors,
            LoggedRequests::Sampled,
        ] {
            let log = RequestLog::new(which);
            // The first read is a sample.
            log.has(&READ);
            for ended in [
                Ended {
                    method: "POST",
                    ..READ
                },
                Ended {
                    method: "DELETE",
                    ..READ
                },
                Ended {
                    method: "other",
                    ..READ
                },
                Ended {
                    status: StatusCode::NOT_FOUND,
                    ..READ
                },
                Ended {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    ..READ
                },
                Ended { took: SLOW, ..READ },
            ] {
                assert!(log.has(&ended), "{which:?} {} {}", ended.method, ended.status);
            }
        }
    }

    #[test]
    fn one_of_a_hundred_reads_is_a_sample_and_each_read_with_a_recorded_trace_is_logged() {
        let count = |which, read: &Ended| {
            let log = RequestLog::new(which);
            (0..1_000).filter(|_| log.has(read)).count()
        };
        let traced = Ended { traced: true, ..READ };
        assert_eq!(count(LoggedRequests::Sampled, &READ), 10);
        assert_eq!(count(LoggedRequests::Sampled, &traced), 1_000);
        assert_eq!(count(LoggedRequests::Errors, &traced), 0);
        assert_eq!(count(LoggedRequests::All, &READ), 1_000);
    }
}
