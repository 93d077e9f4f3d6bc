//! Pages of other origins in browsers: closed by default, and open for the origins of the settings.

use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::database::{Database, on_sqlite};
use crate::support::personas::{ALICE, NEMO};
use crate::support::response::ApiResponse;
use crate::support::server::{TestConfig, TestServer, send};

on_sqlite! {
    a_page_of_a_listed_origin_may_call_and_reads_headers_and_problems,
    pages_of_other_origins_get_no_permission,
    the_ops_port_and_the_webhook_of_close_are_for_no_page,
}

const ORIGIN: &str = "https://app.example.com";

fn open() -> TestConfig {
    TestConfig {
        server: "cors_origins = [\"https://App.Example.com:443\", \"http://localhost:3000\"]\nbody_limit = 1024",
        ..TestConfig::default()
    }
}

fn preflight(request: RequestBuilder, origin: &str) -> RequestBuilder {
    request
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,idempotency-key")
}

#[track_caller]
fn allows(response: &ApiResponse, origin: &str) {
    assert_eq!(
        response.header("access-control-allow-origin"),
        origin,
        "{response}"
    );
    assert_eq!(
        response.header("access-control-allow-credentials"),
        "",
        "{response}"
    );
}

async fn a_page_of_a_listed_origin_may_call_and_reads_headers_and_problems(database: Database) {
    let server = TestServer::with(database, open()).await;
    for origin in [ORIGIN, "http://localhost:3000"] {
        // A browser sends no token with a preflight.
        for path in ["/v1/orders", "/v1/events/stream", "/no/such/path"] {
            let response = send(preflight(server.request("OPTIONS", path), origin)).await;
            assert_eq!((response.status, response.text.as_str()), (200, ""), "{response}");
            allows(&response, origin);
            assert!(!response.header("x-request-id").is_empty(), "{response}");
            let allowed = response.header("access-control-allow-headers").to_owned();
            for name in [
                "authorization",
                "content-type",
                "idempotency-key",
                "if-match",
                "if-none-match",
                "last-event-id",
                "prefer",
                "traceparent",
                "tracestate",
            ] {
                assert!(allowed.split(',').any(|other| other == name), "{name}: {allowed}");
            }
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                assert!(response.header("access-control-allow-methods").contains(method));
            }
        }
    }
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Origin", ORIGIN)
        .header("Idempotency-Key", "one")
        .json(&json!({ "country": "DE", "carrier_type": "local" }));
    let order = send(order).await;
    order.expect(201);
    allows(&order, ORIGIN);
    let exposed = order.header("access-control-expose-headers").to_owned();
    // Every header that the OpenAPI document names can be read, and so can those that say how to go on.
    let document = server.request("GET", "/openapi.json");
    let document = send(document).await.json();
    let documented = document["components"]["headers"].as_object().expect("headers");
    let names = documented.keys().map(|name| name.to_ascii_lowercase());
    for name in names.chain(["link", "ratelimit-policy", "allow", "deprecation"].map(str::to_owned)) {
        assert!(exposed.split(',').any(|other| other == name), "{name}: {exposed}");
    }
    let from = |request: RequestBuilder| request.header("Origin", ORIGIN);
    let large = json!({ "country": "DE", "label": "x".repeat(2_000) });
    for (request, status) in [
        (server.request("GET", "/v1/orders"), 401),
        (server.request_as(&NEMO, "GET", "/v1/orders"), 403),
        (server.request("GET", "/no/such/path"), 404),
        (server.request_as(&ALICE, "PATCH", "/v1/orders"), 405),
        (
            server
                .request_as(&ALICE, "POST", "/v1/orders")
                .header("Idempotency-Key", "large")
                .json(&large),
            413,
        ),
        (server.request("GET", &format!("/{}", "x".repeat(9_000))), 414),
    ] {
        let response = send(from(request)).await;
        assert_eq!(response.status, status, "{response}");
        allows(&response, ORIGIN);
        assert!(
            response
                .header("access-control-expose-headers")
                .contains("x-request-id")
        );
        assert!(
            response
                .header("content-type")
                .starts_with("application/problem+json")
        );
    }
}

async fn pages_of_other_origins_get_no_permission(database: Database) {
    let server = TestServer::with(database, open()).await;
    for origin in [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.com",
        "null",
    ] {
        let response = send(preflight(server.request("OPTIONS", "/v1/orders"), origin)).await;
        assert_eq!(response.header("access-control-allow-origin"), "", "{response}");
        let request = server
            .request_as(&ALICE, "GET", "/v1/me")
            .header("Origin", origin);
        let response = send(request).await;
        assert_eq!(response.header("access-control-allow-origin"), "", "{response}");
    }
    // A client that is no browser still learns that the method does not exist.
    let response = send(server.request("OPTIONS", "/v1/orders")).await;
    response.problem(405, "method-not-allowed");
}

async fn the_ops_port_and_the_webhook_of_close_are_for_no_page(database: Database) {
    let server = TestServer::with(database, open()).await;
    let webhook = send(preflight(server.request("OPTIONS", "/webhooks/close"), ORIGIN)).await;
    assert_eq!(webhook.status, 405, "{webhook}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = client
        .get(format!("{}/readyz", server.ops))
        .header("Origin", ORIGIN);
    for response in [webhook, send(ready).await] {
        for name in [
            "access-control-allow-origin",
            "access-control-expose-headers",
            "vary",
        ] {
            assert_eq!(response.header(name), "", "{name}: {response}");
        }
    }
}
