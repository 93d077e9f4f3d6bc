//! Orders that ended without a number, although Close did not refuse them.

use super::*;

on_both_stores_and_next_close! {
    an_order_that_close_never_executed_is_not_rented_and_not_refused_by_close,
    an_order_that_a_person_settled_as_absent_is_not_rented,
}

fn lost_answer() -> Value {
    json!({ "path": RENT, "times": 1, "answer": "drop_before_headers", "effect": false })
}

async fn an_order_that_close_never_executed_is_not_rented_and_not_refused_by_close(database: Database) {
    let config = TestConfig {
        settle_after: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    server.close.fault(lost_answer()).await;
    let order = server.order(&ALICE, "lost", &berlin()).await.expect(202);
    let id = text(&order["id"]);
    let refused = server.wait_for_state(&ALICE, &id, "refused").await;
    assert_eq!(refused["evidence"], "absent-after-reconciliation");
    let problem = server
        .order(&ALICE, "lost", &berlin())
        .await
        .problem_snapshot(422, "not-rented");
    assert_eq!(problem["order_id"], id.as_str());
    assert_eq!(problem["evidence"], "absent-after-reconciliation");
    // As the problem says, ordering again under a new key rents one number.
    server.order(&ALICE, "again", &berlin()).await.expect(201);
    assert_eq!(server.close.held().await.len(), 1);
}

async fn an_order_that_a_person_settled_as_absent_is_not_rented(database: Database) {
    let server = TestServer::new(database.clone()).await;
    server.close.fault(lost_answer()).await;
    let order = server.order(&ALICE, "lost", &berlin()).await.expect(202);
    let id = text(&order["id"]);
    database
        .execute(&format!(
            "UPDATE orders SET state = 'needs_review' WHERE id = '{id}'"
        ))
        .await;
    let path = format!("/v1/orders/{id}/settle");
    let finding = server.request_as(&OLGA, "POST", &path);
    send(finding.json(&json!({ "absent": true }))).await.expect(200);
    let problem = server
        .order(&ALICE, "lost", &berlin())
        .await
        .problem(422, "not-rented");
    assert_eq!(problem["evidence"], "settled-by-person");
    assert_eq!(problem["order_id"], id.as_str());
    assert!(text(&problem["detail"]).contains("a person"), "{problem}");
}
