//! Tests of the accept loop with slow, broken and idle connections, and of its shutdown.

use super::*;
use axum::routing;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

struct TestServer {
    address: SocketAddr,
    stop: CancellationToken,
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
    server: JoinHandle<io::Result<()>>,
}

/// Starts a server with one route, which signals `begun` and responds after `go_on`.
async fn start(grace: Duration) -> TestServer {
    start_with(Limits {
        grace,
        ..Limits::default()
    })
    .await
}

/// Starts the same server with these limits, and a short time for heads.
async fn start_with(limits: Limits) -> TestServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (started, release) = (begun.clone(), go_on.clone());
    let work = async move || {
        started.notify_one();
        release.notified().await;
        "done"
    };
    let router = Router::new().route("/", routing::get(work));
    let limits = Limits {
        header_timeout: Duration::from_millis(150),
        ..limits
    };
    let stop = CancellationToken::new();
    let token = stop.clone();
    let server = tokio::spawn(async move { serve(listener, None, router, &limits, token).await });
    TestServer {
        address,
        stop,
        begun,
        go_on,
        server,
    }
}

async fn send(server: &TestServer, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}
async fn receive(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // If the server closes the connection early, the read may end with an error.
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut text))
        .await
        .unwrap();
    text
}
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_client_that_sends_nothing_or_never_ends_its_head_is_disconnected() {
    let server = start(Duration::from_secs(5)).await;
    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\nHo",
        b"PRI * HT",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let started = Instant::now();
        let _ = receive(send(&server, bytes).await).await;
        assert!(started.elapsed() < Duration::from_secs(2), "{bytes:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_http_get_a_bare_400_and_never_reach_the_router() {
    let server = start(Duration::from_secs(5)).await;
    let duplicate = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}";
    for bytes in [
        &b"\0\x01\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nX y: z\r\n\r\n",
        duplicate,
    ] {
        let response = receive(send(&server, bytes).await).await;
        assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
        assert!(response.contains("connection: close\r\n"), "{response}");
        assert!(response.ends_with("\r\n\r\n"), "{response}");
    }
}

#[tokio::test]
async fn a_request_may_take_longer_than_its_head_and_than_an_idle_connection() {
    let server = start_with(Limits {
        idle_timeout: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let stream = send(&server, REQUEST).await;
    server.begun.notified().await;
    // Connections that begin now are closed when a head has taken too long, and when they have been idle for too long.
    assert_eq!(receive(send(&server, b"").await).await, "");
    let not_found = receive(send(&server, b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
    assert!(not_found.starts_with("HTTP/1.1 404"), "{not_found}");
    server.go_on.notify_one();
    assert!(receive(stream).await.ends_with("done"));
}

/// Sends a request on the connection, and reads the whole response.
async fn exchange(server: &TestServer, stream: &mut TcpStream) {
    stream.write_all(REQUEST).await.unwrap();
    server.begun.notified().await;
    server.go_on.notify_one();
    let mut response = Vec::new();
    while !response.ends_with(b"done") {
        let mut chunk = [0; 1_024];
        let length = stream.read(&mut chunk).await.unwrap();
        assert!(length > 0, "the connection was closed");
        response.extend_from_slice(&chunk[..length]);
    }
}

#[tokio::test]
async fn a_connection_may_be_idle_for_longer_than_a_head_may_take() {
    let server = start(Duration::from_secs(5)).await;
    let mut stream = send(&server, b"").await;
    exchange(&server, &mut stream).await;
    // A connection that begins now is closed when a head has taken too long.
    assert_eq!(receive(send(&server, b"").await).await, "");
    exchange(&server, &mut stream).await;
    // The head of a later request has the time of every head.
    stream.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    assert_eq!(receive(stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_own_time() {
    let server = start_with(Limits {
        idle_timeout: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let mut stream = send(&server, b"").await;
    exchange(&server, &mut stream).await;
    assert_eq!(receive(stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_a_new_one() {
    let server = start_with(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let mut idle = send(&server, b"").await;
    exchange(&server, &mut idle).await;
    let mut next = send(&server, b"").await;
    exchange(&server, &mut next).await;
    assert_eq!(receive(idle).await, "");
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_the_stop() {
    let server = start(Duration::from_mins(5)).await;
    let mut stream = send(&server, b"").await;
    exchange(&server, &mut stream).await;
    server.stop.cancel();
    assert_eq!(receive(stream).await, "");
    server.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_running_request_finishes_before_the_server_stops() {
    let server = start(Duration::from_secs(5)).await;
    let stream = send(&server, REQUEST).await;
    server.begun.notified().await;
    server.stop.cancel();
    server.go_on.notify_one();
    assert!(receive(stream).await.ends_with("done"));
    server.server.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_runs_longer_than_the_grace_period_is_aborted() {
    let server = start(Duration::from_millis(100)).await;
    let stream = send(&server, REQUEST).await;
    server.begun.notified().await;
    server.stop.cancel();
    server.server.await.unwrap().unwrap();
    assert_eq!(receive(stream).await, "");
}
