//! Paths with a slash at the end.

use serde_json::json;

use crate::support::database::{Database, on_sqlite};
use crate::support::personas::{ALICE, NEMO};
use crate::support::raw;
use crate::support::server::{TestServer, send, text};

on_sqlite! {
    a_read_with_a_trailing_slash_is_redirected_to_the_path_without_it,
    another_method_with_a_trailing_slash_is_404_and_names_the_path,
    a_redirect_never_leaves_this_host_and_reveals_nothing_about_objects,
}

async fn a_read_with_a_trailing_slash_is_redirected_to_the_path_without_it(database: Database) {
    let server = TestServer::new(database).await;
    for (path, location) in [
        ("/v1/orders/", "/v1/orders"),
        (
            "/v1/orders/?state=queued&limit=2",
            "/v1/orders?state=queued&limit=2",
        ),
        ("/v1/me/", "/v1/me"),
        ("/v1/phone-numbers/?label=a%20b", "/v1/phone-numbers?label=a%20b"),
        ("/v1/events/stream/?after=x", "/v1/events/stream?after=x"),
        ("/openapi.json/", "/openapi.json"),
        ("/problems/not-found/", "/problems/not-found"),
        ("/guides/orders/", "/guides/orders"),
        ("/guides/adr/README.md/", "/guides/adr/README.md"),
    ] {
        for method in ["GET", "HEAD"] {
            let response = send(server.request_as(&ALICE, method, path)).await;
            assert_eq!(
                (response.status, response.header("location")),
                (308, location),
                "{response}"
            );
            assert!(response.header("x-request-id").starts_with("req_"), "{response}");
        }
    }
    // These pages have a slash of their own.
    for page in ["/docs/", "/problems/"] {
        assert_eq!(send(server.request("GET", page)).await.status, 200, "{page}");
    }
}

async fn another_method_with_a_trailing_slash_is_404_and_names_the_path(database: Database) {
    let server = TestServer::new(database).await;
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders/")
        .header("Idempotency-Key", "key")
        .json(&json!({ "country": "DE", "carrier_type": "local" }));
    let problem = send(order).await.problem(404, "not-found");
    assert_eq!(
        problem["detail"],
        "Paths of this API do not end with a slash. Send the request to `/v1/orders`."
    );
    server.assert_nothing_happened().await;
    for (method, path, right) in [
        ("PATCH", "/v1/phone-numbers/phon_x/", "`/v1/phone-numbers/phon_x`"),
        (
            "DELETE",
            "/v1/phone-numbers/phon_x/",
            "`/v1/phone-numbers/phon_x`",
        ),
        (
            "PUT",
            "/v1/phone-numbers/phon_x/team/",
            "`/v1/phone-numbers/phon_x/team`",
        ),
        ("POST", "/webhooks/close/", "`/webhooks/close`"),
    ] {
        let problem = send(server.request(method, path)).await.problem(404, "not-found");
        assert!(text(&problem["detail"]).contains(right), "{problem}");
    }
}

async fn a_redirect_never_leaves_this_host_and_reveals_nothing_about_objects(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // Paths that no route has, however they are written.
    for path in [
        "//evil.example.com/",
        "///evil.example.com/",
        "//evil.example.com/v1/orders/",
        "/\\evil.example.com/",
        "/%2F%2Fevil.example.com/",
        "/https://evil.example.com/",
        "/v1/",
        "/v1/nothing/",
        "/v1/orders//",
        "/guides/nothing/",
        "/guides/orders//",
        "/guides/orders%2F",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let response = raw::exchange(&server, request.as_bytes()).await;
        assert_eq!(response.status, 404, "{path}: {response:?}");
        assert!(
            !response.text.to_lowercase().contains("\nlocation:"),
            "{path}: {response:?}"
        );
    }
    // A number of the team and an unknown one, with and without rights: the response is the same.
    let unknown = format!("phon_{}", "x".repeat(43));
    for id in [&number, &unknown] {
        let path = format!("/v1/phone-numbers/{id}/");
        for request in [
            server.request_as(&ALICE, "GET", &path),
            server.request_as(&NEMO, "GET", &path),
            server.request("GET", &path),
        ] {
            let response = send(request).await;
            let location = format!("/v1/phone-numbers/{id}");
            assert_eq!(
                (response.status, response.header("location")),
                (308, &*location),
                "{response}"
            );
        }
    }
}
