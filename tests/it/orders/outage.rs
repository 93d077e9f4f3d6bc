//! Something is down: the database, Close, or the desk itself in the middle of its work.

use serde_json::{Value, json};

use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores, with_sqlite};
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::personas::ALICE;
use crate::support::scripted::unused_address;
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores! {
    without_a_database_nothing_is_sent_and_the_desk_says_so,
    an_outcome_is_written_down_once_the_database_is_back,
    without_close_reads_go_on_and_the_desk_stays_ready,
    an_order_that_waits_is_taken_up_after_a_restart,
    a_desk_that_was_killed_during_the_paid_call_never_sends_it_again,
    a_desk_that_is_asked_to_end_ends_its_paid_calls_first,
    a_policy_that_was_edited_takes_effect_and_a_broken_one_never_does,
    another_api_key_is_used_once_close_accepts_it_and_a_bad_one_never_is,
}

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

async fn without_a_database_nothing_is_sent_and_the_desk_says_so(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let outage = Outage::begin(&database).await;
    let answer = server.order(&ALICE, "key", &berlin()).await;
    answer.problem(503, "store-unavailable");
    assert!(
        !answer.text.contains("sql"),
        "the database's own words are nobody's business: {answer}"
    );
    assert!(server.close.rents().await.is_empty(), "something was sent");
    if matches!(outage, Outage::Postgres(_)) {
        server
            .get(&ALICE, "/v1/orders")
            .await
            .problem(503, "store-unavailable");
        assert_eq!(server.at_ops("/readyz").await.status, 503);
    }
    assert_eq!(server.at_ops("/livez").await.status, 200);
    outage.end().await;
    eventually("the desk is ready again", || async {
        (server.at_ops("/readyz").await.status == 200).then_some(())
    })
    .await;
    server.order(&ALICE, "key", &berlin()).await.expect(201);
    assert_eq!(server.close.rents().await.len(), 1);
}

/// A full disk does so to whatever is being written at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_sqlite_ends_by_itself_keeps_no_later_one_from_being_written() {
    with_sqlite(|database| async move {
        let server = TestServer::new(database.clone()).await;
        let ends = "CREATE TRIGGER ends BEFORE INSERT ON orders BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
        database.change(ends).await;
        for key in ["one", "two"] {
            let answer = server.order(&ALICE, key, &berlin()).await;
            answer.problem(500, "internal");
        }
        database.change("DROP TRIGGER ends").await;
        server.order(&ALICE, "one", &berlin()).await.expect(201);
        assert_eq!(server.close.rents().await.len(), 1);
    })
    .await;
}

