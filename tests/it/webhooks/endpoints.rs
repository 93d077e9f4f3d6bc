//! Endpoints of webhooks as an app meets them: registered, told of events, changed, and never a way inside.

use std::collections::BTreeSet;
use std::process::Stdio;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::support::database::{Database, contents, on_both_stores, with_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, DORA, LENA, OLGA, Persona};
use crate::support::program::root;
use crate::support::receiver::{ReceivedWebhook, Receiver, Reply};
use crate::support::response::ApiResponse;
use crate::support::scripted::unused_address;
use crate::support::server::{MASTER, TestConfig, TestServer, send, text, webhooks_to};

on_both_stores! {
    an_app_registers_and_is_told_what_its_team_does,
    an_endpoint_is_changed_and_removed_and_its_secret_is_nowhere_but_in_answers,
    who_may_not_manage_webhooks_is_told_so_by_every_operation,
    a_url_that_may_not_be_called_is_refused_at_registration_and_at_every_change,
    what_is_wrong_with_a_body_is_named,
    a_team_has_at_most_twenty_endpoints_however_many_ask_at_once,
    an_endpoint_is_of_one_team_which_a_caller_in_several_names,
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

async fn an_app_registers_and_is_told_what_its_team_does(database: Database) {
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
    assert_eq!(
        (&shown["state"], &shown["types"], &shown["disabled_reason"]),
        (&json!("active"), &Value::Null, &Value::Null)
    );

    // What is sent is what the feed shows, event by event.
    server.rent(&APP, "key", "DE").await;
    let got = app.gets(4).await;
    let told = server.list(&APP, "/v1/events").await;
    assert_eq!(told.len(), 4);
    let ids = |events: &[Value]| {
        events
            .iter()
            .map(|event| text(&event["id"]))
            .collect::<BTreeSet<_>>()
    };
    let sent: Vec<Value> = got.iter().map(ReceivedWebhook::json).collect();
    assert_eq!(ids(&sent), ids(&told));
    for event in &sent {
        assert!(told.contains(event), "{event}");
    }
    assert!(got.iter().all(|got| got.holds(&secret)));

    // A trial, and how it ended; the receiver's words are nobody's business.
    app.answers(Reply::Status(200));
    let trial = post(&server, &format!("{path}/test")).await.expect(202);
    assert_eq!(
        (&trial["type"], &trial["state"]),
        (&json!("webhook_endpoint.test"), &json!("pending"))
    );
    let deliveries = format!("{path}/deliveries");
    let delivered = eventually("the trial is delivered", || async {
        let all = server.get(&APP, &format!("{deliveries}?state=delivered")).await;
        assert!(!all.text.contains("never to be shown"), "{all}");
        let all = all.expect(200)["data"].as_array().expect("a list").clone();
        all.into_iter().find(|it| it["id"] == trial["id"])
    })
    .await;
    assert_eq!(
        (&delivered["outcome"], &delivered["attempts"]),
        (&json!("200"), &json!(1))
    );
    assert_eq!(delivered["next_attempt_at"], Value::Null);
    let again = post(&server, &format!("{deliveries}/{}/replay", text(&trial["id"])))
        .await
        .expect(202);
    assert_eq!(again["event_id"], trial["event_id"]);
    let got = app.gets(6).await;
    assert_eq!(got[4].id(), got[5].id());
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
    let counted = "numberdesk_webhook_deliveries_total{outcome=\"delivered\"}";
    assert!(metrics.contains(counted), "{metrics}");
}

async fn an_endpoint_is_changed_and_removed_and_its_secret_is_nowhere_but_in_answers(database: Database) {
    let server = TestServer::new(database).await;
    let url = "https://127.0.0.1/hook";
    let endpoint = register(&server, &APP, &json!({ "url": url })).await.expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&endpoint["id"]));
    let secret = text(&endpoint["secret"]);
    let said = server.get(&APP, &format!("{path}/secret")).await.expect(200);
    assert_eq!(said, json!({ "secret": secret, "previous_until": null }));
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
        .problem(409, "webhook-endpoint-disabled");
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
    // Of a URL the trail says where it leads, and not what may let one in there.
    assert!(!json!(rows).to_string().contains("/hook"), "{rows:?}");
}

