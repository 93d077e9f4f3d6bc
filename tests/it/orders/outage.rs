//! Orders and reads while the database or Close is down, and after the process was stopped, killed or reconfigured.

use serde_json::{Value, json};

use crate::support::close::RENT;
use crate::support::database::{Database, with_sqlite};
use crate::support::epoch::on_both_stores_and_next_close;
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::personas::ALICE;
use crate::support::scripted::unused_address;
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores_and_next_close! {
    without_a_database_an_order_is_503_and_nothing_is_sent,
    the_outcome_of_a_rent_is_stored_once_the_database_is_back,
    without_close_reads_work_and_the_service_stays_ready,
    a_queued_order_is_sent_after_a_restart,
    a_rent_that_a_kill_interrupted_is_never_sent_again,
    a_shutdown_waits_for_the_rents_in_progress,
    an_edited_policy_takes_effect_and_an_invalid_one_never_does,
    a_new_api_key_is_used_once_close_accepts_it_and_an_invalid_one_never_is,
}

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

async fn without_a_database_an_order_is_503_and_nothing_is_sent(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let outage = Outage::begin(&database).await;
    let answer = server.order(&ALICE, "key", &berlin()).await;
    answer.problem_snapshot(503, "store-unavailable");
    assert!(
        !answer.text.contains("sql"),
        "the response shows the error text of the database: {answer}"
    );
    assert!(server.close.rents().await.is_empty(), "a rent was sent");
    if matches!(outage, Outage::Postgres(_)) {
        server
            .get(&ALICE, "/v1/orders")
            .await
            .problem(503, "store-unavailable");
    }
    eventually("the replica is ready, and says what is wrong", || async {
        let readiness = server.at_ops("/readyz").await;
        assert_eq!(readiness.status, 200, "reads go on: {readiness}");
        let database = text(&readiness.json()["database"]);
        // SQLite still answers reads.
        (database.starts_with("the database") && database != "ok").then_some(())
    })
    .await;
    server.get(&ALICE, "/v1/phone-numbers").await.expect(200);
    assert_eq!(server.at_ops("/livez").await.status, 200);
    outage.end().await;
    eventually("the database is usable again", || async {
        (server.at_ops("/readyz").await.json()["database"] == "ok").then_some(())
    })
    .await;
    server.order(&ALICE, "key", &berlin()).await.expect(201);
    assert_eq!(server.close.rents().await.len(), 1);
}

/// SQLite rolls a transaction back by itself when the disk is full.
#[tokio::test(flavor = "multi_thread")]
async fn orders_are_stored_again_after_sqlite_rolled_a_transaction_back_by_itself() {
    with_sqlite(|database| async move {
        let server = TestServer::new(database.clone()).await;
        let trigger = "CREATE TRIGGER ends BEFORE INSERT ON orders BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
        database.execute(trigger).await;
        for key in ["one", "two"] {
            let answer = server.order(&ALICE, key, &berlin()).await;
            answer.problem_snapshot(500, "internal");
        }
        database.execute("DROP TRIGGER ends").await;
        server.order(&ALICE, "one", &berlin()).await.expect(201);
        assert_eq!(server.close.rents().await.len(), 1);
    })
    .await;
}

