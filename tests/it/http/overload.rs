//! Overload: the service refuses excess requests early, with a `Retry-After` header, and serves everyone else.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::close::RENT;
use crate::support::database::{Database, on_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, DORA, LENA};
use crate::support::raw::{address, read_response, send_order};
use crate::support::server::{TestConfig, TestServer, send, text};

on_sqlite! {
    a_team_over_its_rate_limit_gets_429_with_retry_after_and_others_are_unaffected,
    without_a_rate_limit_there_are_no_ratelimit_headers,
    requests_over_the_limit_are_shed_but_webhooks_and_probes_are_not,
    with_too_many_waiting_requests_an_order_is_answered_202_and_still_fulfilled,
    slow_clients_take_no_capacity_from_fast_ones,
    while_close_fails_calls_are_suspended_and_no_order_is_dispatched,
}

/// Longer than any of these tests, so that the server does not disconnect their slow clients.
const HEADER_TIMEOUT: &str = "header_timeout = \"60s\"";

/// Returns a configuration with these lines in `[limits]`.
fn limited(limits: &'static str) -> TestConfig {
    TestConfig {
        server: HEADER_TIMEOUT,
        limits,
        ..TestConfig::default()
    }
}

/// How long Close takes to rent a number: long enough for a busy machine to send another request meanwhile.
const RENT_LATENCY: &str = "10s";

fn order_body() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

async fn a_team_over_its_rate_limit_gets_429_with_retry_after_and_others_are_unaffected(database: Database) {
    let server = TestServer::with(database, limited("requests_per_minute = 1\nburst = 3")).await;
    for (left, person) in [(2, &ALICE), (1, &LENA), (0, &ALICE)] {
        let answer = server.get(person, "/v1/me").await;
        answer.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), "\"team\";q=3;w=180");
        let header = answer.header("ratelimit");
        assert!(header.starts_with(&format!("\"team\";r={left};t=")), "{header}");
    }
    let answer = server.order(&ALICE, "too-much", &order_body()).await;
    answer.problem_snapshot(429, "rate-limited");
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "retry-after: {seconds}");
    assert!(
        answer.header("ratelimit").starts_with("\"team\";r=0;t="),
        "{answer}"
    );
    // Other problems carry the header too, if the caller is authenticated.
    let answer = server.get(&BOB, "/v1/orders/ord_none").await;
    answer.problem(404, "not-found");
    assert!(
        answer.header("ratelimit").starts_with("\"team\";r=2;"),
        "{answer}"
    );
    let unauthenticated = send(server.request("GET", "/v1/me")).await;
    unauthenticated.problem(401, "unauthorized");
    assert_eq!(unauthenticated.header("ratelimit"), "");
    // A token of two teams uses the rate limit of neither.
    server.get(&DORA, "/v1/me").await.expect(200);
    for _ in 0..5 {
        let forged = send(server.request("POST", "/webhooks/close").body("{}")).await;
        forged.problem_snapshot(401, "not-from-close");
        assert_eq!(server.at_ops("/readyz").await.status, 200);
    }
    let metrics = server.at_ops("/metrics").await.text;
    assert!(
        metrics.contains("numberdesk_requests_limited_total{team=\"sales\"}"),
        "{metrics}"
    );
    assert!(
        server.close.rents().await.is_empty(),
        "an order was sent to Close"
    );
}

async fn without_a_rate_limit_there_are_no_ratelimit_headers(database: Database) {
    let server = TestServer::new(database).await;
    let answer = server.get(&ALICE, "/v1/me").await;
    answer.expect(200);
    assert_eq!(
        (answer.header("ratelimit"), answer.header("ratelimit-policy")),
        ("", "")
    );
}

