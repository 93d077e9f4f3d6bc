//! A team never sees or changes objects of another team.
//!
//! The test matrix comes from the OpenAPI document: a new route is included automatically, or the test fails.

use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::personas::{ALICE, BOB, LENA, NEMO, OLGA, Persona};
use crate::support::response::assert_indistinguishable;
use crate::support::server::{TestServer, send, text};

on_both_stores! {
    every_operation_requires_a_token_except_the_public_ones,
    on_every_route_an_object_of_another_team_looks_nonexistent,
    lists_and_filters_show_only_objects_of_the_caller_s_teams,
    a_cursor_works_only_in_its_own_list_and_shows_only_the_caller_s_rows,
    changes_to_a_number_of_another_team_never_reach_close,
}

/// The operations that need no token.
const PUBLIC: &[&str] = &[
    "GET /",
    "GET /docs",
    "GET /docs/",
    "GET /docs/{file}",
    "GET /openapi.json",
    "GET /openapi.yaml",
    "GET /problems/",
    "GET /problems/{name}",
    // Authenticated by Close's signature instead.
    "POST /webhooks/close",
];

/// An operation of the OpenAPI document.
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) open: bool,
}

impl Operation {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Fills the parameters of the path with ids, which are separated by spaces.
    pub(super) fn path_with(&self, ids: &str) -> String {
        let mut path = self.path.clone();
        for id in ids.split(' ') {
            let Some((start, rest)) = path.split_once('{') else {
                break;
            };
            let (_, end) = rest.split_once('}').expect("a closing brace");
            path = format!("{start}{id}{end}");
        }
        assert!(!path.contains('{'), "add ids to this test for {}", self.name());
        path
    }
}

pub(super) async fn operations(server: &TestServer) -> Vec<Operation> {
    let document = send(server.request("GET", "/openapi.json")).await.json();
    let token_by_default = document["security"]
        .as_array()
        .is_some_and(|needs| !needs.is_empty());
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("a document has paths") {
        for (method, operation) in item.as_object().expect("a path has operations") {
            if !["get", "put", "post", "delete", "patch", "head", "options"].contains(&method.as_str()) {
                continue;
            }
            // An empty object among the alternatives means that no token is needed.
            let needs = operation["security"].as_array();
            let open = needs.map_or(!token_by_default, |needs| {
                needs.is_empty() || needs.contains(&json!({}))
            });
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                open,
            });
        }
    }
    assert!(
        found.len() >= 11,
        "the document has only {} operations",
        found.len()
    );
    found
}

/// Returns a valid body for the operation, so that the body is not the reason for a refusal.
pub(super) fn body_for(operation: &Operation) -> Option<Value> {
    match (operation.method.as_str(), operation.path.as_str()) {
        ("PATCH", path) if path.starts_with("/v1/webhook") => Some(json!({ "description": "mine now" })),
        ("POST", path) if path.ends_with("/replay") => Some(json!({ "since": "2026-11-23T00:00:00Z" })),
        ("PATCH", _) => Some(json!({ "label": "mine now" })),
        ("PUT", path) if path.ends_with("/team") => Some(json!({ "team": "sales" })),
        ("PUT", "/v1/hold") => Some(json!({ "on": true })),
        ("POST", path) if path.ends_with("/settle") => Some(json!({ "absent": true })),
        ("PUT" | "POST", path) if path.ends_with('}') => {
            panic!("add a body to this test for {}", operation.name())
        }
        _ => None,
    }
}

fn build(
    server: &TestServer,
    person: Option<&Persona>,
    operation: &Operation,
    path: &str,
) -> reqwest::RequestBuilder {
    let request = match person {
        Some(person) => server.request_as(person, &operation.method, path),
        None => server.request(&operation.method, path),
    };
    match body_for(operation) {
        Some(body) => request.json(&body),
        None => request,
    }
}