async fn the_outcome_of_a_rent_is_stored_once_the_database_is_back(database: Database) {
    let server = TestServer::new(database.clone()).await;
    server.close.set(json!({ "rents_held": true })).await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    server.close.wait_for_requests("POST", RENT, 1).await;
    let outage = Outage::begin(&database).await;
    server.close.set(json!({ "rents_held": false })).await;
    eventually("Close has rented", || async {
        (server.close.held().await.len() == 1).then_some(())
    })
    .await;
    outage.end().await;
    eventually("the service reads again", || async {
        (server.get(&ALICE, "/v1/orders").await.status == 200).then_some(())
    })
    .await;
    let order = server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    assert_eq!(order["evidence"], "close-201");
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn without_close_reads_work_and_the_service_stays_ready(database: Database) {
    let config = TestConfig {
        timeout: "10s",
        full_sync: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // From now on connections to Close are refused.
    let close_address = server.stop_close().await;
    let path = format!("/v1/phone-numbers/{number}");
    server.get(&ALICE, &path).await.expect(200);
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
    server
        .patch(&ALICE, &number, &json!({ "label": "x" }))
        .await
        .problem_snapshot(502, "close-unavailable");
    server
        .release(&ALICE, &number)
        .await
        .problem(502, "close-unavailable");
    let order = server
        .order_at_once(&ALICE, "queued", &berlin())
        .await
        .expect(202);
    eventually("/readyz reports that Close is unavailable", || async {
        let readiness = server.at_ops("/readyz").await;
        (readiness.status == 200 && readiness.json()["close"] != "ok").then_some(())
    })
    .await;
    server.get(&ALICE, &path).await.expect(200);
    // The simulated Close starts again without its data. The queued order is sent now.
    server.start_close_at(close_address).await;
    server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_queued_order_is_sent_after_a_restart(database: Database) {
    let close_address = unused_address();
    let config = TestConfig {
        close_url: Some(format!("http://{close_address}/api/v1")),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    server.stop().await;
    server.start_close_at(close_address).await;
    server.start().await;
    let id = text(&order["id"]);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(
        server.order(&ALICE, "key", &berlin()).await.expect(201)["id"],
        id.as_str()
    );
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_rent_that_a_kill_interrupted_is_never_sent_again(database: Database) {
    let (mut server, mut desk) = TestServer::as_process(database.clone(), TestConfig::default()).await;
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": "hang", "effect": true }))
        .await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    let id = text(&order["id"]);
    server.close.wait_for_requests("POST", RENT, 1).await;
    desk.kill().await;
    let desk = server.start_process().await;
    // Until the lease expires, the process that holds it might still be alive.
    let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
    assert_eq!(order["state"], "renting");
    database
        .execute("UPDATE orders SET lease_until = 1 WHERE state = 'renting'")
        .await;
    let order = server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(order["evidence"], "found-by-reconciliation");
    assert_eq!(order["phone_number"]["id"], server.close.held().await[0]["id"]);
    assert_eq!(
        server.order(&ALICE, "key", &berlin()).await.expect(201)["id"],
        id.as_str()
    );
    let usage = crate::support::books::usage(&server).await;
    assert_eq!(usage, json!({ "held": 1, "reserved": 0, "today": 1 }));
    assert_eq!(server.close.rents().await.len(), 1, "the rent was sent again");
    drop(desk);
}

async fn a_shutdown_waits_for_the_rents_in_progress(database: Database) {
    let (mut server, mut desk) = TestServer::as_process(database, TestConfig::default()).await;
    server.close.set(json!({ "rent_latency": "2s" })).await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    server.close.wait_for_requests("POST", RENT, 1).await;
    assert_eq!(desk.terminate().await, 0);
    server.start().await;
    let order = server
        .get(&ALICE, &format!("/v1/orders/{}", text(&order["id"])))
        .await
        .expect(200);
    assert_eq!(
        (&order["state"], &order["evidence"]),
        (&json!("fulfilled"), &json!("close-201"))
    );
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn an_edited_policy_takes_effect_and_an_invalid_one_never_does(database: Database) {
    let mut server = TestServer::new(database).await;
    server.stop().await;
    // The test reads metrics, and a process has only one metrics recorder.
    let _desk = server.start_process().await;
    let policy = server.folder.path().join("policy.toml");
    let allowed = async |country: &str| {
        let ask = server.request_as(&ALICE, "POST", "/v1/orders?validate_only=true");
        send(ask.json(&json!({ "country": country }))).await.expect(200)["allowed"] == true
    };
    assert!(allowed("DE").await && !allowed("JP").await);
    // With an invalid file, the last valid policy stays in force, and a metric reports the fault.
    std::fs::write(&policy, "[teams.sales\ncountries = JP").expect("the file can be written");
    eventually("the metric reports the invalid policy", || async {
        server
            .at_ops("/metrics")
            .await
            .text
            .contains("numberdesk_policy_good 0")
            .then_some(())
    })
    .await;
    assert!(allowed("DE").await && !allowed("JP").await);
    std::fs::write(&policy, "[teams.sales]\ncountries = [\"JP\"]\n").expect("the file can be written");
    eventually("the new policy is in force", || async {
        allowed("JP").await.then_some(())
    })
    .await;
    assert!(!allowed("DE").await);
    // An empty file is invalid. A file is empty for a moment while an editor writes it.
    std::fs::write(&policy, "").expect("the file can be written");
    eventually("the metric reports the empty policy", || async {
        let metrics = server.at_ops("/metrics").await.text;
        metrics.contains("numberdesk_policy_good 0").then_some(())
    })
    .await;
    assert!(allowed("JP").await && !allowed("DE").await);
}

async fn a_new_api_key_is_used_once_close_accepts_it_and_an_invalid_one_never_is(database: Database) {
    let server = TestServer::new(database).await;
    server.wait_until_synced().await;
    let file = server.folder.path().join("close-api-key");
    let write = |text: &str| std::fs::write(&file, text).expect("the file can be written");
    let me = "/me/";
    let key_is_good = async || {
        let text = server.at_ops("/metrics").await.text;
        text.contains("numberdesk_close_key_good 1")
    };
    // The service tries a key that Close does not know, repeatedly, and never uses it.
    let asked = server.close.requests("GET", me).await.len();
    write("api_another.key");
    let seen = server.close.wait_for_requests("GET", me, asked + 2).await;
    assert_eq!(
        seen.last().expect("the key was tried")["headers"]["authorization"],
        "Basic (invalid)"
    );
    server.rent(&ALICE, "the-old-key-still-works", "DE").await;
    // An empty file is not used either.
    write("");
    server.rent(&ALICE, "an-empty-file-changes-nothing", "DE").await;
    // Once Close accepts the new key, the service uses it, and no longer needs the old one.
    server.close.set(json!({ "other_key": "api_another.key" })).await;
    let asked = server.close.requests("GET", me).await.len();
    write("api_another.key");
    server.close.wait_for_requests("GET", me, asked + 1).await;
    eventually("the new key is used", || async {
        key_is_good().await.then_some(())
    })
    .await;
    server.close.set(json!({ "key_valid": false })).await;
    server.rent(&ALICE, "the-new-key-works", "DE").await;
    // Close refuses the old key now, so the service does not return to it.
    let asked = server.close.requests("GET", me).await.len();
    write(server.close.api_key());
    server.close.wait_for_requests("GET", me, asked + 2).await;
    server.rent(&ALICE, "the-new-key-stays", "DE").await;
}