async fn who_may_not_manage_webhooks_is_told_so_by_every_operation(database: Database) {
    let server = TestServer::new(database).await;
    let hooks = ENDPOINTS;
    let hook = register(&server, &APP, &json!({ "url": "https://127.0.0.1/hook" }))
        .await
        .expect(201);
    let hook = format!("{hooks}/{}", text(&hook["id"]));
    for (method, path, body) in [
        ("POST", hooks.to_owned(), json!({ "url": "https://127.0.0.1/" })),
        ("GET", hooks.to_owned(), Value::Null),
        ("GET", hook.clone(), Value::Null),
        ("PATCH", hook.clone(), json!({ "types": null })),
        ("DELETE", hook.clone(), Value::Null),
        ("GET", format!("{hook}/secret"), Value::Null),
        ("POST", format!("{hook}/rotate-secret"), Value::Null),
        ("GET", format!("{hook}/deliveries"), Value::Null),
        ("POST", format!("{hook}/deliveries/dlv_x/replay"), Value::Null),
        (
            "POST",
            format!("{hook}/replay"),
            json!({ "since": "2026-11-23T00:00:00Z" }),
        ),
        ("POST", format!("{hook}/test"), Value::Null),
    ] {
        let mut request = server.request_as(&LENA, method, &path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let problem = send(request).await.problem(403, "permission-missing");
        assert_eq!(problem["need"], "webhooks:manage", "{method} {path}");
    }
    assert_eq!(server.get(&APP, &hook).await.expect(200)["state"], "active");
}

async fn a_url_that_may_not_be_called_is_refused_at_registration_and_at_every_change(database: Database) {
    let server = TestServer::new(database).await;
    let good = register(&server, &APP, &json!({ "url": "https://127.0.0.1/hook" }))
        .await
        .expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&good["id"]));
    for (url, said) in [
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
            assert!(text(&fault["message"]).contains(said), "{url}: {problem}");
        }
    }
    // A name that is listed is judged by where it leads.
    let named = register(&server, &APP, &json!({ "url": "https://localhost/hook" })).await;
    if named.status != 201 {
        // `localhost` is [::1] here, too.
        named.problem(400, "invalid-request");
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

async fn what_is_wrong_with_a_body_is_named(database: Database) {
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
    }
    for (changes, pointer) in [
        (json!({}), ""),
        (json!({ "url": null }), "/url"),
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

async fn a_team_has_at_most_twenty_endpoints_however_many_ask_at_once(database: Database) {
    let server = TestServer::new(database).await;
    let body = json!({ "url": "https://127.0.0.1/hook" });
    let answers = futures::future::join_all((0..26).map(|_| register(&server, &APP, &body))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 20);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.problem(409, "too-many-webhook-endpoints")["limit"], 20);
    }
    assert_eq!(server.list(&APP, ENDPOINTS).await.len(), 20);
    register(&server, &BOB.with(PERMISSIONS), &body).await.expect(201);
}

async fn an_endpoint_is_of_one_team_which_a_caller_in_several_names(database: Database) {
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
    let everyone = OLGA.with("numbers:admin webhooks:manage");
    assert_eq!(server.list(&everyone, ENDPOINTS).await.len(), 1);
    server
        .get(&LENA, ENDPOINTS)
        .await
        .problem(403, "permission-missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_or_anywhere_to_go_there_are_no_webhooks_and_the_setting_is_named() {
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
            assert!(server.list(&APP, ENDPOINTS).await.is_empty());
        })
        .await;
    }
}

