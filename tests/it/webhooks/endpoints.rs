//! The API for webhook endpoints: registration, changes, secrets, permissions, limits and replays.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::database::{Database, contents, on_both_stores, with_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, DORA, LENA, OLGA, Persona};
use crate::support::receiver::{ReceivedWebhook, Receiver, Reply};
use crate::support::response::ApiResponse;
use crate::support::server::{MASTER, TestConfig, TestServer, send, text, webhooks_to};
use crate::support::snapshot;

on_both_stores! {
    a_registered_endpoint_receives_the_events_of_its_team,
    an_endpoint_can_be_changed_and_deleted_and_its_secret_is_never_stored,
    every_webhook_operation_requires_the_permission_to_manage_webhooks,
    a_team_has_at_most_20_endpoints_even_with_concurrent_registrations,
    a_caller_in_several_teams_must_name_the_team_of_an_endpoint,
}

const PERMISSIONS: &str =
    "numbers:read numbers:rent numbers:update numbers:release audit:read webhooks:manage";
const APP: Persona = ALICE.with(PERMISSIONS);
const ENDPOINTS: &str = "/v1/webhook-endpoints";

async fn register(server: &TestServer, person: &Persona, body: &Value) -> ApiResponse {
    send(server.request_as(person, "POST", ENDPOINTS).json(body)).await
}

async fn post(server: &TestServer, path: &str) -> ApiResponse {
    send(server.request_as(&APP, "POST", path)).await
}

async fn a_registered_endpoint_receives_the_events_of_its_team(database: Database) {
    let app = Receiver::start().await;
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let body = json!({ "url": app.url(), "description": "CRM sync" });
    let answer = register(&server, &APP, &body).await;
    let endpoint = answer.expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&endpoint["id"]));
    assert_eq!(answer.header("location"), path);
    let secret = text(&endpoint["secret"]);
    let mut shown = endpoint.clone();
    shown.as_object_mut().expect("an object").remove("secret");
    assert_eq!(server.get(&APP, &path).await.expect(200), shown);
    assert_eq!(server.list(&APP, ENDPOINTS).await, [shown.clone()]);
    snapshot::assert_json("views/webhook_endpoint", &shown);

    // The webhooks carry the same events as the event log.
    server.rent(&APP, "key", "DE").await;
    let webhooks = app.gets(4).await;
    let listed = server.list(&APP, "/v1/events").await;
    assert_eq!(listed.len(), 4);
    let ids = |events: &[Value]| {
        events
            .iter()
            .map(|event| text(&event["id"]))
            .collect::<BTreeSet<_>>()
    };
    let sent: Vec<Value> = webhooks.iter().map(ReceivedWebhook::json).collect();
    assert_eq!(ids(&sent), ids(&listed));
    for event in &sent {
        assert!(listed.contains(event), "{event}");
    }
    assert!(webhooks.iter().all(|webhook| webhook.holds(&secret)));

    // The delivery of a test event shows the status of the response, but never its body.
    app.answers(Reply::Status(200));
    let test = post(&server, &format!("{path}/test")).await.expect(202);
    assert_eq!(
        (&test["type"], &test["state"]),
        (&json!("webhook_endpoint.test"), &json!("pending"))
    );
    let deliveries = format!("{path}/deliveries");
    let delivered = eventually("the test event is delivered", || async {
        let all = server.get(&APP, &format!("{deliveries}?state=delivered")).await;
        assert!(!all.text.contains("never to be shown"), "{all}");
        let all = all.expect(200)["data"].as_array().expect("a list").clone();
        all.into_iter().find(|delivery| delivery["id"] == test["id"])
    })
    .await;
    assert_eq!(
        (&delivered["outcome"], &delivered["attempts"]),
        (&json!("200"), &json!(1))
    );
    assert_eq!(delivered["next_attempt_at"], Value::Null);
    let again = post(&server, &format!("{deliveries}/{}/replay", text(&test["id"])))
        .await
        .expect(202);
    assert_eq!(again["event_id"], test["event_id"]);
    let webhooks = app.gets(6).await;
    assert_eq!(webhooks[4].id(), webhooks[5].id());
    let since = json!({ "since": endpoint["created_at"] });
    let replayed = send(
        server
            .request_as(&APP, "POST", &format!("{path}/replay"))
            .json(&since),
    )
    .await;
    assert_eq!(replayed.expect(202), json!({ "queued": 4 }));
    app.gets(10).await;
    let metrics = server.at_ops("/metrics").await.text;
    let none = "numberdesk_webhook_deliveries_total{outcome=\"delivered\"} 0\n";
    assert!(!metrics.contains(none), "{metrics}");
}

