//! Connections that are slow, broken, cut off or left alone.

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
    let server = tokio::spawn(async move { serve(listener, None, router, &limits, token).await });
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