/// The receiver of the guide, as it stands there.
#[tokio::test(flavor = "multi_thread")]
async fn the_guide_s_receiver_takes_what_the_desk_sends_and_nothing_forged() {
    with_sqlite(|database| async move {
        let guide = std::fs::read_to_string(root().join("docs/events.md")).expect("the guide");
        let program = guide
            .split("```python\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        let address = unused_address();
        let config = TestConfig {
            webhooks: webhooks_to(&[address.port()]),
            ..TestConfig::default()
        };
        let server = TestServer::with(database, config).await;
        let url = format!("http://{address}/numberdesk");
        let body = json!({ "url": url, "types": ["order.fulfilled"] });
        let endpoint = register(&server, &APP, &body).await.expect(201);
        let mut receiver = tokio::process::Command::new("python3")
            .args(["-c", program.expect("the guide has a program")])
            .env("WEBHOOK_SECRET", text(&endpoint["secret"]))
            .env("PORT", address.port().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Python can be run");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let forge = |headers: HeaderMap| client.post(&url).headers(headers).body("{}").send();
        let bare = eventually("the receiver listens", || async {
            forge(HeaderMap::new()).await.ok()
        })
        .await;
        assert_eq!(bare.status(), 401);
        let mut headers = HeaderMap::new();
        let now = numberdesk::domain::time::Clock::system()
            .now()
            .as_seconds()
            .to_string();
        for (name, value) in [
            ("webhook-id", "evt_1"),
            ("webhook-timestamp", now.as_str()),
            ("webhook-signature", "v1,AAAA"),
        ] {
            headers.insert(name, value.parse().expect("a header"));
        }
        assert_eq!(forge(headers).await.expect("an answer").status(), 401);
        let number = server.rent(&APP, "key", "DE").await;
        let mut lines = BufReader::new(receiver.stdout.take().expect("it is piped")).lines();
        let line = tokio::time::timeout(std::time::Duration::from_secs(30), lines.next_line()).await;
        let line = line.expect("in time").expect("it is read").expect("a line");
        assert!(
            line.starts_with("order.fulfilled {") && line.contains(&number),
            "{line}"
        );
    })
    .await;
}

/// Where a process is killed, as by the machine's process, while it delivers.
#[cfg(feature = "failpoints")]
const POINTS: [&str; 3] = ["deliver.claimed", "deliver.sent", "delivery.commit"];

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_it_is_killed_an_event_arrives_at_least_once() {
    use crate::support::database::with_postgres;

    let on_file = POINTS.map(|point| tokio::spawn(with_sqlite(move |database| is_killed(database, point))));
    let on_server =
        POINTS.map(|point| tokio::spawn(with_postgres(move |database| is_killed(database, point))));
    for case in on_file.into_iter().chain(on_server) {
        case.await.expect("it holds");
    }
}

#[cfg(feature = "failpoints")]
async fn is_killed(database: Database, point: &'static str) {
    let app = Receiver::start().await;
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    let endpoint = register(&server, &APP, &json!({ "url": app.url() }))
        .await
        .expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&endpoint["id"]));
    server.stop().await;
    let mut desk = server
        .start_process_with(&[("NUMBERDESK_TEST_KILL_AT", point)])
        .await;
    // Its answer may die with the process.
    let _ = server
        .request_as(&APP, "POST", &format!("{path}/test"))
        .send()
        .await;
    assert_eq!(desk.died_of().await, Some(9), "it never came to {point}");
    let desk = server.start_process().await;
    let delivered = eventually("the trial is delivered after all", || async {
        let all = server
            .list(&APP, &format!("{path}/deliveries?state=delivered"))
            .await;
        all.first().cloned()
    })
    .await;
    let got = app.got();
    assert_eq!(
        got.len(),
        if point == "deliver.claimed" { 1 } else { 2 },
        "{point}"
    );
    assert!(
        got.iter().all(|got| got.id() == text(&delivered["event_id"])),
        "{point}"
    );
    drop(desk);
}
