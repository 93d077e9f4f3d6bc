//! Connections: accepts them, bounds what each may take in time and memory, and lets them end in good order.
//! It does not know what is served.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::http::Limits;
use crate::http::server::tls::Tls;
use crate::http::server::wire::Wire;

/// What is beyond waits in the kernel's backlog. Idle ones leave within seconds, see [`Limits::header_timeout`].
const MAX_CONNECTIONS: usize = 4_096;
/// Head of a request as hyper reads it: roomy, so that what is above our own limits still gets a proper answer.
const MAX_HEAD_BYTES: usize = 128 << 10;
const ROOM_FOR_HEADERS: usize = 1_024;

/// Serves until `shutdown`, then lets requests under way end, for [`Limits::grace`] at most. Returns when all
/// connections have ended. With `tls` it speaks nothing else; a handshake has the time of a request's head.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    limits: &Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "listening");
    let server = Arc::new(server(limits));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (connections, kill) = (TaskTracker::new(), CancellationToken::new());
    let accept = async {
        loop {
            let slot = slots
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let stream = accept(&listener).await;
            let connection = Connection {
                server: server.clone(),
                tls: tls.clone(),
                router: router.clone(),
                idle: limits.header_timeout,
                shutdown: shutdown.clone(),
                kill: kill.clone(),
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
            "connections were cut off after the grace period"
        );
        kill.cancel();
        connections.wait().await;
    }
    Ok(())
}

fn server(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(ROOM_FOR_HEADERS.max(limits.max_headers))
        .max_buf_size(MAX_HEAD_BYTES);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(100)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .max_header_list_size(64 << 10);
    server
}

/// The next connection. Trouble of one connection is not ours; out of file descriptors is, and passes.
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
                tracing::error!(%error, "can't accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Connection {
    server: Arc<auto::Builder<TokioExecutor>>,
    tls: Option<Tls>,
    router: Router,
    idle: Duration,
    shutdown: CancellationToken,
    kill: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Answers are written in one piece; without it the odd one waits for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.speak(stream).await;
        };
        let shaken = tokio::select! {
            shaken = tls.shake_hands(stream, self.idle) => shaken,
            // Nothing has been asked yet.
            () = self.shutdown.cancelled() => None,
        };
        if let Some(stream) = shaken {
            self.speak(stream).await;
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let wire = Wire::new(stream, self.router.clone());
        let pulse = Arc::new(Pulse::default());
        let service = service_fn(|request: Request<Incoming>| {
            let (beat, router) = (pulse.beat(), self.router.clone());
            async move {
                let response = router.oneshot(request.map(Body::new)).await?;
                Ok::<_, Infallible>(response.map(|body| Beating { body, _beat: beat }))
            }
        });
        let mut connection = pin!(self.server.serve_connection(TokioIo::new(wire), service));
        let (mut closing, mut seen) = (false, 0);
        loop {
            tokio::select! {
                // How a connection broke is the client's affair.
                _ = connection.as_mut() => return,
                () = self.kill.cancelled() => return,
                () = self.shutdown.cancelled(), if !closing => {}
                () = tokio::time::sleep(self.idle) => {
                    let now_seen = pulse.seen.load(Ordering::Relaxed);
                    let idle = pulse.busy.load(Ordering::Relaxed) == 0 && now_seen == seen;
                    seen = now_seen;
                    if !idle {
                        continue;
                    }
                    // It was asked to end and did not, with nothing under way.
                    if closing {
                        return;
                    }
                }
            }
            connection.as_mut().graceful_shutdown();
            closing = true;
        }
    }
}

/// Requests under way on a connection, and how many there have been.
#[derive(Default)]
struct Pulse {
    busy: AtomicUsize,
    seen: AtomicU64,
}

impl Pulse {
    fn beat(self: &Arc<Self>) -> Beat {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.seen.fetch_add(1, Ordering::Relaxed);
        Beat(self.clone())
    }
}

struct Beat(Arc<Pulse>);

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request is under way until its answer has been written.
struct Beating {
    body: Body,
    _beat: Beat,
}

impl HttpBody for Beating {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