async fn an_endpoint_can_be_changed_and_deleted_and_its_secret_is_never_stored(database: Database) {
    let server = TestServer::new(database).await;
    let url = "https://127.0.0.1/hook";
    let endpoint = register(&server, &APP, &json!({ "url": url })).await.expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&endpoint["id"]));
    let secret = text(&endpoint["secret"]);
    let revealed = server.get(&APP, &format!("{path}/secret")).await.expect(200);
    assert_eq!(revealed, json!({ "secret": secret, "previous_until": null }));
    let rotated = post(&server, &format!("{path}/rotate-secret")).await.expect(200);
    assert!(
        rotated["previous_until"].is_string() && rotated["secret"] != json!(secret),
        "{rotated}"
    );
    let stored = contents(&server.database).await;
    assert!(stored.contains(url));
    for secret in [secret.trim_start_matches("whsec_"), MASTER] {
        assert!(!stored.contains(secret), "a secret is in the database");
    }
    post(&server, &format!("{path}/test")).await.expect(202);
    let since = json!({ "since": endpoint["created_at"] });
    let replayed = send(
        server
            .request_as(&APP, "POST", &format!("{path}/replay"))
            .json(&since),
    )
    .await;
    assert_eq!(replayed.expect(202), json!({ "queued": 0 }));
    let changes = json!({ "description": null, "types": ["order.*"], "state": "disabled" });
    let shown = send(server.request_as(&APP, "PATCH", &path).json(&changes))
        .await
        .expect(200);
    assert_eq!(
        (&shown["description"], &shown["types"], &shown["disabled_reason"]),
        (&Value::Null, &json!(["order.*"]), &json!("asked"))
    );
    post(&server, &format!("{path}/test"))
        .await
        .problem_snapshot(409, "webhook-endpoint-disabled");
    send(server.request_as(&APP, "DELETE", &path)).await.empty(204);
    server.get(&APP, &path).await.problem(404, "not-found");
    let rows = server.list(&APP, "/v1/audit?limit=200").await;
    let actions: BTreeSet<String> = rows.iter().map(|row| text(&row["action"])).collect();
    for action in [
        "create",
        "update",
        "delete",
        "rotate_secret",
        "read_secret",
        "replay",
        "test",
    ] {
        let action = format!("webhook_endpoint.{action}");
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    // The audit trail has the host of a URL but not its path, which may contain a secret.
    assert!(!json!(rows).to_string().contains("/hook"), "{rows:?}");
}

async fn every_webhook_operation_requires_the_permission_to_manage_webhooks(database: Database) {
    let server = TestServer::new(database).await;
    let endpoint = register(&server, &APP, &json!({ "url": "https://127.0.0.1/hook" }))
        .await
        .expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&endpoint["id"]));
    for (method, route, body) in [
        (
            "POST",
            ENDPOINTS.to_owned(),
            json!({ "url": "https://127.0.0.1/" }),
        ),
        ("GET", ENDPOINTS.to_owned(), Value::Null),
        ("GET", path.clone(), Value::Null),
        ("PATCH", path.clone(), json!({ "types": null })),
        ("DELETE", path.clone(), Value::Null),
        ("GET", format!("{path}/secret"), Value::Null),
        ("POST", format!("{path}/rotate-secret"), Value::Null),
        ("GET", format!("{path}/deliveries"), Value::Null),
        ("POST", format!("{path}/deliveries/dlv_x/replay"), Value::Null),
        (
            "POST",
            format!("{path}/replay"),
            json!({ "since": "2026-11-23T00:00:00Z" }),
        ),
        ("POST", format!("{path}/test"), Value::Null),
    ] {
        let mut request = server.request_as(&LENA, method, &route);
        if !body.is_null() {
            request = request.json(&body);
        }
        let problem = send(request).await.problem(403, "permission-missing");
        assert_eq!(problem["need"], "webhooks:manage", "{method} {route}");
    }
    assert_eq!(server.get(&APP, &path).await.expect(200)["state"], "active");
}

async fn a_team_has_at_most_20_endpoints_even_with_concurrent_registrations(database: Database) {
    let server = TestServer::new(database).await;
    let body = json!({ "url": "https://127.0.0.1/hook" });
    let answers = futures::future::join_all((0..26).map(|_| register(&server, &APP, &body))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 20);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.problem_snapshot(409, "too-many-webhook-endpoints");
    }
    assert_eq!(server.list(&APP, ENDPOINTS).await.len(), 20);
    register(&server, &BOB.with(PERMISSIONS), &body).await.expect(201);
}

async fn a_caller_in_several_teams_must_name_the_team_of_an_endpoint(database: Database) {
    let server = TestServer::new(database).await;
    let both = DORA.with(PERMISSIONS);
    let mut body = json!({ "url": "https://127.0.0.1/hook" });
    register(&server, &both, &body)
        .await
        .problem(400, "team-required");
    body["team"] = json!("platform");
    register(&server, &both, &body).await.problem(404, "not-found");
    body["team"] = json!("support");
    let endpoint = register(&server, &both, &body).await.expect(201);
    assert_eq!(endpoint["team"], "support");
    assert_eq!(server.list(&both, ENDPOINTS).await.len(), 1);
    assert!(
        server
            .list(&both, &format!("{ENDPOINTS}?team=sales"))
            .await
            .is_empty()
    );
    assert!(server.list(&APP, ENDPOINTS).await.is_empty());
    let administrator = OLGA.with("numbers:admin webhooks:manage");
    assert_eq!(server.list(&administrator, ENDPOINTS).await.len(), 1);
    server
        .get(&LENA, ENDPOINTS)
        .await
        .problem(403, "permission-missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_or_an_allowed_target_webhooks_are_off_and_the_missing_setting_is_named() {
    for (lines, missing) in [
        ("", "webhooks.secret_file"),
        ("hosts = [\"hooks.example.com\"]", "webhooks.secret_file"),
        (
            "secret_file = \"webhook-secret\"",
            "webhooks.hosts or webhooks.networks",
        ),
    ] {
        with_sqlite(move |database| async move {
            let config = TestConfig {
                webhooks: lines.to_owned(),
                ..TestConfig::default()
            };
            let server = TestServer::with(database, config).await;
            let refused = register(&server, &APP, &json!({ "url": "https://hooks.example.com/" })).await;
            let problem = refused.problem(409, "webhooks-off");
            assert_eq!(problem["missing"], missing, "{problem}");
            if lines.is_empty() {
                refused.problem_snapshot(409, "webhooks-off");
            }
            assert!(server.list(&APP, ENDPOINTS).await.is_empty());
        })
        .await;
    }
}

mod guide;
#[cfg(feature = "failpoints")]
mod kill;
mod validation;
