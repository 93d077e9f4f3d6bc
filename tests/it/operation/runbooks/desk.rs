//! Faults of the desk itself, of what it stands on, and of those who ask it.

use std::time::Duration;

use numberdesk::domain::time::Clock;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::close::RENT;
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::personas::{ALICE, LENA, OLGA};
use crate::support::raw::{address, listen, send_order};
use crate::support::receiver::{Receiver, Reply};
use crate::support::scripted::unused_address;
use crate::support::server::{POLICY, TestConfig, WEBHOOK_KEY, send, text, webhooks_to};
use crate::support::tls::{Authority, Pair, mount};

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

pub(in crate::operation::runbooks) async fn nobody_is_there(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    // A rollout with a key of the configuration that there is not.
    it.reconfigure("[limits]\n", "[limits]\nin_fligth = 5\n");
    assert_eq!(it.desk.terminate().await, 0);
    it.alert.holds().await;
    let ended = it.run("serve").await;
    assert!(
        ended.code == 64 && ended.stderr.contains("in_fligth"),
        "{ended:?}"
    );
    let checked = it.run("check").await;
    assert!(
        checked.code == 1 && format!("{checked:?}").contains("numberdesk.toml"),
        "{checked:?}"
    );

    it.reconfigure("in_fligth = 5\n", "");
    assert_eq!(it.run("check").await.code, 0);
    it.start().await;
    assert_eq!(it.server.at_ops("/livez").await.status, 200);
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn the_database_is_away(case: Case) {
    let database = case.database.clone();
    let mut it = Scenario::new(case, TestConfig::default()).await;
    let outage = Outage::begin(&database).await;
    it.alert.holds().await;
    assert_ne!(it.readyz("database").await, "ok");
    it.server.get(&ALICE, "/v1/phone-numbers").await.expect(200);
    it.server
        .order(&ALICE, "unsent", &berlin())
        .await
        .problem(503, "store-unavailable");

    outage.end().await;
    it.alert.is_over().await;
    it.server.wait_until_ready().await;
    it.server.order(&ALICE, "unsent", &berlin()).await.expect(201);
}

pub(in crate::operation::runbooks) async fn requests_fail(case: Case) {
    let config = TestConfig {
        timeout: "2s",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    let number = it.server.rent(&ALICE, "one", "DE").await;
    let down = json!({ "method": "PUT", "answer": { "status": 503, "body": "down" } });
    it.server.close.fault(down).await;
    let server = &it.server;
    let label = json!({ "label": "L" });
    let change = || server.patch(&ALICE, &number, &label);
    it.alert
        .holds_while(|| async { drop(change().await.problem(502, "close-unavailable")) })
        .await;
    let metrics = it.server.at_ops("/metrics").await.text;
    let counted =
        "numberdesk_http_requests_total{method=\"PATCH\",route=\"/v1/phone-numbers/{id}\",status=\"502\"}";
    assert!(metrics.contains(counted), "{metrics}");
    it.log_says(&["request failed", "\"error\"", "\"request_id\""]);

    it.server.close.clear_faults().await;
    eventually("it is changed", || async {
        (change().await.status == 200).then_some(())
    })
    .await;
    it.alert.mended().await;
    it.alert
        .is_over_while(|| async { drop(server.get(&ALICE, "/v1/me").await.expect(200)) })
        .await;
}

pub(in crate::operation::runbooks) async fn too_many_requests_are_at_work(case: Case) {
    let config = TestConfig {
        limits: "requests_per_minute = 0\nin_flight = 2\nwaiting_orders = 2",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    it.server.close.set(json!({ "rent_latency": "8s" })).await;
    let mut waiting = [
        send_order(&it.server, &ALICE, "one", &berlin()).await,
        send_order(&it.server, &ALICE, "two", &berlin()).await,
    ];
    it.server.close.wait_for_requests("POST", RENT, 2).await;
    let server = &it.server;
    let ask = || async {
        for _ in 0..20 {
            server.get(&ALICE, "/v1/me").await;
        }
    };
    it.alert.holds_while(ask).await;
    for stream in &mut waiting {
        assert_eq!(listen(stream).await.status, 201);
    }

    it.reconfigure("in_flight = 2\n", "in_flight = 20\n");
    it.restart().await;
    it.alert.mended().await;
    let server = &it.server;
    it.alert
        .is_over_while(|| async { drop(server.get(&ALICE, "/v1/me").await.expect(200)) })
        .await;
}

pub(in crate::operation::runbooks) async fn a_step_keeps_failing(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    it.write("close-webhook-key", "");
    // It fails every five seconds, and a scrape stands for a minute.
    it.alert.pace = Duration::from_secs(4);
    it.alert.holds().await;
    it.log_says(&["\"worker\":\"webhook-key\"", "close-webhook-key"]);

    it.write("close-webhook-key", WEBHOOK_KEY);
    eventually("the step goes well again", || async {
        let ready = it.server.at_ops("/readyz?verbose").await.json();
        (ready["files"]["webhook_signature_key"]["good"] == true).then_some(())
    })
    .await;
    it.alert.mended().await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn the_policy_is_spoiled(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    let before = it.readyz("policy").await;
    it.write(
        "policy.toml",
        &POLICY.replace("max_numbers = 400", "max_nubmers = 500"),
    );
    it.alert.holds().await;
    let verbose = it.server.at_ops("/readyz?verbose").await.json();
    let said = verbose["files"]["policy"].to_string();
    assert!(
        said.contains("policy.toml") && said.contains("max_nubmers"),
        "{verbose}"
    );
    let checked = it.run("check").await;
    assert!(
        checked.code == 1 && format!("{checked:?}").contains("max_nubmers"),
        "{checked:?}"
    );

    it.write(
        "policy.toml",
        &POLICY.replace("max_numbers = 400", "max_numbers = 500"),
    );
    assert_eq!(it.run("check").await.code, 0);
    it.alert.is_over().await;
    assert_ne!(it.readyz("policy").await, before);
}

pub(in crate::operation::runbooks) async fn the_head_of_the_chain_is_deleted(case: Case) {
    let database = case.database.clone();
    let mut it = Scenario::new(case, TestConfig::default()).await;
    it.server.rent(&ALICE, "one", "DE").await;
    eventually("all is sealed", || async {
        (database.ask("SELECT COUNT(*) FROM audit WHERE seq IS NULL").await == 0).then_some(())
    })
    .await;
    let copy = it.file("backup.db");
    database
        .change(&format!("VACUUM INTO '{}'", copy.display()))
        .await;
    database.change("DELETE FROM audit_head").await;
    it.server.rent(&ALICE, "two", "DE").await;
    database
        .change("UPDATE audit SET at = at - 600000000 WHERE seq IS NULL")
        .await;
    it.alert.holds().await;
    it.log_says(&["\"worker\":\"seal\"", "the head of the audit chain is missing"]);
    assert_ne!(it.run("audit verify").await.code, 0);

    // As docs/operations.md has it.
    assert_eq!(it.desk.terminate().await, 0);
    let file = database
        .url()
        .expose_secret()
        .trim_start_matches("sqlite://")
        .to_owned();
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{file}{beside}"));
    }
    std::fs::copy(copy, file).unwrap();
    assert_eq!(it.run("audit verify").await.code, 0);
    it.start().await;
    it.server.wait_until_synced().await;
    let forgotten = it.server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
    assert_eq!(forgotten.len(), 1, "what the copy lacks is an orphan");
    it.server.rent(&ALICE, "three", "DE").await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn an_app_does_not_take_its_webhooks(case: Case) {
    let app = Receiver::start().await;
    app.answers(Reply::Status(500));
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let database = case.database.clone();
    let mut it = Scenario::new(case, config).await;
    let manager = LENA.with("numbers:read numbers:rent webhooks:manage");
    let path = "/v1/webhook-endpoints";
    let body = json!({ "url": app.url(), "types": ["order.fulfilled"] });
    let endpoint = send(it.server.request_as(&manager, "POST", path).json(&body))
        .await
        .expect(201);
    let path = format!("{path}/{}", text(&endpoint["id"]));
    it.server.rent(&ALICE, "one", "DE").await;
    app.gets(1).await;
    database
        .change("UPDATE webhook_deliveries SET queued_at = queued_at - 7200000000")
        .await;
    it.alert.holds().await;
    let deliveries = it.server.list(&manager, &format!("{path}/deliveries")).await;
    assert!(deliveries[0].to_string().contains("500"), "{deliveries:?}");

    // The app is mended; its team need not wait until it is tried again.
    app.answers(Reply::Status(204));
    for state in ["disabled", "active"] {
        send(
            it.server
                .request_as(&manager, "PATCH", &path)
                .json(&json!({ "state": state })),
        )
        .await
        .expect(200);
    }
    it.alert.is_over().await;
    let deliveries = it.server.list(&manager, &format!("{path}/deliveries")).await;
    assert_eq!(deliveries[0]["state"], "delivered", "{deliveries:?}");
}

pub(in crate::operation::runbooks) async fn a_team_spends_its_budget(case: Case) {
    let mut config = TestConfig {
        policy: POLICY.replacen("5000.00", "11.00", 1),
        ..TestConfig::default()
    };
    // The estimate of the policy stays.
    config.close.settings.billing_delay = None;
    let mut it = Scenario::new(case, config).await;
    let number = it.server.rent(&ALICE, "one", "DE").await;
    it.server.rent(&ALICE, "two", "DE").await;
    it.alert.holds().await;
    let now = Clock::system().now().to_string();
    let path = format!("/v1/spend?month={}&group_by=user", &now[..7]);
    it.server.get(&LENA.with("spend:read"), &path).await.expect(200);
    let me = it.server.get(&ALICE, "/v1/me").await.expect(200);
    assert!(me["teams"][0]["usage"].is_object(), "{me}");
    let more = it.server.order(&ALICE, "three", &berlin()).await;
    more.problem(403, "budget-exceeded");

    it.server.release(&ALICE, &number).await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn an_issuer_is_away_since_before_the_rollout(case: Case) {
    let mut it = Scenario::new(case.shortened("14400", "12"), TestConfig::default()).await;
    let (here, away) = (
        "jwks_file = \"jwks.json\"".to_owned(),
        format!("jwks_url = \"http://{}/jwks\"", unused_address()),
    );
    it.reconfigure(&here, &away);
    it.desk.terminate().await;
    it.start().await;
    it.alert.holds().await;
    it.log_says(&["jwks not refreshed", "\"issuer\""]);
    let doctor = it.run("doctor").await;
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert_eq!(it.server.get(&ALICE, "/v1/me").await.status, 503);

    it.reconfigure(&away, &here);
    it.restart().await;
    it.server.get(&ALICE, "/v1/me").await.expect(200);
    it.alert.is_over().await;
}

/// The kubelet's view of the pod is the process's own here.
pub(in crate::operation::runbooks) async fn the_memory_is_too_small(case: Case) {
    const USED: &str = "container_memory_working_set_bytes{container=\"numberdesk\",pod=\"p\"}";
    const LIMIT: &str =
        "kube_pod_container_resource_limits{container=\"numberdesk\",pod=\"p\",resource=\"memory\"}";
    let mut it = Scenario::new(case, TestConfig::default()).await;
    it.server.get(&ALICE, "/v1/me").await.expect(200);
    let used = it.measured("process_resident_memory_bytes").await;
    it.measured("numberdesk_inventory_numbers").await;
    it.measured("numberdesk_http_requests_in_flight").await;
    it.alert.beside.extend([(USED, used), (LIMIT, used * 1.05)]);
    it.alert.holds().await;
    it.alert.beside.insert(LIMIT, used * 2.0);
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn clients_open_a_connection_for_each_request(case: Case) {
    let config = TestConfig {
        server: "header_timeout = \"60s\"",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    let most = it.measured("process_open_fds").await + 60.0;
    let id = it.desk.child.id().unwrap().to_string();
    let limited = Command::new("prlimit")
        .args([format!("--pid={id}"), format!("--nofile={most}")])
        .status()
        .await;
    assert!(limited.unwrap().success());
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(TcpStream::connect(address(&it.server)).await.unwrap());
    }
    it.alert.holds().await;

    drop(clients);
    it.alert.is_over().await;
}

fn with(pair: &Pair) -> TestConfig {
    TestConfig {
        tls: Some(pair.clone()),
        ..TestConfig::default()
    }
}

pub(in crate::operation::runbooks) async fn the_certificate_s_key_is_another_s(case: Case) {
    let authority = Authority::new();
    let (pair, other) = (authority.issue(), authority.issue());
    let mut it = Scenario::new(case, with(&pair)).await;
    mount(it.server.folder.path(), &pair.certificate, &other.key);
    it.alert.holds().await;
    it.log_says(&["\"worker\":\"tls\"", "worker step failed"]);
    it.server.get(&ALICE, "/v1/me").await.expect(200);

    mount(it.server.folder.path(), &other.certificate, &other.key);
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn the_certificate_ends_soon(case: Case) {
    let authority = Authority::new();
    let mut it = Scenario::new(case, with(&authority.issue_for(2020, 2090))).await;
    // Three days before it ends.
    let end = it
        .measured("numberdesk_tls_certificate_expiry_timestamp_seconds")
        .await;
    let now = f64::from(u32::try_from(Clock::system().now().as_seconds()).unwrap());
    it.alert.ahead = end - now - 3.0 * 86_400.0;
    it.alert.holds().await;
    let doctor = it.run("doctor").await;
    assert!(doctor.stdout.contains("certificate"), "{doctor:?}");

    let next = authority.issue_for(2020, 2095);
    mount(it.server.folder.path(), &next.certificate, &next.key);
    it.alert.is_over().await;
}
