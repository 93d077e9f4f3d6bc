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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::http::Limits;
use crate::http::wire::Wire;

/// What is beyond waits in the kernel's backlog. Idle ones leave within seconds, see [`Limits::header_timeout`].
const MAX_CONNECTIONS: usize = 4_096;
/// Head of a request as hyper reads it: roomy, so that what is above our own limits still gets a proper answer.
const MAX_HEAD_BYTES: usize = 128 << 10;
const ROOM_FOR_HEADERS: usize = 1_024;

/// Serves until `shutdown`, then lets requests under way end, for [`Limits::grace`] at most. Returns when all
/// connections have ended.
pub async fn serve(
    listener: TcpListener,
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
    router: Router,
    idle: Duration,
    shutdown: CancellationToken,
    kill: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Answers are written in one piece; without it the odd one waits for an acknowledgement.
        let _ = stream.set_nodelay(true);
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
mod tests {
    use super::*;
    use axum::routing;
    use std::net::SocketAddr;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    struct Stage {
        address: SocketAddr,
        stop: CancellationToken,
        begun: Arc<Notify>,
        go_on: Arc<Notify>,
        server: JoinHandle<io::Result<()>>,
    }

    /// A server whose only route begins, and ends when told.
    async fn stage(grace: Duration) -> Stage {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (at_work, told) = (begun.clone(), go_on.clone());
        let work = async move || {
            at_work.notify_one();
            told.notified().await;
            "done"
        };
        let router = Router::new().route("/", routing::get(work));
        let limits = Limits {
            header_timeout: Duration::from_millis(150),
            grace,
            ..Limits::default()
        };
        let stop = CancellationToken::new();
        let token = stop.clone();
        let server = tokio::spawn(async move { serve(listener, router, &limits, token).await });
        Stage {
            address,
            stop,
            begun,
            go_on,
            server,
        }
    }

    async fn say(stage: &Stage, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
    async fn heard(mut stream: TcpStream) -> String {
        let mut text = String::new();
        // A server that cuts the connection off may leave an error instead of an end.
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut text))
            .await
            .unwrap();
        text
    }
    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    #[tokio::test]
    async fn whoever_says_nothing_or_never_ends_is_hung_up_on() {
        let stage = stage(Duration::from_secs(5)).await;
        for said in [
            &b""[..],
            b"GET / HTTP/1.1\r\nHo",
            b"PRI * HT",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let started = Instant::now();
            let _ = heard(say(&stage, said).await).await;
            assert!(started.elapsed() < Duration::from_secs(2), "{said:?}");
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_request_are_given_what_the_router_says_to_them() {
        let stage = stage(Duration::from_secs(5)).await;
        let duplicate = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}";
        for said in [
            &b"\0\x01\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nX y: z\r\n\r\n",
            duplicate,
        ] {
            // This router has one route, which stands for the front.
            stage.go_on.notify_one();
            let answer = heard(say(&stage, said).await).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\nconnection: close\r\n"),
                "{answer}"
            );
            assert!(answer.ends_with("content-length: 4\r\n\r\ndone"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_request_may_take_longer_than_its_head() {
        let stage = stage(Duration::from_secs(5)).await;
        let stream = say(&stage, ASK).await;
        stage.begun.notified().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        stage.go_on.notify_one();
        assert!(heard(stream).await.ends_with("done"));
    }

    #[tokio::test]
    async fn a_request_under_way_ends_before_the_server_does() {
        let stage = stage(Duration::from_secs(5)).await;
        let stream = say(&stage, ASK).await;
        stage.begun.notified().await;
        stage.stop.cancel();
        stage.go_on.notify_one();
        assert!(heard(stream).await.ends_with("done"));
        stage.server.await.unwrap().unwrap();
        assert!(TcpStream::connect(stage.address).await.is_err());
    }

    #[tokio::test]
    async fn a_request_that_outlives_the_grace_period_is_cut_off() {
        let stage = stage(Duration::from_millis(100)).await;
        let stream = say(&stage, ASK).await;
        stage.begun.notified().await;
        stage.stop.cancel();
        stage.server.await.unwrap().unwrap();
        assert_eq!(heard(stream).await, "");
    }
}
