//! The body of a response: sent in small pieces, and given up if the client does not take them.
//!
//! On HTTP/2, a client can stop reading one response while the connection goes on. The pieces show that, because the
//! server asks for the next one only when there is room for it. The body then drops what it holds, such as a page of an
//! export and the permit for it.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::http::server::activity::ActiveRequest;
use crate::telemetry::metrics::RESPONSES_STALLED_TOTAL;

/// The size of a piece. A slow client takes one in `server.send_timeout` at least.
const PIECE: usize = 32 << 10;

/// The body of a response. Its request counts as active until the body has been written.
pub(super) struct ResponseBody {
    state: Arc<Mutex<State>>,
    watch: Option<JoinHandle<()>>,
    _active: ActiveRequest,
}

struct State {
    /// `None` after the body was given up.
    body: Option<Body>,
    /// The rest of a part that is larger than a piece.
    rest: Bytes,
    /// Since when the client has a piece to take.
    handed: Option<Instant>,
}

impl ResponseBody {
    /// Wraps a body, which is given up when the client takes no piece for `limit`, if there is one.
    pub(super) fn new(body: Body, active: ActiveRequest, limit: Option<Duration>) -> Self {
        // A body of one piece is in the hands of the server at once, and only its connection can stall.
        let small = body.size_hint().upper().is_some_and(|size| size <= PIECE as u64);
        let state = Arc::new(Mutex::new(State {
            body: Some(body),
            rest: Bytes::new(),
            handed: None,
        }));
        let limit = limit.filter(|_| !small);
        let watch = limit.map(|limit| tokio::spawn(watch(Arc::downgrade(&state), limit)));
        Self {
            state,
            watch,
            _active: active,
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// Drops the body when the client has had a piece for `limit` without taking it.
async fn watch(state: Weak<Mutex<State>>, limit: Duration) {
    let mut next = Instant::now() + limit;
    loop {
        sleep_until(next).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock();
        let now = Instant::now();
        next = state.handed.unwrap_or(now) + limit;
        if next <= now {
            metrics::counter!(RESPONSES_STALLED_TOTAL).increment(1);
            (state.body, state.rest) = (None, Bytes::new());
            return;
        }
    }
}

impl State {
    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        let piece = data.split_to(data.len().min(PIECE));
        self.rest = data;
        self.handed = Some(Instant::now());
        Frame::data(piece)
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.state.lock();
        state.handed = None;
        if !state.rest.is_empty() {
            let rest = std::mem::take(&mut state.rest);
            return Poll::Ready(Some(Ok(state.piece(rest))));
        }
        let Some(body) = &mut state.body else {
            let stalled = "the client read too slowly";
            return Poll::Ready(Some(Err(axum::Error::new(stalled))));
        };
        Pin::new(body)
            .poll_frame(context)
            .map_ok(|frame| match frame.into_data() {
                Ok(data) => state.piece(data),
                Err(trailers) => trailers,
            })
    }

    fn is_end_stream(&self) -> bool {
        let state = self.state.lock();
        state.rest.is_empty() && state.body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.state.lock();
        let mut hint = state.body.as_ref().map(HttpBody::size_hint).unwrap_or_default();
        let rest = state.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::server::activity::Activity;
    use axum::http::Version;
    use futures::stream;
    use http_body_util::BodyExt as _;
    use std::io;

    fn active() -> ActiveRequest {
        Activity::begin().begin_request(Version::HTTP_2)
    }

    #[tokio::test]
    async fn a_body_is_sent_in_pieces_and_announces_its_length() {
        let text = "0123456789".repeat(10_000);
        let mut body = ResponseBody::new(Body::from(text.clone()), active(), None);
        let mut sent = Vec::new();
        assert_eq!(body.size_hint().exact(), Some(100_000));
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE);
            sent.extend_from_slice(&piece);
            assert_eq!(body.size_hint().exact(), Some(100_000 - sent.len() as u64));
        }
        assert!(body.is_end_stream());
        assert_eq!(sent, text.as_bytes());
    }

    #[tokio::test]
    async fn a_body_that_its_client_does_not_take_is_given_up() {
        let held = Arc::new(());
        let still_held = Arc::downgrade(&held);
        let pages = stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, io::Error>(Bytes::from(vec![0; 2 * PIECE]))
        });
        let limit = Duration::from_millis(50);
        let mut body = ResponseBody::new(Body::from_stream(pages), active(), Some(limit));
        for _ in 0..3 {
            body.frame().await.unwrap().unwrap();
        }
        while still_held.upgrade().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(body.frame().await.unwrap().is_err());
    }
}
