//! The activity of one connection: whether a head arrives, requests run or the connection is idle, and since when.
//!
//! A head that has begun must arrive within `header_timeout`, and so must the first one of a connection. Between two
//! requests, the connection may stay idle for `idle_timeout`, which is longer than the pools of clients and load
//! balancers keep it. If there are too many connections, idle ones close sooner.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::Version;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest times of the phases in which no request runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) head: Duration,
    pub(super) idle: Duration,
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head arrives: it has begun, or it is the first one and must begin.
    Head(Instant),
    /// This many requests run.
    Busy(usize),
    /// No request runs, and no head has begun.
    Idle(Instant),
}

/// The activity of a connection, shared by its stream, its requests and its deadline.
#[derive(Clone)]
pub(super) struct Activity(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified when the phase changes.
    changed: Notify,
}

struct State {
    phase: Phase,
    /// Whether the connection is HTTP/2, which also receives bytes that belong to no request, such as pings.
    multiplexed: bool,
}

impl Activity {
    /// Starts with a new connection.
    pub(super) fn begin() -> Self {
        let state = State {
            phase: Phase::Head(Instant::now()),
            multiplexed: false,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: Notify::new(),
        }))
    }

    /// Counts a request until the result is dropped.
    pub(super) fn begin_request(&self, version: Version) -> ActiveRequest {
        self.change(|state| {
            state.multiplexed = version == Version::HTTP_2;
            state.phase = match state.phase {
                Phase::Busy(active) => Phase::Busy(active + 1),
                Phase::Head(_) | Phase::Idle(_) => Phase::Busy(1),
            };
        });
        ActiveRequest(self.clone())
    }

    /// Completes when the phase lasts too long: a head that does not arrive, or an idle connection.
    ///
    /// With `hurry`, an idle connection gets only the time of a head.
    pub(super) async fn too_long(&self, timeouts: Timeouts, hurry: bool) -> TooLong {
        loop {
            let changed = self.0.changed.notified();
            let Some((deadline, reason)) = self.deadline(timeouts, hurry) else {
                changed.await;
                continue;
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(deadline) => return reason,
            }
        }
    }

    /// Returns when the phase will have lasted too long; `None` while a request runs.
    fn deadline(&self, timeouts: Timeouts, hurry: bool) -> Option<(Instant, TooLong)> {
        match self.0.state.lock().phase {
            Phase::Busy(_) => None,
            Phase::Head(since) => Some((since + timeouts.head, TooLong::Head)),
            Phase::Idle(since) if hurry => Some((since + timeouts.head, TooLong::Idle)),
            Phase::Idle(since) => Some((since + timeouts.idle, TooLong::Idle)),
        }
    }

    fn received(&self) {
        self.change(|state| {
            if let (Phase::Idle(_), false) = (state.phase, state.multiplexed) {
                state.phase = Phase::Head(Instant::now());
            }
        });
    }

    fn end_request(&self) {
        self.change(|state| {
            state.phase = match state.phase {
                Phase::Busy(active) if active > 1 => Phase::Busy(active - 1),
                _ => Phase::Idle(Instant::now()),
            };
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock();
        let before = state.phase;
        change(&mut state);
        if state.phase != before {
            // A permit stays if nobody waits at the moment, so no change is missed.
            self.0.changed.notify_one();
        }
    }
}

/// What lasted too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooLong {
    /// A head that did not arrive completely.
    Head,
    /// A connection without requests.
    Idle,
}

/// A running request.
pub(super) struct ActiveRequest(Activity);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

/// A stream that reports to the activity when it receives bytes.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) activity: Activity,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.activity.received();
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
    };

    /// Returns what will last too long, and in how many seconds.
    fn waits(activity: &Activity, hurry: bool) -> Option<(TooLong, u64)> {
        let (deadline, reason) = activity.deadline(TIMEOUTS, hurry)?;
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, because some of the time has passed.
        Some((reason, (left + Duration::from_millis(999)).as_secs()))
    }

    #[test]
    fn each_phase_has_its_own_time() {
        let activity = Activity::begin();
        assert_eq!(waits(&activity, false), Some((TooLong::Head, 10)));
        let first = activity.begin_request(Version::HTTP_11);
        let second = activity.begin_request(Version::HTTP_11);
        drop(first);
        assert_eq!(waits(&activity, false), None);
        drop(second);
        assert_eq!(waits(&activity, false), Some((TooLong::Idle, 75)));
        assert_eq!(waits(&activity, true), Some((TooLong::Idle, 10)));
        activity.received();
        assert_eq!(waits(&activity, false), Some((TooLong::Head, 10)));
    }

    #[test]
    fn more_bytes_of_a_head_do_not_extend_its_time() {
        let activity = Activity::begin();
        drop(activity.begin_request(Version::HTTP_11));
        activity.received();
        let before = activity.deadline(TIMEOUTS, false);
        activity.received();
        assert_eq!(activity.deadline(TIMEOUTS, false), before);
    }

    #[test]
    fn bytes_of_http_2_that_belong_to_no_request_begin_no_head() {
        let activity = Activity::begin();
        drop(activity.begin_request(Version::HTTP_2));
        activity.received();
        assert_eq!(waits(&activity, false), Some((TooLong::Idle, 75)));
    }
}