async fn an_outcome_is_written_down_once_the_database_is_back(database: Database) {
    let server = TestServer::new(database.clone()).await;
    server.close.set(json!({ "rent_latency": "1s" })).await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    server.close.wait_for_requests("POST", RENT, 1).await;
    let outage = Outage::begin(&database).await;
    eventually("Close has rented", || async {
        (server.close.held().await.len() == 1).then_some(())
    })
    .await;
    outage.end().await;
    let order = server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    assert_eq!(order["evidence"], "close-201");
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn without_close_reads_go_on_and_the_desk_stays_ready(database: Database) {
    let config = TestConfig {
        timeout: "2s",
        full_sync: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // From now on nobody listens where Close was.
    let away = server.stop_close().await;
    let path = format!("/v1/phone-numbers/{number}");
    server.get(&ALICE, &path).await.expect(200);
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
    server
        .patch(&ALICE, &number, &json!({ "label": "x" }))
        .await
        .problem(502, "close-unavailable");
    server
        .release(&ALICE, &number)
        .await
        .problem(502, "close-unavailable");
    let order = server.order_at_once(&ALICE, "waits", &berlin()).await.expect(202);
    eventually("the desk has noticed", || async {
        let readiness = server.at_ops("/readyz").await;
        (readiness.status == 200 && readiness.json()["close"] != "ok").then_some(())
    })
    .await;
    server.get(&ALICE, &path).await.expect(200);
    // It comes back without its memory, as a simulated one does; the order that waited goes out.
    server.start_close_at(away).await;
    server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn an_order_that_waits_is_taken_up_after_a_restart(database: Database) {
    let away = unused_address();
    let config = TestConfig {
        close_url: Some(format!("http://{away}/api/v1")),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    server.stop().await;
    server.start_close_at(away).await;
    server.start().await;
    let id = text(&order["id"]);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(
        server.order(&ALICE, "key", &berlin()).await.expect(201)["id"],
        id.as_str()
    );
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_desk_that_was_killed_during_the_paid_call_never_sends_it_again(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    server.stop().await;
    let mut desk = server.start_process().await;
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": "hang", "effect": true }))
        .await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    let id = text(&order["id"]);
    server.close.wait_for_requests("POST", RENT, 1).await;
    desk.kill().await;
    let desk = server.start_process().await;
    // As long as the lease holds, the one who has it might still be alive.
    let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
    assert_eq!(order["state"], "renting");
    database
        .change("UPDATE orders SET lease_until = 1 WHERE state = 'renting'")
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
    assert_eq!(server.close.rents().await.len(), 1, "it was sent again");
    drop(desk);
}

async fn a_desk_that_is_asked_to_end_ends_its_paid_calls_first(database: Database) {
    let mut server = TestServer::new(database).await;
    server.stop().await;
    let mut desk = server.start_process().await;
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

async fn a_policy_that_was_edited_takes_effect_and_a_broken_one_never_does(database: Database) {
    let mut server = TestServer::new(database).await;
    server.stop().await;
    // Metrics of its own: a process has one recorder.
    let _desk = server.start_process().await;
    let policy = server.folder.path().join("policy.toml");
    let allowed = async |country: &str| {
        let ask = server.request_as(&ALICE, "POST", "/v1/orders?validate_only=true");
        send(ask.json(&json!({ "country": country }))).await.expect(200)["allowed"] == true
    };
    assert!(allowed("DE").await && !allowed("JP").await);
    // A broken file keeps the last good one, and says so where somebody looks.
    std::fs::write(&policy, "[teams.sales\ncountries = JP").expect("it can be written");
    eventually("the broken policy is noticed", || async {
        server
            .at_ops("/metrics")
            .await
            .text
            .contains("numberdesk_policy_good 0")
            .then_some(())
    })
    .await;
    assert!(allowed("DE").await && !allowed("JP").await);
    std::fs::write(&policy, "[teams.sales]\ncountries = [\"JP\"]\n").expect("it can be written");
    eventually("the new policy is in force", || async {
        allowed("JP").await.then_some(())
    })
    .await;
    assert!(!allowed("DE").await);
    // An empty file, as it is for a moment while it is written, is a broken one.
    std::fs::write(&policy, "").expect("it can be written");
    eventually("the empty policy is noticed", || async {
        let metrics = server.at_ops("/metrics").await.text;
        metrics.contains("numberdesk_policy_good 0").then_some(())
    })
    .await;
    assert!(allowed("JP").await && !allowed("DE").await);
}

async fn another_api_key_is_used_once_close_accepts_it_and_a_bad_one_never_is(database: Database) {
    let server = TestServer::new(database).await;
    server.wait_until_synced().await;
    let file = server.folder.path().join("close-api-key");
    let write = |text: &str| std::fs::write(&file, text).expect("it can be written");
    let me = "/me/";
    let good = async || {
        let text = server.at_ops("/metrics").await.text;
        text.contains("numberdesk_close_key_good 1")
    };
    // One that Close does not know is tried, again and again, and never used.
    let asked = server.close.requests("GET", me).await.len();
    write("api_another.key");
    let seen = server.close.wait_for_requests("GET", me, asked + 2).await;
    assert_eq!(
        seen.last().expect("it was tried")["headers"]["authorization"],
        "Basic (invalid)"
    );
    server.rent(&ALICE, "the-old-one-serves", "DE").await;
    // Neither is none.
    write("");
    server.rent(&ALICE, "and-serves-on", "DE").await;
    // Once Close knows it, it is used, and the old one is needed no more.
    server.close.set(json!({ "other_key": "api_another.key" })).await;
    let asked = server.close.requests("GET", me).await.len();
    write("api_another.key");
    server.close.wait_for_requests("GET", me, asked + 1).await;
    eventually("the new key is used", || async { good().await.then_some(()) }).await;
    server.close.set(json!({ "key_valid": false })).await;
    server.rent(&ALICE, "the-new-one-works", "DE").await;
    // The old one is refused now, so it does not come back.
    let asked = server.close.requests("GET", me).await.len();
    write(server.close.api_key());
    server.close.wait_for_requests("GET", me, asked + 2).await;
    server.rent(&ALICE, "and-goes-on-to", "DE").await;
}
