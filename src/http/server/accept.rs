//! The accept loop: accepts connections, enforces their limits, and shuts them down gracefully.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::http::limits::Limits;
use crate::http::server::activity::{Activity, Timeouts, TooLong, Watched};
use crate::http::server::progress::Progress;
use crate::http::server::response_body::{ResponseBody, Streams};
use crate::http::server::socket::Socket;
use crate::http::server::tls::Tls;
use crate::telemetry::metrics::RESPONSES_STALLED_TOTAL;

/// Hyper's limit for a request's head, in bytes.
///
/// Above it, hyper responds with a status and no body. The limit is above those of `check_head`, so that a head between
/// both limits gets a problem as its response.
const MAX_HEAD_BYTES: usize = 128 << 10;
/// Hyper's limit for the number of headers, above the limit of `check_head` for the same reason.
const MAX_HYPER_HEADERS: usize = 1_024;

/// The bytes of one response that HTTP/2 holds for a client that does not read.
const MAX_STREAM_BUFFER: usize = 64 << 10;

/// Serves connections until `shutdown`, then waits for running requests.
///
/// Returns when all connections have ended, at the latest [`Limits::grace`] after `shutdown`. With `tls`, it accepts
/// only TLS, and a handshake must finish within [`Limits::header_timeout`].
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    limits: &Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "server listening");
    let server = Arc::new(server(limits));
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (connections, abort) = (TaskTracker::new(), CancellationToken::new());
    let mut crowded = CancellationToken::new();
    let accept = async {
        loop {
            let slot = if let Ok(slot) = slots.clone().try_acquire_owned() {
                slot
            } else {
                // Idle connections make room. Those that follow get a token of their own.
                std::mem::take(&mut crowded).cancel();
                let slot = slots.clone().acquire_owned().await;
                slot.expect("the semaphore is never closed")
            };
            let stream = accept(&listener).await;
            let connection = Connection {
                server: server.clone(),
                tls: tls.clone(),
                router: router.clone(),
                timeouts: Timeouts {
                    head: limits.header_timeout,
                    idle: limits.idle_timeout,
                },
                send: limits.send_timeout,
                crowded: crowded.clone(),
                shutdown: shutdown.clone(),
                abort: abort.clone(),
            };
            connections.spawn(async move {
                connection.run(stream).await;
                drop(slot);
            });
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = accept => {}
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.grace, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = connections.len(),
            "connections aborted after the grace period"
        );
        abort.cancel();
        connections.wait().await;
    }
    Ok(())
}

fn server(limits: &Limits) -> auto::Builder<Streams> {
    let mut server = auto::Builder::new(Streams(limits.send_timeout));
    server
        .http1()
        .timer(TokioTimer::new())
        // Hyper's own limit would also close idle connections. `Activity` has one limit for each.
        .header_read_timeout(None)
        .max_headers(MAX_HYPER_HEADERS.max(limits.max_headers))
        // Responses wait in their own memory instead of in a copy for each connection.
        .writev(true)
        .max_buf_size(MAX_HEAD_BYTES);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(100)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .max_send_buf_size(MAX_STREAM_BUFFER)
        .max_header_list_size(64 << 10);
    server
}

/// Accepts the next connection.
///
/// It ignores an error that concerns one connection. After any other error, such as no free file descriptor, it logs
/// the error and tries again.
async fn accept(listener: &TcpListener) -> TcpStream {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "connection accept failed; retrying");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Connection {
    server: Arc<auto::Builder<Streams>>,
    tls: Option<Tls>,
    router: Router,
    timeouts: Timeouts,
    /// Maximum time without progress of a write.
    send: Duration,
    /// Ends the connection when it is idle for the time of a head, because there are too many connections.
    crowded: CancellationToken,
    /// Ends the connection after its running requests.
    shutdown: CancellationToken,
    /// Ends the connection at once.
    abort: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let stream = Socket::new(stream);
        let progress = stream.progress();
        let Some(tls) = &self.tls else {
            return self.serve(stream, progress).await;
        };
        let handshake = tokio::select! {
            stream = tls.handshake(stream, self.timeouts.head) => stream,
            // No request has been read yet, so none can be lost.
            () = self.shutdown.cancelled() => None,
        };
        if let Some(stream) = handshake {
            self.serve(stream, progress).await;
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, progress: Progress) {
        let activity = Activity::begin();
        let service = service_fn(|request: Request<Incoming>| {
            let active = activity.begin_request(request.version());
            let router = self.router.clone();
            async move {
                let response = router.oneshot(request.map(Body::new)).await?;
                Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, active)))
            }
        });
        let stream = Watched {
            stream,
            activity: activity.clone(),
        };
        let mut connection = pin!(self.server.serve_connection(TokioIo::new(stream), service));
        let mut stalled = pin!(progress.stalled(self.send));
        let (mut closing, mut crowded) = (false, false);
        loop {
            tokio::select! {
                // An error here is caused by the client, so it is not logged.
                _ = connection.as_mut() => return,
                () = self.abort.cancelled() => return,
                () = stalled.as_mut() => {
                    metrics::counter!(RESPONSES_STALLED_TOTAL).increment(1);
                    return;
                }
                () = self.shutdown.cancelled(), if !closing => {}
                () = self.crowded.cancelled(), if !crowded => {
                    crowded = true;
                    continue;
                }
                reason = activity.too_long(self.timeouts, closing || crowded) => {
                    // In the second case, the client keeps the connection open after the graceful shutdown.
                    if reason == TooLong::Head || closing {
                        return;
                    }
                }
            }
            connection.as_mut().graceful_shutdown();
            closing = true;
        }
    }
}

#[cfg(test)]
mod tests;
