//! The body of a response: sent in small pieces, and given up if the client does not take them.
//!
//! On HTTP/2, a client can stop reading one response while the connection goes on. The pieces show that, because the
//! server asks for the next one only when the client has taken the last one. Such a stream is reset: the response ends
//! with what it holds, such as a page of an export and the permit for it, and the other streams go on. On HTTP/1.1, the
//! whole connection stalls, which its socket notices.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::task_local;

use crate::http::server::activity::ActiveRequest;
use crate::http::server::progress::Progress;
use crate::telemetry::metrics::RESPONSES_STALLED_TOTAL;

/// The size of a piece. A slow client takes one in `server.send_timeout` at least.
const PIECE: usize = 32 << 10;

task_local! {
    /// The progress of the response on the stream that this task serves.
    static STREAM: Progress;
}

/// Runs the streams of HTTP/2 connections, and resets one whose client takes nothing for this time.
#[derive(Clone, Copy)]
pub(super) struct Streams(pub(super) Duration);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (progress, limit) = (Progress::default(), self.0);
        tokio::spawn(async move {
            let stalled = progress.clone();
            tokio::select! {
                () = STREAM.scope(progress, stream) => {}
                // Dropping the stream resets it.
                () = stalled.stalled(limit) => metrics::counter!(RESPONSES_STALLED_TOTAL).increment(1),
            }
        });
    }
}

/// The body of a response. Its request counts as active until the body has been written.
pub(super) struct ResponseBody {
    body: Body,
    /// The rest of a part that is larger than a piece.
    rest: Bytes,
    /// The progress on a stream of HTTP/2; `None` on HTTP/1.1.
    progress: Option<Progress>,
    _active: ActiveRequest,
}

impl ResponseBody {
    /// Wraps a body. On HTTP/2, the caller runs on [`Streams`].
    pub(super) fn new(body: Body, active: ActiveRequest) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            progress: STREAM.try_with(Progress::clone).ok(),
            _active: active,
        }
    }

    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        let piece = data.split_to(data.len().min(PIECE));
        self.rest = data;
        Frame::data(piece)
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let frame = if this.rest.is_empty() {
            Pin::new(&mut this.body)
                .poll_frame(context)
                .map_ok(|frame| match frame.into_data() {
                    Ok(data) => this.piece(data),
                    Err(trailers) => trailers,
                })
        } else {
            let rest = std::mem::take(&mut this.rest);
            Poll::Ready(Some(Ok(this.piece(rest))))
        };
        if let Some(progress) = &this.progress {
            // The client has taken the last piece. It has another one to take, or the server has nothing to send.
            progress.set_waiting(matches!(frame, Poll::Ready(Some(Ok(_)))));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
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
    use std::pin::pin;
    use std::sync::Arc;
    use tokio::sync::Notify;

    fn active() -> ActiveRequest {
        Activity::begin().begin_request(Version::HTTP_2)
    }

    #[tokio::test]
    async fn a_body_is_sent_in_pieces_and_announces_its_length() {
        let text = "0123456789".repeat(10_000);
        let mut body = ResponseBody::new(Body::from(text.clone()), active());
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

    /// Notifies when it is dropped.
    struct NotifyOnDrop(Arc<Notify>);

    impl Drop for NotifyOnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    /// Starts a stream with this body, which takes `pieces` and then no more. Returns what is notified at its end.
    fn start(body: Body, pieces: usize) -> Arc<Notify> {
        let ended = Arc::new(Notify::new());
        let end = NotifyOnDrop(ended.clone());
        Streams(Duration::from_millis(50)).execute(async move {
            let _end = end;
            let mut body = ResponseBody::new(body, active());
            for _ in 0..pieces {
                body.frame().await.unwrap().unwrap();
            }
            std::future::pending::<()>().await;
        });
        ended
    }

    fn endless() -> Body {
        let pages = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from(vec![0; 2 * PIECE])));
        Body::from_stream(pages)
    }

    #[tokio::test]
    async fn a_stream_whose_client_takes_no_piece_ends() {
        start(endless(), 3).notified().await;
        start(Body::from("small"), 1).notified().await;
    }

    #[tokio::test]
    async fn a_stream_that_has_nothing_to_send_does_not_end() {
        let event = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"event"))]);
        let idle = futures::StreamExt::chain(event, stream::pending());
        let idle = start(Body::from_stream(idle), 2);
        // A stream that begins later and stalls has ended.
        start(endless(), 1).notified().await;
        assert!(
            futures::poll!(pin!(idle.notified())).is_pending(),
            "the stream ended"
        );
    }
}
