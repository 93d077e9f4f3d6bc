//! Malformed and hostile requests: each gets a 4xx problem document in bounded time.
//!
//! Nothing is stored or sent to Close, and the service works as before.

mod body;
mod protocol;
mod url;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::personas::{ALICE, LENA, NEMO, OLGA};
use crate::support::raw::{self, exchange};
use crate::support::response::ApiResponse;
use crate::support::server::{TestConfig, TestServer, send};

on_both_stores! {
    text_from_callers_is_never_interpreted_as_markup,
}

const ORDERS: &str = "/v1/orders";

/// Sends an order with this body.
async fn post_order(server: &TestServer, body: impl Into<reqwest::Body>) -> ApiResponse {
    let request = server
        .request_as(&ALICE, "POST", ORDERS)
        .header("Idempotency-Key", "bad");
    send(request.header("Content-Type", "application/json").body(body)).await
}

/// Asserts that the URI of the problem type is the address of a page.
async fn assert_documented(server: &TestServer, problem: &Value) {
    let page = send(server.request("GET", problem["type"].as_str().expect("a problem has a type"))).await;
    assert_eq!(page.status, 200, "{problem} has no page");
}

/// Asserts that no order was stored or sent to Close, and that the service still answers.
async fn assert_unaffected(server: &TestServer) {
    server.assert_nothing_happened().await;
    server.get(&ALICE, "/v1/me").await.expect(200);
}

async fn text_from_callers_is_never_interpreted_as_markup(database: Database) {
    let server = TestServer::new(database).await;
    let payload = "<script>alert(1)</script>\u{202e}=cmd|' /C calc'!A0";
    let body = json!({ "country": "DE", "carrier_type": "local", "label": payload });
    let order = server.order(&ALICE, "xss", &body).await;
    assert_eq!(order.expect(201)["request"]["label"], payload);
    for path in ["/v1/orders", "/v1/phone-numbers", "/v1/audit"] {
        let response = server.get(&LENA, path).await;
        response.expect(200);
        assert_eq!(response.header("x-content-type-options"), "nosniff");
    }
    for path in [
        "/problems/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/%3Cscript%3E",
        "/docs/%3Cscript%3E",
    ] {
        let response = send(server.request("GET", path)).await;
        assert!(
            !response.header("content-type").contains("html") || !response.text.contains("<script>alert"),
            "{response}"
        );
    }
    for path in ["/docs", "/docs/", "/problems/policy-denied"] {
        let response = send(server.request("GET", path)).await;
        if response.header("content-type").contains("html") {
            let policy = response.header("content-security-policy");
            assert!(
                policy.contains("default-src 'none'") || policy.contains("default-src 'self'"),
                "{response}"
            );
            let scripts = policy
                .split(';')
                .find(|part| part.trim().starts_with("script-src"))
                .unwrap_or_default();
            assert!(!scripts.contains("unsafe"), "{policy}");
        }
    }
}
