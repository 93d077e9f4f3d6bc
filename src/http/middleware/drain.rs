//! Drains the rest of a request body that the handler did not read.
//!
//! HTTP/1.1 can reuse a connection only after the server has read the whole request. The middleware reads and drops a
//! small rest. If the rest is larger, the response closes the connection.

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

/// Maximum number of bytes to drain.
const MAX_DRAINED_BYTES: usize = 64 << 10;
/// Maximum time to drain a body.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A request body that the middleware shares with the handler, so that it can drain the rest.
pub(in crate::http) struct SharedBody {
    body: Handle,
    /// Whether the client waits for `100 Continue` before it sends the body.
    expects_continue: bool,
}

#[derive(Clone)]
struct Handle(Arc<Mutex<Body>>);

impl SharedBody {
    /// Replaces the request's body with a handle to the body, and returns a second handle.
    pub(in crate::http) fn share(request: &mut Request) -> Self {
        let expects_continue = request.headers().contains_key(EXPECT);
        let body = Handle(Arc::new(Mutex::new(std::mem::take(request.body_mut()))));
        *request.body_mut() = Body::new(body.clone());
        Self {
            body,
            expects_continue,
        }
    }

    /// Reads and drops the rest.
    ///
    /// Returns whether the whole body was read, so that the connection can be reused.
    pub(in crate::http) async fn drain(mut self) -> bool {
        if self.body.is_end_stream() {
            return true;
        }
        let rest = async {
            let mut drained = 0;
            while let Some(frame) = self.body.frame().await {
                let Ok(frame) = frame else { return false };
                drained += frame.data_ref().map_or(0, Bytes::len);
                if drained > MAX_DRAINED_BYTES {
                    return false;
                }
            }
            true
        };
        !self.expects_continue && timeout(DRAIN_TIMEOUT, rest).await.unwrap_or(false)
    }
}

impl HttpBody for Handle {
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
