//! Changes of one number at the same time: one after another, on all replicas, and none is lost.

use super::*;
use crate::support::desk::{TestDesk, caller, find, release, request, update};
use crate::support::server::POLICY;
use numberdesk::domain::id::PhoneNumberId;
use numberdesk::error::Error;

on_both_stores! {
    of_ten_changes_with_one_if_match_one_succeeds,
    of_ten_changes_with_one_version_on_two_replicas_one_succeeds,
    changes_without_if_match_happen_one_after_another,
    a_release_with_if_match_needs_the_current_etag,
    a_transfer_with_if_match_needs_the_current_etag,
    a_release_with_if_match_waits_for_a_change_under_way,
    a_scheduled_release_waits_for_a_change_under_way,
    a_change_that_hangs_makes_others_wait_for_a_bounded_time,
    a_replica_that_died_during_a_change_blocks_the_number_only_for_a_while,
}

/// Close executes the next change of a number only after `delay`.
async fn slow_change(server: &TestServer, delay: &str) {
    let path = "/phone_number/{id}/";
    let fault = json!({ "method": "PUT", "path": path, "times": 1, "delay": delay, "effect": true });
    server.close.fault(fault).await;
}

async fn etag(server: &TestServer, number: &str) -> String {
    let read = server.get(&ALICE, &format!("/v1/phone-numbers/{number}")).await;
    read.header("etag").to_owned()
}

async fn of_ten_changes_with_one_if_match_one_succeeds(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let (path, etag) = (
        format!("/v1/phone-numbers/{number}"),
        etag(&server, &number).await,
    );
    let changes = (0..10).map(|nth| {
        let request = server.request_as(&ALICE, "PATCH", &path);
        let body = json!({ "label": format!("change {nth}") });
        send(request.header("If-Match", &etag).json(&body))
    });
    let responses = futures::future::join_all(changes).await;
    let mut statuses: Vec<u16> = responses.iter().map(|one| one.status).collect();
    statuses.sort_unstable();
    println!("ten changes with one If-Match: {statuses:?}");
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412, 412, 412]);
    let winner = responses.iter().find(|response| response.status == 200);
    let label = winner.expect("one succeeded").json()["label"].clone();
    assert_eq!(server.close.held().await[0]["label"], label);
    assert_eq!(server.close.requests("PUT", "/phone_number/{id}/").await.len(), 1);
}

/// Rents a number for sales.
async fn rented(test: &TestDesk) -> PhoneNumberId {
    let sales = caller("sales");
    let body = json!({ "country": "DE", "carrier_type": "local" });
    let ordered = test
        .order(&sales, "key", &request(&body))
        .await
        .expect("an order");
    let id = ordered.order.id.clone();
    let order = test.run(crate::support::desk::find_order(&sales, &id)).await;
    let order = order.expect("the order exists").order;
    order.phone_number_id.expect("the order is fulfilled")
}