async fn requests_over_the_limit_are_shed_but_webhooks_and_probes_are_not(database: Database) {
    let config = limited("requests_per_minute = 0\nin_flight = 2\nwaiting_orders = 2");
    let server = TestServer::with(database, config).await;
    server.close.set(json!({ "rent_latency": RENT_LATENCY })).await;
    let mut waiting = [
        send_order(&server, &ALICE, "one", &order_body()).await,
        send_order(&server, &ALICE, "two", &order_body()).await,
    ];
    server.close.wait_for_requests("POST", RENT, 2).await;
    let shed = server.get(&BOB, "/v1/me").await;
    shed.problem_snapshot(503, "busy");
    assert_eq!(shed.header("retry-after"), "1");
    let forged = send(server.request("POST", "/webhooks/close").body("{}")).await;
    forged.problem(401, "not-from-close");
    assert_eq!(server.at_ops("/readyz").await.status, 200);
    let metrics = server.at_ops("/metrics").await.text;
    assert!(
        !metrics.contains("numberdesk_requests_shed_total 0\n"),
        "{metrics}"
    );
    for stream in &mut waiting {
        assert_eq!(read_response(stream).await.status, 201);
    }
    eventually("there is capacity again", || async {
        (server.get(&BOB, "/v1/me").await.status == 200).then_some(())
    })
    .await;
}

async fn with_too_many_waiting_requests_an_order_is_answered_202_and_still_fulfilled(database: Database) {
    let config = limited("requests_per_minute = 0\nwaiting_orders = 1");
    let server = TestServer::with(database, config).await;
    server.close.set(json!({ "rent_latency": RENT_LATENCY })).await;
    let mut waiting = send_order(&server, &ALICE, "one", &order_body()).await;
    server.close.wait_for_requests("POST", RENT, 1).await;
    let second = server.order(&ALICE, "two", &order_body()).await;
    let order = second.expect(202);
    assert_eq!(second.header("preference-applied"), "wait=0");
    assert_eq!(read_response(&mut waiting).await.status, 201);
    server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
}

async fn slow_clients_take_no_capacity_from_fast_ones(database: Database) {
    let config = limited("requests_per_minute = 0\nin_flight = 20");
    let server = TestServer::with(database, config).await;
    let token = server.token(&LENA);
    let slow_head = "GET /v1/me HTTP/1.1\r\nHost: desk\r\nX-Slow: ".to_owned();
    let slow_body = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: slow\r\n\
         Content-Type: application/json\r\nContent-Length: 60\r\n\r\n{{\"coun"
    );
    let slow_delivery =
        "POST /webhooks/close HTTP/1.1\r\nHost: desk\r\nContent-Length: 60\r\n\r\n{\"ev".to_owned();
    let idle = String::new();
    let mut slow = Vec::new();
    for (request, clients) in [
        (slow_head, 200),
        (slow_body, 30),
        (slow_delivery, 100),
        (idle, 200),
    ] {
        for _ in 0..clients {
            let mut stream = TcpStream::connect(address(&server)).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    for nth in 0..20 {
        server.get(&ALICE, "/v1/phone-numbers").await.expect(200);
        let forged = send(server.request("POST", "/webhooks/close").body("{}")).await;
        forged.problem(401, "not-from-close");
        if nth % 10 == 0 {
            server
                .order(&ALICE, &format!("fast-{nth}"), &order_body())
                .await
                .expect(201);
        }
    }
    drop(slow);
    assert_eq!(server.close.rents().await.len(), 2);
}

async fn while_close_fails_calls_are_suspended_and_no_order_is_dispatched(database: Database) {
    let config = TestConfig {
        timeout: "10s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "before", "DE").await;
    // Paid calls (POST) would succeed.
    let down = |method| json!({ "method": method, "answer": { "status": 503, "body": "down" } });
    server.close.fault(json!([down("GET"), down("PUT")])).await;
    let mut calls = Vec::new();
    for nth in 0..8 {
        let answer = server
            .patch(&ALICE, &number, &json!({ "label": format!("l{nth}") }))
            .await;
        answer.problem(502, "close-unavailable");
        calls.push(server.close.requests("PUT", "/phone_number/{id}/").await.len());
    }
    // The service retries the first calls. Later ones fail without a request, because the circuit breaker is open.
    assert!(calls[7] < 8 * calls[0], "{calls:?}");
    let order = server
        .order_at_once(&ALICE, "void", &order_body())
        .await
        .expect(202);
    let probes = server.close.requests("GET", "/me/").await.len();
    server.close.wait_for_requests("GET", "/me/", probes + 2).await;
    assert_eq!(
        server.close.rents().await.len(),
        1,
        "an order was used to probe Close"
    );
    server.close.clear_faults().await;
    let order = server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    assert_eq!(order["evidence"], "close-201");
    assert_eq!(server.close.rents().await.len(), 2);
}