async fn every_operation_requires_a_token_except_the_public_ones(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let mut without_401 = Vec::new();
    for operation in operations(&server).await {
        if operation.open {
            assert!(
                PUBLIC.contains(&operation.name().as_str()),
                "{} requires no token",
                operation.name()
            );
            continue;
        }
        let path = if operation.path.contains('{') {
            operation.path_with(&format!("{number} {number}"))
        } else {
            operation.path.clone()
        };
        let response = send(build(&server, None, &operation, &path)).await;
        if response.status == 401 {
            response.problem(401, "unauthorized");
            assert!(
                response.header("www-authenticate").starts_with("Bearer"),
                "{response}"
            );
        } else {
            without_401.push(operation.name());
        }
    }
    assert!(
        without_401.is_empty(),
        "these operations accept requests without a token: {without_401:?}"
    );
    assert_eq!(server.close.held().await.len(), 1);
}

/// Returns the ids of a new endpoint of Bob's team and of a delivery to it.
async fn endpoint_with_delivery(server: &TestServer) -> (String, String) {
    let manager = BOB.with("webhooks:manage");
    let endpoint = server.request_as(&manager, "POST", "/v1/webhook-endpoints");
    let endpoint = send(endpoint.json(&json!({ "url": "https://127.0.0.1/hook" })))
        .await
        .expect(201);
    let endpoint = text(&endpoint["id"]);
    let delivery = server.request_as(
        &manager,
        "POST",
        &format!("/v1/webhook-endpoints/{endpoint}/test"),
    );
    let delivery = text(&send(delivery).await.expect(202)["id"]);
    (endpoint, delivery)
}

async fn on_every_route_an_object_of_another_team_looks_nonexistent(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&BOB, "key", "DE").await;
    let order = text(&server.list(&BOB, "/v1/orders").await[0]["id"]);
    let (endpoint, delivery) = endpoint_with_delivery(&server).await;
    let full_access = ALICE.with(
        "numbers:read numbers:rent numbers:update numbers:release numbers:group audit:read spend:read \
         webhooks:manage orders:approve",
    );
    let mut combinations = 0;
    for operation in operations(&server).await {
        if operation.open || !operation.path.contains('{') {
            continue;
        }
        let (foreign, unknown, lower_case) = match operation.path.split('/').nth(2) {
            Some("orders") => (
                order.clone(),
                "ord_01K00000000000000000000000".to_owned(),
                order.to_lowercase(),
            ),
            Some("phone-numbers") => (
                number.clone(),
                format!("phon_{}", "x".repeat(43)),
                number.to_lowercase(),
            ),
            Some("webhook-endpoints") => (
                format!("{endpoint} {delivery}"),
                format!("{endpoint}x dlv_01K00000000000000000000000"),
                format!("{endpoint} {delivery}").to_lowercase(),
            ),
            _ => panic!("add a foreign id to this test for {}", operation.name()),
        };
        for person in [&full_access, &NEMO, &ALICE.of(&[])] {
            let hidden = send(build(
                &server,
                Some(person),
                &operation,
                &operation.path_with(&foreign),
            ))
            .await;
            hidden.problem(404, "not-found");
            for other in [&unknown, &lower_case] {
                let missing = send(build(
                    &server,
                    Some(person),
                    &operation,
                    &operation.path_with(other),
                ))
                .await;
                assert_indistinguishable(&hidden, &missing);
            }
            // An invalid body, a precondition or a wrong media type must not reveal the object either.
            for (name, value, body) in [
                ("Content-Type", "application/json", "{"),
                ("Content-Type", "application/json", "{\"nonsense\":1}"),
                ("Content-Type", "text/plain", "x"),
                ("If-Match", "\"x\"", "{\"label\":\"x\"}"),
                ("If-None-Match", "*", ""),
            ] {
                let request_for = |id: &str| {
                    let request = server.request_as(person, &operation.method, &operation.path_with(id));
                    request.header(name, value).body(body)
                };
                assert_indistinguishable(
                    &send(request_for(&foreign)).await,
                    &send(request_for(&unknown)).await,
                );
            }
            combinations += 1;
        }
        if operation.method == "GET" {
            let hidden = send(server.request_as(&full_access, "HEAD", &operation.path_with(&foreign))).await;
            assert_eq!(hidden.status, 404);
        }
    }
    assert!(combinations >= 18, "only {combinations} combinations were tested");
    // The objects are unchanged.
    let found = server
        .get(
            &BOB.with("webhooks:manage"),
            &format!("/v1/webhook-endpoints/{endpoint}"),
        )
        .await;
    assert_eq!(found.expect(200)["description"], Value::Null);
    assert_eq!(
        server
            .get(&BOB, &format!("/v1/phone-numbers/{number}"))
            .await
            .expect(200)["label"],
        Value::Null
    );
    assert_eq!(
        server.get(&BOB, &format!("/v1/orders/{order}")).await.expect(200)["state"],
        "fulfilled"
    );
}

