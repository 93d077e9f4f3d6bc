//! Faults of Close, of the connection to it, and of its webhooks.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::close::RENT;
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::scripted::unused_address;
use crate::support::server::{TestConfig, TestServer, WEBHOOK_KEY, text};
use crate::support::webhook::{deliver, deliver_with, delivery, event, now, signature};

/// A key of Close's webhooks that the service does not have yet.
const NEXT_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

fn down(method: &str, path: &str) -> Value {
    json!({ "method": method, "path": path, "answer": { "status": 503, "body": "down" } })
}

pub(in crate::operation::runbooks) async fn close_does_not_respond(case: Case) {
    let config = TestConfig {
        timeout: "2s",
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    scenario
        .server
        .close
        .fault(json!({ "answer": "drop_before_headers" }))
        .await;
    let order = scenario
        .server
        .order_at_once(&ALICE, "waits", &berlin())
        .await
        .expect(202);
    scenario.alert.wait_until_active().await;
    assert_ne!(scenario.readyz("close").await, "ok");
    scenario.server.get(&ALICE, "/v1/phone-numbers").await.expect(200);

    scenario.server.close.clear_faults().await;
    eventually("the unverified order is settled", || async {
        let order = scenario
            .server
            .get(&ALICE, &format!("/v1/orders/{}", text(&order["id"])))
            .await
            .expect(200);
        ["fulfilled", "refused"]
            .contains(&order["state"].as_str().unwrap())
            .then_some(())
    })
    .await;
    scenario.assert_no_order_is("unverified").await;
    scenario.alert.record_recovery().await;
    scenario.server.rent(&ALICE, "after", "FR").await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn the_api_key_is_revoked(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    scenario.server.close.set(json!({ "key_valid": false })).await;
    let order = scenario
        .server
        .order_at_once(&ALICE, "waits", &berlin())
        .await
        .expect(202);
    scenario.alert.wait_until_active().await;
    assert_eq!(scenario.readyz("close").await, "the API key is not accepted");
    let doctor = scenario.run("doctor").await;
    assert_eq!(doctor.code, 1, "{doctor:?}");

    // The service uses the new key of the same user without a restart.
    scenario
        .server
        .close
        .set(json!({ "other_key": "api_another.key" }))
        .await;
    scenario.write("close-api-key", "api_another.key");
    scenario
        .server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    eventually("no call with the former key is under way", || async {
        (scenario.readyz("close").await == "ok").then_some(())
    })
    .await;
    scenario.alert.record_recovery().await;
    scenario.server.rent(&ALICE, "after", "FR").await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn the_key_file_has_a_wrong_key(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    scenario.write("close-api-key", "api_wrong.key");
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["\"worker\":\"api-key\"", "worker step failed"]);
    let doctor = scenario.run("doctor").await;
    assert!(
        doctor.code == 1 && doctor.stdout.contains("does not accept the API key"),
        "{doctor:?}"
    );
    scenario.server.rent(&ALICE, "with-the-previous-key", "DE").await;

    scenario.write("close-api-key", scenario.server.close.api_key());
    assert_eq!(scenario.run("doctor").await.code, 0);
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn close_forbids_renting(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let forbidden = json!({ "status": 403, "body": { "error": "You may not rent numbers." } });
    scenario
        .server
        .close
        .fault(json!({ "path": RENT, "answer": forbidden }))
        .await;
    let refused = scenario.server.order(&ALICE, "refused", &berlin()).await;
    assert_eq!(
        refused.problem(422, "close-refused")["detail"],
        "You may not rent numbers."
    );
    scenario.alert.wait_until_active().await;

    scenario.server.close.clear_faults().await;
    scenario.alert.record_recovery().await;
    scenario.server.rent(&ALICE, "anew", "DE").await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn close_adds_a_field(case: Case) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let number = scenario.server.rent(&ALICE, "one", "DE").await;
    scenario
        .server
        .close
        .person_changes(&number, json!({ "ring_order": 1 }))
        .await;
    scenario.alert.wait_until_active().await;
    let report = scenario.run("doctor").await;
    assert!(
        report.stdout.contains("unknown_field phone_number.ring_order"),
        "{report:?}"
    );
    scenario.assert_logged(&[
        "answer of Close differs from the known API",
        "phone_number.ring_order",
    ]);
    scenario.server.rent(&ALICE, "another", "DE").await;
    let label = json!({ "label": "Front" });
    scenario.server.patch(&ALICE, &number, &label).await.expect(200);
    scenario.server.release(&ALICE, &number).await.empty(204);

    scenario.alert.record_recovery().await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn complete_listings_fail(case: Case) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case.shortened("3600", "8"), config).await;
    let broken = json!({ "method": "GET", "path": "/phone_number/", "answer": "truncate" });
    scenario.server.close.fault(broken).await;
    // A process without any comparison reports how long it has waited for the first one.
    scenario.restart().await;
    scenario.alert.wait_until_active().await;
    assert_ne!(scenario.readyz("close").await, "ok");
    scenario.assert_logged(&["\"worker\":\"sync\"", "close is unavailable"]);

    scenario.server.close.clear_faults().await;
    scenario.alert.wait_until_inactive().await;
    assert_eq!(scenario.readyz("close").await, "ok");
}

pub(in crate::operation::runbooks) async fn the_signature_key_is_rotated(case: Case) {
    let mut scenario = Scenario::new(case, TestConfig::default()).await;
    let number = scenario.server.rent(&ALICE, "one", "DE").await;
    let nth = AtomicUsize::new(0);
    let server = &scenario.server;
    // Close delivers a new event that is signed with the next key.
    let deliver_with_next_key = || async {
        let nth = nth.fetch_add(1, Ordering::Relaxed);
        let body = delivery(&event(&format!("next{nth}"), "updated", &number));
        let key = hex::decode(NEXT_KEY).unwrap();
        signed_with(server, &key, &body).await
    };
    scenario
        .alert
        .wait_until_active_while(|| async {
            for _ in 0..3 {
                assert_eq!(deliver_with_next_key().await, 401);
            }
        })
        .await;
    let metrics = server.at_ops("/metrics").await.text;
    assert!(
        !metrics.contains("numberdesk_webhooks_received_total{outcome=\"wrong_signature\"} 0\n"),
        "{metrics}"
    );

    let both = format!("{WEBHOOK_KEY}\n{NEXT_KEY}\n");
    std::fs::write(server.folder.path().join("close-webhook-key"), both).unwrap();
    eventually("the service accepts the new key", || async {
        (deliver_with_next_key().await < 300).then_some(())
    })
    .await;
    scenario.alert.record_recovery().await;
    scenario
        .alert
        .wait_until_inactive_while(|| async { assert!(deliver_with_next_key().await < 300) })
        .await;
}

async fn signed_with(server: &TestServer, key: &[u8], body: &str) -> u16 {
    let timestamp = now().to_string();
    let hash = signature(key, &timestamp, body);
    let headers = [
        ("close-sig-hash", hash.as_str()),
        ("close-sig-timestamp", timestamp.as_str()),
    ];
    deliver_with(server, &headers, body).await.status
}

/// Makes the service check its subscription at once instead of after a minute.
///
/// A delivery with an unknown signature triggers the check.
async fn trigger_subscription_check(scenario: &Scenario) {
    assert_eq!(signed_with(&scenario.server, b"nobody's", "{}").await, 401);
}

pub(in crate::operation::runbooks) async fn close_can_not_reach_the_public_url(case: Case) {
    let config = TestConfig {
        subscribe: true,
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    // The gateway is wrong: nothing listens at the public address of the service.
    let public_url = format!("public_url = \"http://{}\"", unused_address());
    scenario.reconfigure("[server]\n", &format!("[server]\n{public_url}\n"));
    scenario.restart().await;
    eventually("the service has subscribed", || async {
        (scenario.readyz("webhooks").await == "ok").then_some(())
    })
    .await;
    scenario
        .server
        .close
        .person_rents(json!({ "country": "FR" }))
        .await;
    eventually("Close reports that it can't deliver", || async {
        let all = scenario.server.close.subscriptions().await;
        all.iter()
            .any(|subscription| subscription["health_status"] == "unhealthy")
            .then_some(())
    })
    .await;
    trigger_subscription_check(&scenario).await;
    scenario.alert.wait_until_active().await;
    assert_eq!(scenario.readyz("webhooks").await, "failing");
    let status = scenario.run("webhooks status").await;
    assert!(
        status.stdout.contains("latest error") && status.stdout.contains("unhealthy"),
        "{status:?}"
    );

    scenario.reconfigure(&format!("{public_url}\n"), "");
    scenario.restart().await;
    scenario.alert.wait_until_inactive().await;
    assert_eq!(scenario.readyz("webhooks").await, "ok");
}

pub(in crate::operation::runbooks) async fn subscriptions_are_near_the_limit(case: Case) {
    let config = TestConfig {
        subscribe: true,
        server: "public_url = \"https://desk.example\"",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let body = json!({ "url": "https://other.example/", "events": [{ "object_type": "lead", "action": "created" }] });
    let mut others = Vec::new();
    for _ in 0..35 {
        let (status, subscription) = scenario
            .server
            .close
            .call("POST", "/webhook/", Some(body.clone()))
            .await;
        assert_eq!(status, 201);
        others.push(text(&subscription["id"]));
    }
    trigger_subscription_check(&scenario).await;
    scenario.alert.wait_until_active().await;
    let status = scenario.run("webhooks status").await;
    assert!(status.stdout.contains(" of 40 subscriptions"), "{status:?}");

    for id in &others[..5] {
        scenario
            .server
            .close
            .call("DELETE", &format!("/webhook/{id}/"), None)
            .await;
    }
    scenario.restart().await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn the_clock_of_close_is_wrong(case: Case) {
    let config = TestConfig {
        subscribe: true,
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    eventually("the service has subscribed", || async {
        (scenario.readyz("webhooks").await == "ok").then_some(())
    })
    .await;
    // Close's clock is wrong, which the service measures as lag of the webhooks.
    scenario.server.close.set(json!({ "clock_shift": "-10m" })).await;
    let close = &scenario.server.close;
    let change = || async { drop(close.person_rents(json!({ "country": "FR" })).await) };
    scenario.alert.wait_until_active_while(change).await;

    scenario.server.close.set(json!({ "clock_shift": "0s" })).await;
    scenario.alert.record_recovery().await;
    let close = &scenario.server.close;
    let change = || async { drop(close.person_rents(json!({ "country": "FR" })).await) };
    scenario.alert.wait_until_inactive_while(change).await;
}

pub(in crate::operation::runbooks) async fn refetching_a_number_fails(case: Case) {
    let config = TestConfig {
        timeout: "2s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let number = scenario.server.rent(&ALICE, "one", "DE").await;
    scenario
        .server
        .close
        .fault(down("GET", "/phone_number/{id}/"))
        .await;
    deliver(&scenario.server, &delivery(&event("one", "updated", &number)))
        .await
        .empty(204);
    eventually("reading the number from Close has failed", || async {
        let failed = scenario
            .desk
            .log()
            .lines()
            .any(|line| line.contains("\"worker\":\"read-back\""));
        failed.then_some(())
    })
    .await;
    // The same state after ten minutes of failing attempts.
    scenario
        .server
        .database
        .execute("UPDATE errands SET told_at = told_at - 600000000")
        .await;
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["\"worker\":\"read-back\"", "close is unavailable"]);

    scenario.server.close.clear_faults().await;
    scenario.alert.wait_until_inactive().await;
}

pub(in crate::operation::runbooks) async fn a_number_can_not_be_read(case: Case) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let mut scenario = Scenario::new(case, config).await;
    let close = &scenario.server.close;
    let id = text(&close.person_rents(json!({ "country": "DE" })).await["id"]);
    let show_as = async |shown: Value| {
        let fields = json!({ "shown": shown, "silent": true });
        close.person_changes(&id, fields).await;
    };
    show_as(json!({ "number": null })).await;
    scenario.alert.wait_until_active().await;
    scenario.assert_logged(&["record of Close can't be read", &id]);
    let doctor = scenario.run("doctor").await;
    let line = format!("phone_number {id}: `number` is null");
    assert!(doctor.code == 0 && doctor.stdout.contains(&line), "{doctor:?}");
    scenario.server.rent(&ALICE, "meanwhile", "DE").await;

    show_as(json!({})).await;
    scenario.alert.wait_until_inactive().await;
}
