//! URLs and bodies that are refused.

use serde_json::{Value, json};

use super::{APP, ENDPOINTS, register};
use crate::support::database::{Database, on_both_stores};
use crate::support::server::{TestServer, send, text};

on_both_stores! {
    a_forbidden_url_is_refused_at_registration_and_at_every_change,
    an_invalid_body_is_refused_with_a_pointer_to_the_fault,
}

async fn a_forbidden_url_is_refused_at_registration_and_at_every_change(database: Database) {
    let server = TestServer::new(database).await;
    let good = register(&server, &APP, &json!({ "url": "https://127.0.0.1/hook" }))
        .await
        .expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&good["id"]));
    for (url, expected) in [
        ("https://169.254.169.254/latest/meta-data/", "metadata"),
        ("https://[::ffff:10.0.0.1]/", "webhooks.networks"),
        ("https://[64:ff9b::a00:1]/", "webhooks.networks"),
        ("https://100.64.0.1/", "webhooks.networks"),
        ("https://127.0.0.2/", "webhooks.networks"),
        ("https://2130706434/", "webhooks.networks"),
        ("https://017700000002/", "webhooks.networks"),
        ("https://0x7f000002/", "webhooks.networks"),
        ("https://8.8.8.8/", "webhooks.networks"),
        ("https://localhost./", "dot"),
        ("https://127.0.0.1:6379/", "webhooks.ports"),
        ("https://127.0.0.1@example.com/", "user"),
        ("https://example.com@127.0.0.1/", "user"),
        ("https://127.0.0.1/#x", "fragment"),
        ("https://example.com/", "webhooks.hosts"),
        ("https://loc\u{430}lhost/", "webhooks.hosts"),
        ("http://8.8.8.8:443/", "webhooks.networks"),
        ("ftp://127.0.0.1/", "https"),
        ("javascript:alert(1)", "https"),
        ("/hook", "absolute URL"),
        ("", "absolute URL"),
    ] {
        let body = json!({ "url": url });
        for refused in [
            register(&server, &APP, &body).await,
            send(server.request_as(&APP, "PATCH", &path).json(&body)).await,
        ] {
            let problem = refused.problem(400, "invalid-request");
            let fault = &problem["errors"][0];
            assert_eq!(fault["pointer"], "/url", "{url}: {problem}");
            assert!(text(&fault["message"]).contains(expected), "{url}: {problem}");
        }
    }
    // For an allowed host name the addresses that it resolves to decide.
    let localhost = register(&server, &APP, &json!({ "url": "https://localhost/hook" })).await;
    if localhost.status != 201 {
        // On this machine `localhost` also resolves to [::1], which is not allowed.
        localhost.problem(400, "invalid-request");
    }
    assert_eq!(
        server.get(&APP, &path).await.expect(200)["url"],
        "https://127.0.0.1/hook"
    );
    let rows = server
        .list(&APP, "/v1/audit?action=webhook_endpoint.update")
        .await;
    assert!(rows.is_empty(), "{rows:?}");
}

async fn an_invalid_body_is_refused_with_a_pointer_to_the_fault(database: Database) {
    let server = TestServer::new(database).await;
    let good = json!({ "url": "https://127.0.0.1/hook" });
    let endpoint = register(&server, &APP, &good).await.expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&endpoint["id"]));
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, pointer) in [
        (json!({}), ""),
        (json!([]), ""),
        (with("url", json!(5)), "/url"),
        (
            with("url", json!(format!("https://127.0.0.1/{}", "x".repeat(2_048)))),
            "/url",
        ),
        (with("types", json!([])), "/types"),
        (with("types", json!(["order.done"])), "/types/0"),
        (with("types", json!(["order.*", "order.*"])), "/types/1"),
        (with("types", json!(["*"])), "/types/0"),
        (with("types", json!(["webhook_endpoint.test"])), "/types/0"),
        (with("description", json!("x".repeat(256))), "/description"),
        (with("team", json!("a b")), "/team"),
        (with("secret", json!("mine")), "/secret"),
        (with("id", json!("we_1")), "/id"),
    ] {
        let problem = register(&server, &APP, &body)
            .await
            .problem(400, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
        let is_duplicate = problem["errors"][0]["message"] == "is a duplicate in the list";
        assert_eq!(is_duplicate, pointer == "/types/1", "{body}: {problem}");
    }
    for (changes, pointer) in [
        (json!({}), ""),
        (json!({ "url": null }), "/url"),
        (
            json!({ "types": ["order.queued", "order.*", "order.queued"] }),
            "/types/2",
        ),
        (json!({ "state": "paused" }), "/state"),
        (json!({ "team": "support" }), "/team"),
    ] {
        let problem = send(server.request_as(&APP, "PATCH", &path).json(&changes))
            .await
            .problem(400, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{changes}: {problem}");
    }
    for (body, pointer) in [
        (json!({}), ""),
        (json!({ "since": "yesterday" }), "/since"),
        (
            json!({ "since": "2026-11-23T10:00:00Z", "until": "2026-11-23T09:00:00Z" }),
            "/until",
        ),
        (json!({ "since": "2026-11-23T10:00:00Z", "all": true }), "/all"),
    ] {
        let request = server
            .request_as(&APP, "POST", &format!("{path}/replay"))
            .json(&body);
        let problem = send(request).await.problem(400, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
    }
    let query = server.get(&APP, &format!("{path}/deliveries?state=lost")).await;
    query.problem(400, "invalid-request");
    assert_eq!(server.list(&APP, ENDPOINTS).await.len(), 1);
}
