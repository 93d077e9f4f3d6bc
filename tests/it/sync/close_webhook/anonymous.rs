//! Webhooks of Close beside many anonymous connections: anybody can reach the path, and must not displace Close.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::*;
use crate::support::raw::{RawResponse, address, read_response};

on_both_stores! {
    a_delivery_without_current_signature_headers_is_refused_before_its_body,
    many_connections_that_drip_a_body_displace_no_delivery_of_close,
}

/// Sends the head of a delivery with these headers, and only the beginning of its body.
async fn begin(server: &TestServer, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address(server))
        .await
        .expect("the server listens");
    let request = format!(
        "POST /webhooks/close HTTP/1.1\r\nHost: desk\r\n{headers}Content-Length: 2000\r\n\r\n{{\"event\": "
    );
    let written = stream.write_all(request.as_bytes()).await;
    written.expect("the request can be written");
    stream
}

/// Returns the headers of a signature of this time that no key made.
fn forged(seconds: i64) -> String {
    let hash = "ab".repeat(32);
    format!("close-sig-hash: {hash}\r\nclose-sig-timestamp: {seconds}\r\n")
}

async fn a_delivery_without_current_signature_headers_is_refused_before_its_body(database: Database) {
    let server = TestServer::new(database).await;
    let four_days = 4 * 24 * 3_600;
    for headers in [
        String::new(),
        format!("close-sig-timestamp: {}\r\n", now()),
        format!("close-sig-hash: {}\r\n", "ab".repeat(32)),
        format!("close-sig-hash: short\r\nclose-sig-timestamp: {}\r\n", now()),
        forged(now() - four_days),
        forged(now() + 3_600),
    ] {
        let mut stream = begin(&server, &headers).await;
        let RawResponse { status, text, .. } = read_response(&mut stream).await;
        assert_eq!(status, 401, "{headers}: {text}");
        assert!(text.contains("/problems/not-from-close"), "{text}");
    }
}

async fn many_connections_that_drip_a_body_displace_no_delivery_of_close(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let mut dripping = Vec::new();
    for _ in 0..140 {
        dripping.push(begin(&server, &forged(now())).await);
    }
    let deliveries = (0..100).map(|nth| {
        let body = delivery(&event(&format!("drip{nth}"), "updated", "phon_none"));
        let server = &server;
        async move { deliver(server, &body).await.status }
    });
    let statuses = futures::future::join_all(deliveries).await;
    let accepted = statuses.iter().filter(|status| **status == 204).count();
    println!("140 connections drip a body: {accepted} of 100 deliveries of Close accepted");
    assert_eq!(accepted, 100, "{statuses:?}");
    // The slowest gave way.
    let first = read_response(&mut dripping[0]).await;
    assert_eq!(first.status, 408, "{}", first.text);
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM inbox").await, 100);
}
