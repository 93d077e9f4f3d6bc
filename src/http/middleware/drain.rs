//! What is left of a request's body when the answer is ready before the body was read: a little is read and dropped,
//! so that the connection can be used again; otherwise the answer says that it can't.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use tokio::time::timeout;

/// How much is read and dropped, and how long that may take.
const SPILLED_BYTES: usize = 64 << 10;
const SPILL_TIME: Duration = Duration::from_secs(2);

/// A body that whoever answers holds as well.
pub(in crate::http) struct Leftover {
    body: Shared,
    /// The sender waits to be asked for the body, and was not.
    unasked: bool,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Leftover {
    /// Keeps a hand on the request's body.
    pub(in crate::http) fn of(request: &mut Request) -> Self {
        let unasked = request.headers().contains_key(EXPECT);
        let body = Shared(Arc::new(Mutex::new(std::mem::take(request.body_mut()))));
        *request.body_mut() = Body::new(body.clone());
        Self { body, unasked }
    }

    /// Reads the rest; `false` when there is too much of it, or it comes too slowly.
    pub(in crate::http) async fn spill(mut self) -> bool {
        if self.body.is_end_stream() {
            return true;
        }
        let rest = async {
            let mut spilled = 0;
            while let Some(frame) = self.body.frame().await {
                let Ok(frame) = frame else { return false };
                spilled += frame.data_ref().map_or(0, Bytes::len);
                if spilled > SPILLED_BYTES {
                    return false;
                }
            }
            true
        };
        !self.unasked && timeout(SPILL_TIME, rest).await.unwrap_or(false)
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock()).poll_frame(context)
    }
    fn is_end_stream(&self) -> bool {
        self.0.lock().is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.0.lock().size_hint()
    }
}
