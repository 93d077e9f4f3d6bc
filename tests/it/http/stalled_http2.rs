//! Clients that stop reading single responses of an HTTP/2 connection: those are reset, and the others go on.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

use super::stalled::{given_up, write_audit_rows};
use crate::support::database::{Database, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA, Persona};
use crate::support::raw::address;
use crate::support::server::{TestConfig, TestServer};

on_sqlite! {
    responses_of_one_connection_that_nobody_reads_are_reset_and_the_others_go_on,
}

/// Bytes that the server may send of each response before the client has read some.
const WINDOW: u32 = 8;
/// Responses of each kind that nobody reads.
const EACH: usize = 20;

/// A connection of HTTP/2 without TLS, as a proxy in a cluster makes it.
struct Client<'a> {
    server: &'a TestServer,
    sender: http2::SendRequest<Empty<Bytes>>,
}

impl<'a> Client<'a> {
    async fn connect(server: &'a TestServer) -> Self {
        let stream = TcpStream::connect(address(server))
            .await
            .expect("the server listens");
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .expect("the server speaks HTTP/2");
        tokio::spawn(connection);
        Self { server, sender }
    }

    /// Sends a request, and reads only the head of its response.
    async fn ask(&mut self, person: &Persona, path: &str) -> Response<Incoming> {
        let request = Request::get(format!("http://desk{path}"))
            .header("Authorization", format!("Bearer {}", self.server.token(person)))
            .body(Empty::new())
            .expect("a request");
        self.sender
            .send_request(request)
            .await
            .expect("the server responds")
    }

    /// Asserts that a response can be read completely.
    async fn assert_is_served(&mut self) {
        let response = self.ask(&ALICE, "/v1/me").await;
        let body = response.into_body().collect().await.expect("the whole response");
        let me: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        assert_eq!(me["subject"], ALICE.name);
    }
}

async fn responses_of_one_connection_that_nobody_reads_are_reset_and_the_others_go_on(database: Database) {
    let config = TestConfig {
        // Long enough for all responses to begin on a busy machine.
        server: "send_timeout = \"10s\"",
        limits: "requests_per_minute = 0\nevent_streams = 40\nexports = 8",
        ..TestConfig::default()
    };
    let (server, _process) = TestServer::as_process(database.clone(), config).await;
    // A stream begins with the id of the last event.
    server.rent(&ALICE, "key", "DE").await;
    write_audit_rows(&database).await;
    let mut client = Client::connect(&server).await;
    let mut unread = Vec::new();
    for (person, path, count) in [
        // As many as one team may have, of these settings.
        (&ALICE, "/v1/events/stream", EACH),
        (&OLGA, "/v1/audit/export", 4),
        (&ALICE, "/docs/swagger-ui-bundle.js", EACH),
    ] {
        for _ in 0..count {
            let response = client.ask(person, path).await;
            assert_eq!(response.status(), 200, "{path}");
            unread.push(response);
        }
    }
    for (person, path) in [(&ALICE, "/v1/events/stream"), (&OLGA, "/v1/audit/export")] {
        assert_eq!(client.ask(person, path).await.status(), 429, "{path}");
    }
    client.assert_is_served().await;
    Client::connect(&server).await.assert_is_served().await;
    let stalled = u64::try_from(unread.len()).expect("a small number");
    eventually("the server gives up all responses that nobody reads", || async {
        (given_up(&server).await >= stalled).then_some(())
    })
    .await;
    println!("{stalled} responses of one HTTP/2 connection that nobody reads: all given up");
    for response in unread {
        let read = response.into_body().collect().await;
        assert!(read.is_err(), "a response that was given up is incomplete");
    }
    // The connection and the shares of the team are free again.
    client.assert_is_served().await;
    for (person, path) in [(&ALICE, "/v1/events/stream"), (&OLGA, "/v1/audit/export")] {
        assert_eq!(client.ask(person, path).await.status(), 200, "{path}");
    }
}