async fn of_ten_changes_with_one_version_on_two_replicas_one_succeeds(database: Database) {
    let test = TestDesk::new(database, POLICY, 8).await;
    let (sales, number) = (caller("sales"), rented(&test).await);
    let version = test
        .run(find(&sales, &number))
        .await
        .expect("the number")
        .version();
    let (other, _process) = test.another_replica().await;
    let changes = (0..10).map(|nth| {
        let patch = json!({ "label": format!("change {nth}") });
        let change = update(&sales, &number, patch, Some(&version));
        let desk = if nth % 2 == 0 { test.replica() } else { &other }.desk.clone();
        change(desk)
    });
    let results = futures::future::join_all(changes).await;
    let (done, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    for error in failed {
        assert!(matches!(error, Err(Error::PreconditionFailed)), "{error:?}");
    }
    let sent = test.close.requests("PUT", "/phone_number/{id}/").await;
    assert_eq!(sent.len(), 1);
}

async fn changes_without_if_match_happen_one_after_another(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let labels: Vec<String> = (0..6).map(|nth| format!("change {nth}")).collect();
    let changes = labels.iter().map(async |label| {
        let changed = server.patch(&ALICE, &number, &json!({ "label": label })).await;
        assert_eq!(changed.expect(200)["label"], *label);
    });
    futures::future::join_all(changes).await;
    let last = server.close.held().await[0]["label"].clone();
    assert_eq!(read_number(&server, &number).await["label"], last);
}

async fn a_release_with_if_match_needs_the_current_etag(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let (path, old) = (
        format!("/v1/phone-numbers/{number}"),
        etag(&server, &number).await,
    );
    let remove = |condition: &str| {
        let request = server.request_as(&ALICE, "DELETE", &path);
        send(request.header("If-Match", condition))
    };
    let changed = server.patch(&ALICE, &number, &json!({ "label": "New" })).await;
    let current = changed.header("etag").to_owned();
    changed.expect(200);
    remove(&old).await.problem(412, "precondition-failed");
    remove("nonsense").await.problem(400, "invalid-request");
    assert!(
        server
            .close
            .requests("DELETE", "/phone_number/{id}/")
            .await
            .is_empty()
    );
    assert_eq!(remove(&current).await.status, 204);
}

async fn a_transfer_with_if_match_needs_the_current_etag(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let (path, old) = (
        format!("/v1/phone-numbers/{number}/team"),
        etag(&server, &number).await,
    );
    let transfer = |condition: &str, team: &str| {
        let request = server.request_as(&OLGA, "PUT", &path);
        send(
            request
                .header("If-Match", condition)
                .json(&json!({ "team": team })),
        )
    };
    let moved = transfer(&old, "support").await;
    let current = moved.header("etag").to_owned();
    assert_eq!(moved.expect(200)["desk"]["team"], "support");
    transfer(&old, "sales").await.problem(412, "precondition-failed");
    assert_eq!(read_number(&server, &number).await["desk"]["team"], "support");
    transfer(&current, "sales").await.expect(200);
}

async fn a_release_with_if_match_waits_for_a_change_under_way(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let (path, old) = (
        format!("/v1/phone-numbers/{number}"),
        etag(&server, &number).await,
    );
    slow_change(&server, "1s").await;
    let body = json!({ "label": "New" });
    let change = server.patch(&ALICE, &number, &body);
    let remove = async {
        server
            .close
            .wait_for_requests("PUT", "/phone_number/{id}/", 1)
            .await;
        let request = server.request_as(&ALICE, "DELETE", &path);
        send(request.header("If-Match", &old)).await
    };
    let (changed, removed) = futures::future::join(change, remove).await;
    changed.expect(200);
    removed.problem(412, "precondition-failed");
    assert!(
        server
            .close
            .requests("DELETE", "/phone_number/{id}/")
            .await
            .is_empty()
    );
}

async fn a_scheduled_release_waits_for_a_change_under_way(database: Database) {
    let delay = "[teams.sales]\nrelease_delay = \"24h\"";
    let config = TestConfig {
        policy: POLICY.replacen("[teams.sales]", delay, 1),
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.release(&ALICE, &number).await.expect(202);
    // Longer than the pause between two steps of the worker.
    slow_change(&server, "8s").await;
    let body = json!({ "label": "New" });
    let change = server.patch(&ALICE, &number, &body);
    let released = async {
        let path = "/phone_number/{id}/";
        server.close.wait_for_requests("PUT", path, 1).await;
        database.execute("UPDATE numbers SET release_try_at = 1").await;
        server.close.wait_for_requests("DELETE", path, 1).await;
        server.close.requests("PUT", path).await
    };
    let (changed, requests) = futures::future::join(change, released).await;
    changed.expect(200);
    assert_ne!(
        requests[0]["ending"], "pending",
        "the release came before the end of the change"
    );
}

async fn a_change_that_hangs_makes_others_wait_for_a_bounded_time(database: Database) {
    let config = TestConfig {
        timeout: "2s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let hang = json!({ "method": "PUT", "path": "/phone_number/{id}/", "answer": "hang" });
    server.close.fault(hang).await;
    let bodies: Vec<Value> = (0..4).map(|nth| json!({ "label": nth.to_string() })).collect();
    let changes = bodies.iter().map(|body| server.patch(&ALICE, &number, body));
    let responses = futures::future::join_all(changes).await;
    for response in responses {
        assert!(matches!(response.status, 502 | 503), "{}", response.status);
        if response.status == 503 {
            assert_eq!(response.header("retry-after"), "5");
            response.problem(503, "busy");
        }
    }
    server.close.clear_faults().await;
    let later = server.patch(&ALICE, &number, &json!({ "label": "later" })).await;
    assert_eq!(later.expect(200)["label"], "later");
}

async fn a_replica_that_died_during_a_change_blocks_the_number_only_for_a_while(database: Database) {
    let mut test = TestDesk::new(database, POLICY, 8).await;
    let (sales, number) = (caller("sales"), rented(&test).await);
    let fault = json!({ "method": "PUT", "path": "/phone_number/{id}/", "answer": "hang" });
    test.close.fault(fault).await;
    drop(test.spawn(update(&sales, &number, json!({ "label": "lost" }), None)));
    test.close
        .wait_for_requests("PUT", "/phone_number/{id}/", 1)
        .await;
    test.crash();
    test.close.clear_faults().await;
    test.start().await;
    let change = update(&sales, &number, json!({ "label": "next" }), None);
    let busy = test.run(change).await;
    assert!(matches!(busy, Err(Error::Busy { .. })), "{busy:?}");
    test.advance_clock(std::time::Duration::from_mins(2));
    let changed = test
        .run(update(&sales, &number, json!({ "label": "next" }), None))
        .await;
    assert_eq!(
        changed.expect("the claim has lapsed").facts.label.as_deref(),
        Some("next")
    );
    test.run(release(&sales, &number)).await.expect("a release");
}