async fn lists_and_filters_show_only_objects_of_the_caller_s_teams(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&BOB, "bobs-key", "DE").await;
    let number_json = server
        .get(&BOB, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    let dialled = text(&number_json["number"]).replace('+', "%2B");
    for query in [
        String::new(),
        "?country=DE".into(),
        format!("?number={dialled}"),
        format!("?participant={}", server.user(0)),
        "?orphan=false".into(),
        "?orphan=true".into(),
        "?label=".into(),
        "?type=internal".into(),
    ] {
        let found = server.get(&ALICE, &format!("/v1/phone-numbers{query}")).await;
        if found.status != 400 {
            assert_eq!(found.expect(200)["data"], json!([]), "{query}");
        }
    }
    for query in ["", "?idempotency_key=bobs-key", "?state=fulfilled"] {
        assert!(
            server
                .list(&ALICE, &format!("/v1/orders{query}"))
                .await
                .is_empty(),
            "{query}"
        );
    }
    assert!(server.list(&LENA, "/v1/audit").await.is_empty());
    assert_eq!(server.get(&LENA, "/v1/audit/export").await.text, "");
    let me = server.get(&ALICE, "/v1/me").await;
    assert!(!me.text.contains("support"), "{me}");
}

async fn a_cursor_works_only_in_its_own_list_and_shows_only_the_caller_s_rows(database: Database) {
    let server = TestServer::new(database).await;
    for place in 0..3 {
        server.rent(&BOB, &format!("b-{place}"), "DE").await;
        server.rent(&LENA, &format!("l-{place}"), "DE").await;
    }
    for list in ["/v1/orders", "/v1/phone-numbers", "/v1/audit"] {
        let page = server.get(&BOB, &format!("{list}?limit=1")).await.expect(200);
        let cursor = text(&page["next_cursor"]);
        server
            .get(&BOB, &format!("{list}?limit=1&cursor={cursor}"))
            .await
            .expect(200);
        // An edited cursor is refused, and so is the cursor of another list.
        for place in [0, cursor.len() / 2, cursor.len() - 2] {
            let mut edited = cursor.clone().into_bytes();
            edited[place] = if edited[place] == b'A' { b'B' } else { b'A' };
            let edited = String::from_utf8(edited).expect("a cursor is ASCII");
            server
                .get(&BOB, &format!("{list}?cursor={edited}"))
                .await
                .problem(400, "invalid-request");
        }
        let elsewhere = if list == "/v1/orders" {
            "/v1/phone-numbers"
        } else {
            "/v1/orders"
        };
        server
            .get(&BOB, &format!("{elsewhere}?cursor={cursor}"))
            .await
            .problem(400, "invalid-request");
        // With the token of another caller, a cursor shows at most the rows of that caller.
        let other = server.get(&LENA, &format!("{list}?cursor={cursor}")).await;
        if other.status == 200 {
            assert!(!other.text.contains("support"), "{other}");
        } else {
            other.problem(400, "invalid-request");
        }
    }
}

async fn changes_to_a_number_of_another_team_never_reach_close(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&BOB, "key", "DE").await;
    server
        .patch(&ALICE, &number, &json!({ "label": "mine" }))
        .await
        .problem(404, "not-found");
    server.release(&ALICE, &number).await.problem(404, "not-found");
    let path = format!("/v1/phone-numbers/{number}/team");
    send(
        server
            .request_as(&ALICE, "PUT", &path)
            .json(&json!({ "team": "sales" })),
    )
    .await
    .problem(404, "not-found");
    for method in ["PUT", "DELETE"] {
        assert!(
            server
                .close
                .requests(method, "/phone_number/{id}/")
                .await
                .is_empty(),
            "{method} reached Close"
        );
    }
    assert_eq!(
        server
            .get(&OLGA, &format!("/v1/phone-numbers/{number}"))
            .await
            .expect(200)["desk"]["team"],
        "support"
    );
}
