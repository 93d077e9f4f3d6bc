//! Shutdown: probes report it at once, no new work is accepted, and running work is finished.
//!
//! A second signal ends the process without waiting.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::binary::{command, end, send_sigterm};
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::raw;
use crate::support::server::{TestConfig, TestServer, text};

on_both_stores! {
    a_stopping_process_is_not_ready_and_accepts_no_connections_but_finishes_its_rent,
    a_draining_process_still_responds_and_closes_its_connections,
    queued_orders_stay_queued_at_shutdown_and_are_sent_by_the_next_process,
    a_second_signal_ends_the_process_at_once_and_no_rent_is_sent_twice,
    an_unfinished_request_does_not_prevent_shutdown,
}

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

/// Sends a request on a new connection.
///
/// `Content-Length` is always that of an order. A shorter body leaves the request unfinished.
async fn send_raw(server: &TestServer, head: &str, body: &str) -> TcpStream {
    let address = server.api.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let token = server.token(&ALICE);
    let request = format!(
        "{head} HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: key\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        berlin().to_string().len()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the request is written");
    stream
}

/// Returns the report of `/readyz` once the process is stopping.
async fn wait_until_stopping(server: &TestServer) -> Value {
    eventually("the process reports that it is stopping", || async {
        let ready = server.at_ops("/readyz").await;
        (ready.status == 503).then(|| ready.json())
    })
    .await
}

/// Asserts that the server closes the connection without sending anything more.
async fn assert_hangs_up(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut rest));
    // Errors are ignored: a connection that is reset ends with one.
    let _ = read.await.expect("the server hangs up in time");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

