//! Faults of Close, of the way there, and of what Close tells.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::operation::runbooks::scenario::{Case, Scenario};
use crate::support::close::RENT;
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::scripted::unused_address;
use crate::support::server::{TestConfig, TestServer, WEBHOOK_KEY, text};
use crate::support::webhook::{deliver, deliver_with, delivery, event, now, signature};

/// A key of Close's webhooks that the desk does not have yet.
const NEXT_KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

fn down(method: &str, path: &str) -> Value {
    json!({ "method": method, "path": path, "answer": { "status": 503, "body": "down" } })
}

pub(in crate::operation::runbooks) async fn nothing_is_answered(case: Case) {
    let config = TestConfig {
        timeout: "2s",
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    it.server
        .close
        .fault(json!({ "answer": "drop_before_headers" }))
        .await;
    let order = it
        .server
        .order_at_once(&ALICE, "waits", &berlin())
        .await
        .expect(202);
    it.alert.holds().await;
    assert_ne!(it.readyz("close").await, "ok");
    it.server.get(&ALICE, "/v1/phone-numbers").await.expect(200);

    it.server.close.clear_faults().await;
    eventually("doubts are settled", || async {
        let order = it
            .server
            .get(&ALICE, &format!("/v1/orders/{}", text(&order["id"])))
            .await
            .expect(200);
        ["fulfilled", "refused"]
            .contains(&order["state"].as_str().unwrap())
            .then_some(())
    })
    .await;
    it.no_order_is("unverified").await;
    it.alert.mended().await;
    it.server.rent(&ALICE, "after", "FR").await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn the_key_is_revoked(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    it.server.close.set(json!({ "key_valid": false })).await;
    let order = it
        .server
        .order_at_once(&ALICE, "waits", &berlin())
        .await
        .expect(202);
    it.alert.holds().await;
    assert_eq!(it.readyz("close").await, "the API key is not accepted");
    let doctor = it.run("doctor").await;
    assert_eq!(doctor.code, 1, "{doctor:?}");

    // A key of the same user takes its place, and is used without a restart.
    it.server
        .close
        .set(json!({ "other_key": "api_another.key" }))
        .await;
    it.write("close-api-key", "api_another.key");
    it.server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    assert_eq!(it.readyz("close").await, "ok");
    it.alert.mended().await;
    it.server.rent(&ALICE, "after", "FR").await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn the_file_has_another_key(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    it.write("close-api-key", "api_wrong.key");
    it.alert.holds().await;
    it.log_says(&["\"worker\":\"api-key\"", "worker step failed"]);
    let doctor = it.run("doctor").await;
    assert!(
        doctor.code == 1 && doctor.stdout.contains("does not accept the API key"),
        "{doctor:?}"
    );
    it.server.rent(&ALICE, "the-one-before-serves", "DE").await;

    it.write("close-api-key", it.server.close.api_key());
    assert_eq!(it.run("doctor").await.code, 0);
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn the_user_may_not_rent(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    let no = json!({ "status": 403, "body": { "error": "You may not rent numbers." } });
    it.server.close.fault(json!({ "path": RENT, "answer": no })).await;
    let refused = it.server.order(&ALICE, "refused", &berlin()).await;
    assert_eq!(
        refused.problem(422, "close-refused")["detail"],
        "You may not rent numbers."
    );
    it.alert.holds().await;

    it.server.close.clear_faults().await;
    it.alert.mended().await;
    it.server.rent(&ALICE, "anew", "DE").await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn a_listing_is_never_whole(case: Case) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case.shortened("3600", "8"), config).await;
    let broken = json!({ "method": "GET", "path": "/phone_number/", "answer": "truncate" });
    it.server.close.fault(broken).await;
    // A process that knows of no comparison tells how long it has waited for one.
    it.restart().await;
    it.alert.holds().await;
    assert_ne!(it.readyz("close").await, "ok");
    it.log_says(&["\"worker\":\"sync\"", "close is unavailable"]);

    it.server.close.clear_faults().await;
    it.alert.is_over().await;
    assert_eq!(it.readyz("close").await, "ok");
}

pub(in crate::operation::runbooks) async fn the_signature_key_is_rotated(case: Case) {
    let mut it = Scenario::new(case, TestConfig::default()).await;
    let number = it.server.rent(&ALICE, "one", "DE").await;
    let nth = AtomicUsize::new(0);
    let server = &it.server;
    // What Close signs with the other key, each time of something else.
    let tells = || async {
        let nth = nth.fetch_add(1, Ordering::Relaxed);
        let body = delivery(&event(&format!("next{nth}"), "updated", &number));
        let key = hex::decode(NEXT_KEY).unwrap();
        signed_with(server, &key, &body).await
    };
    it.alert
        .holds_while(|| async {
            for _ in 0..3 {
                assert_eq!(tells().await, 401);
            }
        })
        .await;
    let metrics = server.at_ops("/metrics").await.text;
    assert!(
        metrics.contains("numberdesk_webhooks_received_total{outcome=\"wrong_signature\"}"),
        "{metrics}"
    );

    let both = format!("{WEBHOOK_KEY}\n{NEXT_KEY}\n");
    std::fs::write(server.folder.path().join("close-webhook-key"), both).unwrap();
    eventually("the new key holds", || async {
        (tells().await < 300).then_some(())
    })
    .await;
    it.alert.mended().await;
    it.alert
        .is_over_while(|| async { assert!(tells().await < 300) })
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

/// Has the desk look at its subscription before its minute is over: an unknown signature makes it doubt its keys.
async fn wake(it: &Scenario) {
    assert_eq!(signed_with(&it.server, b"nobody's", "{}").await, 401);
}

pub(in crate::operation::runbooks) async fn the_desk_can_not_be_reached(case: Case) {
    let config = TestConfig {
        subscribe: true,
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    // The gateway leads elsewhere: what the desk calls its public address answers nobody.
    let nowhere = format!("public_url = \"http://{}\"", unused_address());
    it.reconfigure("[server]\n", &format!("[server]\n{nowhere}\n"));
    it.restart().await;
    eventually("a subscription is made", || async {
        (it.readyz("webhooks").await == "ok").then_some(())
    })
    .await;
    it.server.close.person_rents(json!({ "country": "FR" })).await;
    eventually("Close sees that it can't deliver", || async {
        let all = it.server.close.subscriptions().await;
        all.iter()
            .any(|it| it["health_status"] == "unhealthy")
            .then_some(())
    })
    .await;
    wake(&it).await;
    it.alert.holds().await;
    assert_eq!(it.readyz("webhooks").await, "failing");
    let status = it.run("webhooks status").await;
    assert!(
        status.stdout.contains("latest error") && status.stdout.contains("unhealthy"),
        "{status:?}"
    );

    it.reconfigure(&format!("{nowhere}\n"), "");
    it.restart().await;
    it.alert.is_over().await;
    assert_eq!(it.readyz("webhooks").await, "ok");
}

pub(in crate::operation::runbooks) async fn others_have_many_subscriptions(case: Case) {
    let config = TestConfig {
        subscribe: true,
        server: "public_url = \"https://desk.example\"",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    let body = json!({ "url": "https://other.example/", "events": [{ "object_type": "lead", "action": "created" }] });
    let mut others = Vec::new();
    for _ in 0..35 {
        let (status, made) = it.server.close.ask("POST", "/webhook/", Some(body.clone())).await;
        assert_eq!(status, 201);
        others.push(text(&made["id"]));
    }
    wake(&it).await;
    it.alert.holds().await;
    let status = it.run("webhooks status").await;
    assert!(status.stdout.contains(" of 40 subscriptions"), "{status:?}");

    for id in &others[..5] {
        it.server
            .close
            .ask("DELETE", &format!("/webhook/{id}/"), None)
            .await;
    }
    it.restart().await;
    it.alert.is_over().await;
}

pub(in crate::operation::runbooks) async fn clocks_differ(case: Case) {
    let config = TestConfig {
        subscribe: true,
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    eventually("the desk is subscribed", || async {
        (it.readyz("webhooks").await == "ok").then_some(())
    })
    .await;
    // What the desk takes for lag is Close's clock here.
    it.server.close.set(json!({ "clock_shift": "-10m" })).await;
    let close = &it.server.close;
    let change = || async { drop(close.person_rents(json!({ "country": "FR" })).await) };
    it.alert.holds_while(change).await;

    it.server.close.set(json!({ "clock_shift": "0s" })).await;
    it.alert.mended().await;
    let close = &it.server.close;
    let change = || async { drop(close.person_rents(json!({ "country": "FR" })).await) };
    it.alert.is_over_while(change).await;
}

pub(in crate::operation::runbooks) async fn a_number_is_not_answered(case: Case) {
    let config = TestConfig {
        timeout: "2s",
        ..TestConfig::default()
    };
    let mut it = Scenario::new(case, config).await;
    let number = it.server.rent(&ALICE, "one", "DE").await;
    it.server.close.fault(down("GET", "/phone_number/{id}/")).await;
    deliver(&it.server, &delivery(&event("one", "updated", &number)))
        .await
        .empty(204);
    eventually("Close was asked in vain", || async {
        let failed = it
            .desk
            .log()
            .lines()
            .any(|line| line.contains("\"worker\":\"read-back\""));
        failed.then_some(())
    })
    .await;
    // Ten minutes pass, in which it is asked for again and again.
    it.server
        .database
        .change("UPDATE errands SET told_at = told_at - 600000000")
        .await;
    it.alert.holds().await;
    it.log_says(&["\"worker\":\"read-back\"", "close is unavailable"]);

    it.server.close.clear_faults().await;
    it.alert.is_over().await;
}
