//! No secret leaks: a process at log level `trace` serves every route and every kind of failure.
//!
//! Then the test searches all responses, logs, metrics, traces and the database for every secret.

use base64::Engine as _;
use serde_json::json;

use crate::support::database::{Database, contents, on_both_stores};
use crate::support::personas::{ALICE, LENA, NEMO, OLGA, Persona};
use crate::support::receiver::Receiver;
use crate::support::response::ApiResponse;
use crate::support::server::{MASTER, TestConfig, TestServer, WEBHOOK_KEY, send};

on_both_stores! {no_secret_is_in_any_response_log_metric_trace_or_database}

/// A secret that clients send in wrong places. It must not appear anywhere.
const CANARY: &str = "canary-0a1b2c3d4e5f";

const EVERYONE: [&Persona; 4] = [&ALICE, &LENA, &OLGA, &NEMO];

async fn no_secret_is_in_any_response_log_metric_trace_or_database(database: Database) {
    let mut config = TestConfig {
        timeout: "2s",
        full_sync: "1s",
        ..TestConfig::default()
    };
    config.close.numbers = 1;
    let mut server = TestServer::with(database, config).await;
    server.stop().await;
    let collector = Receiver::start().await;
    let endpoint = format!("http://127.0.0.1:{}/v1/traces", collector.port());
    let mut desk = server
        .start_process_with(&[("NUMBERDESK_TRACES__ENDPOINT", &endpoint)])
        .await;
    server.wait_until_synced().await;

    let responses = send_all_requests(&server).await;
    send_canary_to_every_route(&server).await;
    let metrics = server.at_ops("/metrics").await.text;
    assert_eq!(desk.terminate().await, 0);
    let traced: String = collector
        .got()
        .iter()
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();

    let key = server.close.api_key();
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{key}:"));
    let mut secrets = vec![
        ("the API key", key.to_owned()),
        (
            "the API key in Basic authentication",
            encoded.trim_end_matches('=').to_owned(),
        ),
    ];
    secrets.push((
        "a part of the API key",
        key.split('.').nth(1).expect("a key has two parts").to_owned(),
    ));
    secrets.push(("the signature key", WEBHOOK_KEY.to_owned()));
    secrets.push(("the master secret of webhooks", MASTER.to_owned()));
    for person in EVERYONE {
        // Tokens differ from second to second, but the beginning of their claims is constant.
        let token = server.token(person);
        let claims = token
            .split('.')
            .nth(1)
            .expect("a token has three parts")
            .to_owned();
        secrets.push(("a token", claims[..40].to_owned()));
    }
    let stored = contents(&server.database).await;
    let log = desk.log();
    assert!(
        log.len() > 2000 && log.contains("order settled"),
        "the log was captured"
    );
    assert!(stored.len() > 2000, "the database was read");
    assert!(traced.contains("POST /v1/orders"), "traces were exported");
    for (place, text) in [
        ("a metric", &metrics),
        ("the log", &log),
        ("the database", &stored),
        ("a trace", &traced),
    ] {
        assert!(
            !text.contains(CANARY),
            "a secret that a client sent by mistake is in {place}"
        );
    }
    for (what, secret) in &secrets {
        for (place, text) in [
            ("a response or a metric", &responses),
            ("the log", &log),
            ("the database", &stored),
            ("a trace", &traced),
        ] {
            let found = text.find(secret.as_str()).map(|at| {
                text[at.saturating_sub(200)..]
                    .chars()
                    .take(400)
                    .collect::<String>()
            });
            assert!(
                found.is_none(),
                "{what} is in {place}: {}",
                found.unwrap_or_default()
            );
        }
    }
    // No phone number is in the log, although many were used.
    for number in server.close.held().await {
        let number = number["number"].as_str().expect("a number").to_owned();
        for (place, text) in [("the log", &log), ("a trace", &traced), ("a metric", &metrics)] {
            assert!(!text.contains(&number), "a phone number is in {place}");
        }
    }
}

/// Sends requests to every route as every user, and with every failure of Close. Returns all responses.
async fn send_all_requests(server: &TestServer) -> String {
    let mut responses = String::new();
    let mut note =
        |response: ApiResponse| responses.extend([format!("{:?}\n", response.headers), response.text]);
    let body = json!({ "country": "DE", "carrier_type": "local", "label": "x" });
    for person in EVERYONE {
        let name = person.name;
        note(server.order(person, name, &body).await);
        note(
            server
                .order(
                    person,
                    name,
                    &json!({ "country": "DE", "secret": server.token(person) }),
                )
                .await,
        );
        for path in [
            "/v1/me",
            "/v1/orders",
            "/v1/phone-numbers",
            "/v1/audit",
            "/v1/audit/export",
            "/v1/spend?month=2026-11",
            "/v1/webhook-endpoints",
            "/v1/nothing",
            "/v1/orders?limit=0",
            "/openapi.json",
            "/docs",
        ] {
            note(server.get(person, path).await);
        }
        for method in ["PATCH", "DELETE", "PUT"] {
            note(
                send(
                    server
                        .request_as(person, method, "/v1/phone-numbers/phon_x")
                        .body("{"),
                )
                .await,
            );
        }
        // A token in wrong places.
        let token = server.token(person);
        note(send(server.request("GET", &format!("/v1/me?access_token={token}"))).await);
        note(send(server.request("GET", "/v1/me").bearer_auth(format!("{token}x"))).await);
        note(send(server.request("GET", "/v1/me").header("Authorization", &token)).await);
    }
    for (key, fault) in [
        (
            "e1",
            json!({ "answer": { "status": 500, "body": "<html>oops</html>" } }),
        ),
        ("e2", json!({ "answer": "drop_before_headers" })),
        ("e3", json!({ "answer": "redirect" })),
        ("e4", json!({ "answer": "hang" })),
        ("e5", json!({ "answer": "garbage" })),
        ("e6", json!({ "answer": { "status": 401 } })),
    ] {
        server.close.fault(fault).await;
        note(
            server
                .order_at_once(&ALICE, key, &json!({ "country": "FR" }))
                .await,
        );
        let me = server.close.requests("GET", "/me/").await.len();
        server.close.wait_for_requests("GET", "/me/", me + 1).await;
        server.close.clear_faults().await;
    }
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        note(server.at_ops(path).await);
    }
    responses
}

/// Calls every operation with the canary wherever a client may put a secret by mistake.
///
/// The operations come from the OpenAPI document.
async fn send_canary_to_every_route(server: &TestServer) {
    let document = server.get(&ALICE, "/openapi.json").await.json();
    let mut operations_called = 0;
    for (template, operations) in document["paths"].as_object().expect("the document has paths") {
        let path: String = template
            .split('/')
            .map(|part| if part.starts_with('{') { CANARY } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if operations.get(method.to_lowercase()).is_none() {
                continue;
            }
            let request = |path: &str| {
                let mut request = server
                    .request(method, path)
                    .body(json!({ "secret": CANARY }).to_string());
                for name in [
                    "cookie",
                    "x-api-key",
                    "proxy-authorization",
                    "tracestate",
                    "baggage",
                    "referer",
                ] {
                    request = request.header(name, format!("k={CANARY}"));
                }
                request.header("content-type", "application/json")
            };
            let path_with_token = format!("{path}?access_token={CANARY}");
            send(request(&path_with_token).bearer_auth(server.token(&OLGA))).await;
            send(request(&path).bearer_auth(CANARY)).await;
            send(request(&path).basic_auth(CANARY, Some(CANARY))).await;
            operations_called += 1;
        }
    }
    assert!(operations_called > 30, "{operations_called} operations");
}