async fn a_stopping_process_is_not_ready_and_accepts_no_connections_but_finishes_its_rent(
    database: Database,
) {
    let (mut server, mut desk) = TestServer::as_process(database, TestConfig::default()).await;
    server.wait_until_synced().await;
    let ready = server.at_ops("/readyz").await;
    assert_eq!((ready.status, &ready.json()["stopping"]), (200, &json!(false)));
    // Long enough for all that is asserted while the rent is running.
    server.close.set(json!({ "rent_latency": "12s" })).await;
    let mut idle = send_raw(&server, "GET /v1/me", &berlin().to_string()).await;
    let response = raw::read_response(&mut idle).await;
    assert!(response.status == 200 && !response.closed, "{response:?}");
    let mut waiting = send_raw(&server, "POST /v1/orders", &berlin().to_string()).await;
    server.close.wait_for_requests("POST", RENT, 1).await;

    send_sigterm(&desk.child).await;
    let report = wait_until_stopping(&server).await;
    assert_eq!(
        (&report["ready"], &report["stopping"], &report["database"]),
        (&json!(false), &json!(true), &json!("ok"))
    );
    assert_eq!(server.at_ops("/livez").await.status, 200);
    assert_eq!(server.at_ops("/metrics").await.status, 200);
    let address = server.api.strip_prefix("http://").expect("a URL").to_owned();
    eventually("the API port is closed", || async {
        TcpStream::connect(&address).await.err().map(drop)
    })
    .await;
    assert_hangs_up(idle).await;
    assert!(server.close.held().await.is_empty(), "the rent ended too early");
    // The client that waits for the rent gets its response, and the connection is closed.
    let response = raw::read_response(&mut waiting).await;
    assert_eq!(response.status, 201, "{response:?}");
    assert!(
        response.text.contains("\r\nconnection: close\r\n"),
        "{response:?}"
    );
    assert_hangs_up(waiting).await;
    assert_eq!(end(&mut desk.child).await, 0);
    let ops = server.ops.strip_prefix("http://").expect("a URL");
    assert!(TcpStream::connect(ops).await.is_err());

    server.start().await;
    let order = server.order(&ALICE, "key", &berlin()).await.expect(201);
    assert_eq!(order["evidence"], "close-201");
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_draining_process_still_responds_and_closes_its_connections(database: Database) {
    let config = TestConfig {
        server: "drain = \"2m\"\nheader_timeout = \"2m\"",
        ..TestConfig::default()
    };
    let (server, mut desk) = TestServer::as_process(database, config).await;
    let mut idle = send_raw(&server, "GET /v1/me", &berlin().to_string()).await;
    let response = raw::read_response(&mut idle).await;
    assert!(response.status == 200 && !response.closed, "{response:?}");
    send_sigterm(&desk.child).await;
    assert_eq!(wait_until_stopping(&server).await["stopping"], true);
    let mut order = send_raw(&server, "POST /v1/orders", &berlin().to_string()).await;
    let response = raw::read_response(&mut order).await;
    assert_eq!(response.status, 201, "{response:?}");
    assert!(
        response.text.contains("\r\nconnection: close\r\n"),
        "{response:?}"
    );
    assert_hangs_up(order).await;
    // A connection that was open before can still be used for one request.
    idle.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: desk\r\n\r\n")
        .await
        .expect("the request is written");
    let response = raw::read_response(&mut idle).await;
    assert!(
        response.status == 200 && response.text.contains("\r\nconnection: close\r\n"),
        "{}",
        response.status
    );
    send_sigterm(&desk.child).await;
    assert_eq!(end(&mut desk.child).await, 1, "a second signal ends the process");
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn queued_orders_stay_queued_at_shutdown_and_are_sent_by_the_next_process(database: Database) {
    let config = TestConfig {
        server: "grace = \"2s\"",
        ..TestConfig::default()
    };
    let (mut server, mut desk) = TestServer::as_process(database.clone(), config).await;
    // Long enough that the signal arrives before the first of the eight concurrent rents ends.
    server.close.set(json!({ "rent_latency": "12s" })).await;
    let mut orders = Vec::new();
    for nth in 0..10 {
        let order = server
            .order_at_once(&ALICE, &format!("key-{nth}"), &berlin())
            .await
            .expect(202);
        orders.push(text(&order["id"]));
    }
    server.close.wait_for_requests("POST", RENT, 8).await;
    // The last client would wait for 25 s, longer than the grace period. At shutdown it gets a 202 instead.
    let mut waiting = send_raw(&server, "POST /v1/orders", &berlin().to_string()).await;
    let last = eventually("the order is accepted", || async {
        let found = server.list(&ALICE, "/v1/orders?idempotency_key=key").await;
        found.first().map(|order| text(&order["id"]))
    })
    .await;
    orders.push(last);
    send_sigterm(&desk.child).await;
    let response = raw::read_response(&mut waiting).await;
    assert!(
        response.status == 202 && response.text.contains("\"state\":\"queued\""),
        "{response:?}"
    );
    assert_eq!(end(&mut desk.child).await, 0);
    assert_eq!(server.close.rents().await.len(), 8);
    for (state, count) in [("queued", 3), ("fulfilled", 8)] {
        let query = format!("SELECT COUNT(*) FROM orders WHERE state = '{state}'");
        assert_eq!(database.query_integer(&query).await, count, "{state}");
    }
    server.close.set(json!({ "rent_latency": "0s" })).await;
    server.start().await;
    for order in &orders {
        server.wait_for_state(&ALICE, order, "fulfilled").await;
    }
    assert_eq!(server.close.rents().await.len(), 11);
    assert_eq!(server.close.held().await.len(), 11);
}

async fn a_second_signal_ends_the_process_at_once_and_no_rent_is_sent_twice(database: Database) {
    let (mut server, mut desk) = TestServer::as_process(database.clone(), TestConfig::default()).await;
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": "hang", "effect": true }))
        .await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    let id = text(&order["id"]);
    server.close.wait_for_requests("POST", RENT, 1).await;
    send_sigterm(&desk.child).await;
    wait_until_stopping(&server).await;
    send_sigterm(&desk.child).await;
    assert_eq!(end(&mut desk.child).await, 1);
    assert!(!desk.log().contains("panicked"), "{}", desk.log());

    // The next process finds the order in `renting`. It does not send the rent again, because the result is unknown.
    let desk = server.start_process().await;
    let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
    assert_eq!(order["state"], "renting");
    database
        .execute("UPDATE orders SET lease_until = 1 WHERE state = 'renting'")
        .await;
    let order = server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(order["evidence"], "found-by-reconciliation");
    assert_eq!(server.close.rents().await.len(), 1);
    drop(desk);
}

async fn an_unfinished_request_does_not_prevent_shutdown(database: Database) {
    let config = TestConfig {
        server: "grace = \"1s\"",
        ..TestConfig::default()
    };
    let (mut server, mut desk) = TestServer::as_process(database, config).await;
    let stream = send_raw(&server, "POST /v1/orders", "{").await;
    // A later request on another connection has a response, so the server has accepted the unfinished one.
    server.get(&ALICE, "/v1/me").await.expect(200);
    send_sigterm(&desk.child).await;
    assert_eq!(end(&mut desk.child).await, 0);
    assert_hangs_up(stream).await;
    server.start().await;
    server.assert_nothing_happened().await;
}

#[tokio::test]
async fn dev_exits_at_once_on_a_second_signal() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it has an address").port().to_string();
    let mut dev = command(folder.path(), &["dev", "--dir", "one", "--port", &port]);
    let out = folder.path().join("out");
    let file = std::fs::File::create(&out).expect("the file can be written");
    let errors = std::fs::File::create(folder.path().join("errors")).expect("the file can be written");
    let mut dev = dev
        .stdout(file)
        .stderr(errors)
        .spawn()
        .expect("dev can be started");
    let printed = eventually("dev has ended its demo", || async {
        let printed = std::fs::read_to_string(&out).expect("the file can be read");
        printed.contains("Press Ctrl-C to stop").then_some(printed)
    })
    .await;
    let word = |ends: &str| {
        let found = printed.split_whitespace().find(|word| word.ends_with(ends));
        found.expect("dev prints this URL").to_owned()
    };
    let close = word("/_control/requests").replace("/requests", "");
    let api = word("/openapi.json").replace("/openapi.json", "");
    let alice = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("ALICE='"));
    let alice = alice.expect("Alice has a token").trim_end_matches('\'');
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let fault = json!({ "path": RENT, "answer": "hang" });
    let armed = client.post(format!("{close}/faults")).json(&fault).send().await;
    assert!(armed.expect("a response").status().is_success());
    let order = client
        .post(format!("{api}/v1/orders"))
        .bearer_auth(alice)
        .header("Idempotency-Key", "dev")
        .header("Prefer", "wait=0")
        .json(&json!({ "country": "DE", "carrier_type": "mobile" }));
    assert_eq!(order.send().await.expect("a response").status(), 202);
    let arrived = format!("{close}/requests?method=POST&path={RENT}&at_least=2&timeout=30s");
    client.get(arrived).send().await.expect("a response");

    send_sigterm(&dev).await;
    let ready = word("/readyz");
    eventually("dev reports that it is stopping", || async {
        let answer = client.get(&ready).send().await.expect("the ops port responds");
        (answer.status() == 503).then_some(())
    })
    .await;
    send_sigterm(&dev).await;
    assert_eq!(end(&mut dev).await, 1);
    let errors = std::fs::read_to_string(folder.path().join("errors")).expect("the file can be read");
    assert!(errors.contains("second signal"), "{errors}");
    // The port and the database are free again.
    let again = crate::support::binary::run(
        folder.path(),
        &["dev", "--exit-after-tour", "--dir", "one", "--port", &port],
    )
    .await;
    assert_eq!(again.code, 0, "{again:?}");
}
