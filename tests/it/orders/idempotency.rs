//! Idempotency keys of orders.

use crate::support::response::ApiResponse;
use crate::support::server::POLICY;

use super::*;

on_both_stores_and_next_close! {
    fifty_concurrent_requests_with_one_key_create_one_order_and_one_rent,
    a_repeated_key_returns_the_same_order_in_every_state,
    a_repeated_key_is_marked_in_every_answer_except_the_first,
    a_repeated_key_with_another_body_is_refused,
    two_teams_can_use_the_same_key,
    an_order_without_a_key_is_400,
}

async fn fifty_concurrent_requests_with_one_key_create_one_order_and_one_rent(database: Database) {
    let server = TestServer::new(database).await;
    let body = berlin();
    let requests = (0..50).map(|_| server.order(&ALICE, "same", &body));
    let answers = futures::future::join_all(requests).await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| text(&answer.expect(201)["id"]))
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let first = answers.iter().filter(|answer| !is_replayed(answer)).count();
    assert_eq!(first, 1, "one request created the order, the others repeat it");
    assert_eq!(server.close.rents().await.len(), 1);
    assert_eq!(server.close.held().await.len(), 1);
}

async fn a_repeated_key_returns_the_same_order_in_every_state(database: Database) {
    let server = TestServer::new(database).await;
    let first = server.order(&ALICE, "rented", &berlin()).await.expect(201);
    let again = server.order(&ALICE, "rented", &berlin()).await;
    assert_eq!(again.expect(201), first);
    assert_eq!(
        again.header("location"),
        format!("/v1/orders/{}", text(&first["id"]))
    );
    // A body that states the defaults equals one that leaves them out.
    let with_defaults = json!({ "team": "sales", "country": "DE", "carrier_type": "local", "prefix": "30",
        "sharing": "personal", "label": null, "with_sms": null });
    assert_eq!(
        server.order(&ALICE, "rented", &with_defaults).await.expect(201),
        first
    );
    // Another person of the team gets the same order: the key belongs to the team.
    assert_eq!(server.order(&LENA, "rented", &berlin()).await.expect(201), first);

    let lost_answer = json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" });
    server.close.fault(lost_answer).await;
    let france = json!({ "country": "FR" });
    let unverified = server.order(&ALICE, "unverified", &france).await.expect(202);
    assert_eq!(
        server.order(&ALICE, "unverified", &france).await.expect(202),
        unverified
    );

    let local = hold_back(&server, 3).await;
    let queued = server.order_at_once(&ALICE, "queued", &local).await.expect(202);
    let path = format!("/v1/orders/{}/cancel", text(&queued["id"]));
    send(server.request_as(&ALICE, "POST", &path)).await.expect(200);
    server
        .order(&ALICE, "queued", &local)
        .await
        .problem(409, "order-cancelled");
    assert_eq!(server.close.rents().await.len(), 3);
}

/// Whether the answer says that it repeats an earlier one.
#[track_caller]
fn is_replayed(answer: &ApiResponse) -> bool {
    match answer.header("idempotent-replayed") {
        "" => false,
        "true" => true,
        other => panic!("{other}: {answer}"),
    }
}

async fn a_repeated_key_is_marked_in_every_answer_except_the_first(database: Database) {
    let config = TestConfig {
        policy: format!("{POLICY}\n[teams.sales.approval]\ncountries = [\"US\"]\n"),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let twice = async |key: &str, body: &Value| {
        let first = server.order(&ALICE, key, body).await;
        assert!(!is_replayed(&first), "{first}");
        let again = server.order(&ALICE, key, body).await;
        assert!(is_replayed(&again), "{again}");
        assert_eq!(first.status, again.status);
        again
    };
    twice("rented", &berlin()).await.expect(201);
    server
        .close
        .fault(json!({ "refuse": "billing-error", "times": 1 }))
        .await;
    twice("refused", &berlin()).await.problem(422, "close-refused");
    let america = json!({ "country": "US" });
    let waits = twice("approval", &america).await.expect(202);
    let path = format!("/v1/orders/{}/reject", text(&waits["id"]));
    let lead = LENA.with("orders:approve numbers:read").as_user(Some(1));
    send(server.request_as(&lead, "POST", &path)).await.expect(200);
    let rejected = server.order(&ALICE, "approval", &america).await;
    rejected.problem(403, "approval-rejected");
    assert!(is_replayed(&rejected), "{rejected}");
    let lost_answer = json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" });
    server.close.fault(lost_answer).await;
    let france = json!({ "country": "FR" });
    twice("unverified", &france).await.expect(202);
    let rents = server.close.rents().await.len();
    let local = hold_back(&server, rents + 1).await;
    let queued = server.order_at_once(&ALICE, "queued", &local).await;
    assert!(!is_replayed(&queued), "{queued}");
    let path = format!("/v1/orders/{}/cancel", text(&queued.expect(202)["id"]));
    send(server.request_as(&ALICE, "POST", &path)).await.expect(200);
    let cancelled = server.order(&ALICE, "queued", &local).await;
    cancelled.problem(409, "order-cancelled");
    assert!(is_replayed(&cancelled), "{cancelled}");

    // These answers repeat nothing: the key belongs to another body, or to no order.
    let reused = server.order(&ALICE, "rented", &france).await;
    reused.problem(422, "idempotency-key-reused");
    assert!(!is_replayed(&reused), "{reused}");
    for _ in 0..2 {
        let denied = server.order(&ALICE, "denied", &json!({ "country": "JP" })).await;
        denied.problem(403, "policy-denied");
        assert!(!is_replayed(&denied), "{denied}");
    }
}

async fn a_repeated_key_with_another_body_is_refused(database: Database) {
    let server = TestServer::new(database).await;
    server.order(&ALICE, "key", &berlin()).await.expect(201);
    for other in [
        json!({ "country": "FR", "carrier_type": "local", "prefix": "30" }),
        json!({ "country": "DE", "carrier_type": "local" }),
        json!({ "country": "DE", "carrier_type": "local", "prefix": "30", "label": "x" }),
    ] {
        server
            .order(&ALICE, "key", &other)
            .await
            .problem_snapshot(422, "idempotency-key-reused");
    }
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn two_teams_can_use_the_same_key(database: Database) {
    let server = TestServer::new(database).await;
    let sales = server.order(&ALICE, "same", &berlin()).await.expect(201);
    let support = server.order(&BOB, "same", &berlin()).await.expect(201);
    assert_ne!(sales["id"], support["id"]);
    // Another body under the other team's key is no conflict, so a team cannot discover keys of others.
    server
        .order(&BOB, "other", &json!({ "country": "DE" }))
        .await
        .expect(201);
    server
        .order(&ALICE, "other", &json!({ "country": "FR" }))
        .await
        .expect(201);
}

async fn an_order_without_a_key_is_400(database: Database) {
    let server = TestServer::new(database).await;
    send(server.request_as(&ALICE, "POST", "/v1/orders").json(&berlin()))
        .await
        .problem_snapshot(400, "idempotency-key-missing");
    server.assert_nothing_happened().await;
}

/// Lets Close hold a rent in France, its `nth`, and returns a request that waits for it in the queue.
async fn hold_back(server: &TestServer, nth: usize) -> Value {
    server.close.set(json!({ "rents_held": true })).await;
    server
        .order_at_once(&ALICE, "sending", &json!({ "country": "FR" }))
        .await
        .expect(202);
    server.close.wait_for_requests("POST", RENT, nth).await;
    json!({ "country": "FR", "carrier_type": "local" })
}
