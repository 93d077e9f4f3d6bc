//! The bytes of a connection. Where hyper answers by itself, because what came is no request at all, our own
//! answer goes out instead: a problem with an id, as everywhere. It does not know what is wrong with the bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::ServiceExt as _;

use crate::http::middleware::request_context::{Unread, X_REQUEST_ID};

/// A connection that speaks for hyper.
pub(in crate::http) struct Wire<S> {
    stream: S,
    router: Router,
    answer: Option<Answer>,
}

/// Ours, on its way out instead of hyper's.
enum Answer {
    Made(BoxFuture<'static, Vec<u8>>),
    Sent { bytes: Vec<u8>, done: usize },
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    pub(in crate::http) fn new(stream: S, router: Router) -> Self {
        Self {
            stream,
            router,
            answer: None,
        }
    }

    /// Writes our answer to the end.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.answer {
                None => return Poll::Ready(Ok(())),
                Some(Answer::Made(making)) => {
                    let bytes = ready!(making.as_mut().poll(context));
                    self.answer = Some(Answer::Sent { bytes, done: 0 });
                }
                Some(Answer::Sent { bytes, done }) if *done < bytes.len() => {
                    match ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[*done..]))? {
                        0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        written => *done += written,
                    }
                }
                Some(Answer::Sent { .. }) => self.answer = None,
            }
        }
    }
}

/// The status of an answer that is not ours: every answer of ours carries a request id in its head.
fn status_of_hyper_s_own(bytes: &[u8]) -> Option<StatusCode> {
    let status = StatusCode::from_bytes(bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?).ok()?;
    let marked = || {
        bytes
            .windows(X_REQUEST_ID.as_str().len())
            .any(|name| name == X_REQUEST_ID.as_str().as_bytes())
    };
    (status.is_client_error() && !marked()).then_some(status)
}

/// What the front says to bytes that are no request, as bytes.
async fn answer(router: Router, status: StatusCode) -> Vec<u8> {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(Unread(status));
    let Ok(response) = router.oneshot(request).await;
    written(response).await
}

async fn written(response: Response) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {}\r\nconnection: close\r\n", head.status).into_bytes();
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "content-length") {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    bytes.extend(body);
    bytes
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.answer.is_none() {
            let Some(status) = status_of_hyper_s_own(bytes) else {
                return Pin::new(&mut self.stream).poll_write(context, bytes);
            };
            self.answer = Some(Answer::Made(Box::pin(answer(self.router.clone(), status))));
        }
        ready!(self.poll_answer(context))?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.first().map_or(&[][..], |slice| slice);
        if self.answer.is_some() || status_of_hyper_s_own(first).is_some() {
            return self.poll_write(context, first);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_client_error_without_our_mark_is_hyper_s_own() {
        let of = |text: &str| status_of_hyper_s_own(text.as_bytes()).map(|status| status.as_u16());
        assert_eq!(
            of("HTTP/1.1 431 Too Large\r\ncontent-length: 0\r\n\r\n"),
            Some(431)
        );
        assert_eq!(of("HTTP/1.1 404 Not Found\r\nx-request-id: req_1\r\n\r\n"), None);
        for other in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "{\"a\": 1}",
            "HTTP/1.1 4",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
