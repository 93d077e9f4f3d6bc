//! Faults of the service, its database, its configuration and its clients.

mod tls;

use std::time::Duration;

use numberdesk::domain::time::Clock;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;

pub(in crate::operation::runbooks) use self::tls::{
    the_certificate_and_its_key_do_not_match, the_certificate_expires_soon,
};
use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::personas::{ALICE, LENA, OLGA};
use crate::support::raw::address;
use crate::support::receiver::{Receiver, Reply};
use crate::support::scripted::unused_address;
use crate::support::server::{POLICY, TestConfig, WEBHOOK_KEY, send, text, webhooks_to};

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

pub(in crate::operation::runbooks) async fn the_process_is_down(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    // A rollout with an unknown key in the configuration.
    scenario.reconfigure("[limits]\n", "[limits]\nin_fligth = 5\n");
    assert_eq!(scenario.desk.terminate().await, 0);
    scenario.alert.wait_until_active().await;
    let ended = scenario.run("serve").await;
    assert!(
        ended.code == 64 && ended.stderr.contains("in_fligth"),
        "{ended:?}"
    );
    let checked = scenario.run("check").await;
    assert!(
        checked.code == 1 && format!("{checked:?}").contains("numberdesk.toml"),
        "{checked:?}"
    );

    scenario.reconfigure("in_fligth = 5\n", "");
    assert_eq!(scenario.run("check").await.code, 0);
    scenario.start().await;
    assert_eq!(scenario.server.at_ops("/livez").await.status, 200);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn the_database_is_down(case: Case) {
    let database = case.database.clone();
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let outage = Outage::begin(&database).await;
    scenario.alert.wait_until_active().await;
    assert_ne!(scenario.readyz("database").await, "ok");
    scenario.server.get(&ALICE, "/v1/phone-numbers").await.expect(200);
    scenario
        .server
        .order(&ALICE, "unsent", &berlin())
        .await
        .problem(503, "store-unavailable");

    outage.end().await;
    scenario.alert.wait_until_inactive().await;
    scenario
        .server
        .order(&ALICE, "unsent", &berlin())
        .await
        .expect(201);
}

pub(in crate::operation::runbooks) async fn a_replica_that_needs_its_database_lacks_it(case: Case) {
    let database = case.database.clone();
    let config = TestConfig {
        server: "ready_needs_database = true",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let outage = Outage::begin(&database).await;
    scenario.alert.wait_until_active().await;
    assert_ne!(scenario.readyz("database").await, "ok");
    outage.end().await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn requests_fail(case: Case) {
    let config = TestConfig {
        timeout: "2s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let number = scenario.server.rent(&ALICE, "one", "DE").await;
    let down = json!({ "method": "PUT", "answer": { "status": 503, "body": "down" } });
    scenario.server.close.fault(down).await;
    let server = &scenario.server;
    let label = json!({ "label": "L" });
    let patch = || server.patch(&ALICE, &number, &label);
    scenario
        .alert
        .wait_until_active_while(|| async { drop(patch().await.problem(502, "close-unavailable")) })
        .await;
    let metrics = scenario.server.at_ops("/metrics").await.text;
    let none = "numberdesk_http_requests_total{method=\"PATCH\",route=\"/v1/phone-numbers/{id}\",status=\"502\"} 0\n";
    assert!(!metrics.contains(none), "{metrics}");
    scenario.assert_logged(&["request failed", "\"error\"", "\"request_id\""]);

    scenario.server.close.clear_faults().await;
    eventually("the label is changed", || async {
        (patch().await.status == 200).then_some(())
    })
    .await;
    scenario.alert.record_recovery().await;
    scenario
        .alert
        .wait_until_inactive_while(|| async { drop(server.get(&ALICE, "/v1/me").await.expect(200)) })
        .await;
}

pub(in crate::operation::runbooks) async fn a_worker_step_keeps_failing(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    scenario.write("close-webhook-key", "");
    // The step fails every five seconds. Each scrape counts as one minute, so each needs a new failure.
    scenario.alert.scrape_interval = Duration::from_secs(4);
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["\"worker\":\"webhook-key\"", "close-webhook-key"]);

    scenario.write("close-webhook-key", WEBHOOK_KEY);
    eventually("the step succeeds again", || async {
        let ready = scenario.server.at_ops("/readyz?verbose").await.json();
        (ready["files"]["webhook_signature_key"]["good"] == true).then_some(())
    })
    .await;
    scenario.alert.record_recovery().await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn the_policy_file_is_invalid(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let before = scenario.readyz("policy").await;
    scenario.write(
        "policy.toml",
        &POLICY.replace("max_numbers = 400", "max_nubmers = 500"),
    );
    scenario.alert.wait_until_active().await;
    let verbose = scenario.server.at_ops("/readyz?verbose").await.json();
    let policy = verbose["files"]["policy"].to_string();
    assert!(
        policy.contains("policy.toml") && policy.contains("max_nubmers"),
        "{verbose}"
    );
    // A pod that starts meanwhile has the last valid policy, too.
    scenario.restart().await;
    let report = scenario.server.at_ops("/readyz").await.json();
    assert_eq!(
        (text(&report["policy"]), text(&report["policy_source"])),
        (before.clone(), "database".to_owned())
    );
    scenario.assert_logged(&[
        "policy reload failed; retrying",
        "policy file rejected",
        "max_nubmers",
    ]);
    let checked = scenario.run("check").await;
    assert!(
        checked.code == 1 && format!("{checked:?}").contains("max_nubmers"),
        "{checked:?}"
    );

    scenario.write(
        "policy.toml",
        &POLICY.replace("max_numbers = 400", "max_numbers = 500"),
    );
    assert_eq!(scenario.run("check").await.code, 0);
    scenario.alert.wait_until_inactive().await;
    assert_ne!(scenario.readyz("policy").await, before);
}

pub(in crate::operation::runbooks) async fn the_head_of_the_chain_is_deleted(case: Case) {
    let database = case.database.clone();
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    scenario.server.rent(&ALICE, "one", "DE").await;
    eventually("all audit rows are in the chain", || async {
        (database
            .query_integer("SELECT COUNT(*) FROM audit WHERE seq IS NULL")
            .await
            == 0)
            .then_some(())
    })
    .await;
    let copy = scenario.file("backup.db");
    database
        .execute(&format!("VACUUM INTO '{}'", copy.display()))
        .await;
    database.execute("DELETE FROM audit_head").await;
    scenario.server.rent(&ALICE, "two", "DE").await;
    database
        .execute("UPDATE audit SET at = at - 600000000 WHERE seq IS NULL")
        .await;
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["\"worker\":\"seal\"", "the head of the audit chain is missing"]);
    assert_ne!(scenario.run("audit verify").await.code, 0);

    // Restores the backup as docs/operations.md describes.
    assert_eq!(scenario.desk.terminate().await, 0);
    let file = database
        .url()
        .expose_secret()
        .trim_start_matches("sqlite://")
        .to_owned();
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{file}{ending}"));
    }
    std::fs::copy(copy, file).unwrap();
    assert_eq!(scenario.run("audit verify").await.code, 0);
    scenario.start().await;
    scenario.server.wait_until_synced().await;
    let orphans = eventually("the number that is not in the backup is an orphan", || async {
        let orphans = scenario.server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
        (!orphans.is_empty()).then_some(orphans)
    })
    .await;
    assert_eq!(orphans.len(), 1, "{orphans:?}");
    scenario.server.rent(&ALICE, "three", "DE").await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn webhooks_to_a_failing_app_are_queued(case: Case) {
    let app = Receiver::start().await;
    app.answers(Reply::Status(500));
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let database = case.database.clone();
    let mut scenario = Scenario::new(case, config).await;
    let manager = LENA.with("numbers:read numbers:rent webhooks:manage");
    let path = "/v1/webhook-endpoints";
    let body = json!({ "url": app.url(), "types": ["order.fulfilled"] });
    let endpoint = send(scenario.server.request_as(&manager, "POST", path).json(&body))
        .await
        .expect(201);
    let path = format!("{path}/{}", text(&endpoint["id"]));
    scenario.server.rent(&ALICE, "one", "DE").await;
    app.gets(1).await;
    database
        .execute("UPDATE webhook_deliveries SET queued_at = queued_at - 7200000000")
        .await;
    scenario.alert.wait_until_active().await;
    eventually("the delivery shows the status of the failed attempt", || async {
        let deliveries = scenario
            .server
            .list(&manager, &format!("{path}/deliveries"))
            .await;
        deliveries.first()?.to_string().contains("500").then_some(())
    })
    .await;

    // The app works again. Its team disables and enables the endpoint, so that it does not wait for the next retry.
    app.answers(Reply::Status(204));
    for state in ["disabled", "active"] {
        send(
            scenario
                .server
                .request_as(&manager, "PATCH", &path)
                .json(&json!({ "state": state })),
        )
        .await
        .expect(200);
    }
    scenario.alert.wait_until_inactive().await;
    let deliveries = scenario
        .server
        .list(&manager, &format!("{path}/deliveries"))
        .await;
    assert_eq!(deliveries[0]["state"], "delivered", "{deliveries:?}");
}

pub(in crate::operation::runbooks) async fn a_team_spends_its_budget(case: Case) {
    let mut config = TestConfig {
        policy: POLICY.replacen("5000.00", "11.00", 1),
        ..TestConfig::default()
    };
    // Close bills nothing, so the estimate of the policy stays in effect.
    config.close.settings.billing_delay = None;
    let mut scenario = Scenario::new(case, config).await;
    let number = scenario.server.rent(&ALICE, "one", "DE").await;
    scenario.server.rent(&ALICE, "two", "DE").await;
    scenario.alert.wait_until_active().await;
    let now = Clock::system().now().to_string();
    let path = format!("/v1/spend?month={}&group_by=user", &now[..7]);
    scenario
        .server
        .get(&LENA.with("spend:read"), &path)
        .await
        .expect(200);
    let me = scenario.server.get(&ALICE, "/v1/me").await.expect(200);
    assert!(me["teams"][0]["usage"].is_object(), "{me}");
    let more = scenario.server.order(&ALICE, "three", &berlin()).await;
    more.problem(403, "budget-exceeded");

    scenario.server.release(&ALICE, &number).await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn an_issuer_is_unreachable_at_startup(case: Case) {
    let mut scenario = Scenario::new(case.shortened("14400", "12"), TestConfig::default()).await;
    let (file, unreachable) = (
        "jwks_file = \"jwks.json\"".to_owned(),
        format!("jwks_url = \"http://{}/jwks\"", unused_address()),
    );
    scenario.reconfigure(&file, &unreachable);
    scenario.desk.terminate().await;
    scenario.start().await;
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["jwks not refreshed", "\"issuer\""]);
    let doctor = scenario.run("doctor").await;
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert_eq!(scenario.server.get(&ALICE, "/v1/me").await.status, 503);

    scenario.reconfigure(&unreachable, &file);
    scenario.restart().await;
    scenario.server.get(&ALICE, "/v1/me").await.expect(200);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn an_issuer_publishes_no_usable_key(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let file = scenario.file("jwks.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let for_encryption = good.replace("\"sig\"", "\"enc\"");
    assert_ne!(for_encryption, good);
    std::fs::write(&file, for_encryption).unwrap();
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["jwks not refreshed", "\"issuer\"", "not_for_signatures: 1"]);
    scenario.server.get(&ALICE, "/v1/me").await.expect(200);

    std::fs::write(&file, good).unwrap();
    scenario.alert.wait_until_inactive().await;
}

/// The metrics of the process stand in for those that the kubelet reports about the pod.
pub(in crate::operation::runbooks) async fn memory_is_near_its_limit(case: Case) {
    const USED: &str = "container_memory_working_set_bytes{container=\"numberdesk\",pod=\"p\"}";
    const LIMIT: &str =
        "kube_pod_container_resource_limits{container=\"numberdesk\",pod=\"p\",resource=\"memory\"}";
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    scenario.server.get(&ALICE, "/v1/me").await.expect(200);
    let used = scenario.metric("process_resident_memory_bytes").await;
    scenario.metric("numberdesk_inventory_numbers").await;
    scenario.metric("numberdesk_http_requests_in_flight").await;
    scenario
        .alert
        .external
        .extend([(USED, used), (LIMIT, used * 1.05)]);
    scenario.alert.wait_until_active().await;
    scenario.alert.external.insert(LIMIT, used * 2.0);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn file_descriptors_are_nearly_used_up(case: Case) {
    let config = TestConfig {
        // The connections must stay open until the alert is active.
        server: "header_timeout = \"2m\"",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let most = scenario.metric("process_open_fds").await + 60.0;
    let id = scenario.desk.child.id().unwrap().to_string();
    let limited = Command::new("prlimit")
        .args([format!("--pid={id}"), format!("--nofile={most}")])
        .status()
        .await;
    assert!(limited.unwrap().success());
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(TcpStream::connect(address(&scenario.server)).await.unwrap());
    }
    scenario.alert.wait_until_active().await;

    drop(clients);
    scenario.alert.wait_until_inactive().await;
}
