//! Orders that were altered in the database after their approval, and the audit trail of a decision.

use super::*;

on_both_stores_and_next_close! {
    an_order_that_was_altered_in_the_database_is_never_rented,
    the_audit_trail_names_the_orderer_and_the_approver,
}

async fn an_order_that_was_altered_in_the_database_is_never_rented(database: Database) {
    let server = TestServer::with(database.clone(), policy(APPROVAL_RULES)).await;
    // Without a valid API key nothing can be sent, so approved orders stay in the queue.
    server.close.set(json!({ "key_valid": false })).await;
    let mut altered = BTreeMap::new();
    for key in ["request", "terms", "untouched"] {
        altered.insert(key, server.create_order_awaiting_approval(key).await);
    }
    // One more order is altered before its approval, and one is never approved.
    let early = server.create_order_awaiting_approval("early").await;
    let unapproved = server.create_order_awaiting_approval("unapproved").await;
    alter_order(&database, &early, "request").await;
    for id in altered.values() {
        server.post_order_action(&PETRA, "approve", id).await.expect(200);
    }
    for column in ["request", "terms"] {
        // The order can be altered between two attempts to send it, not during one.
        eventually("the order is altered in the queue", || async {
            alter_order(&database, &altered[column], column)
                .await
                .then_some(())
        })
        .await;
    }
    let before = server.close.rents().await.len();
    server.close.set(json!({ "key_valid": true })).await;
    // An unapproved order that someone queues in the database is not sent either.
    let statement = format!("UPDATE orders SET state = 'queued' WHERE id = '{unapproved}'");
    database.execute(&statement).await;
    // The service may have noticed the alteration already: then the answer is 409.
    let answer = server.post_order_action(&PETRA, "approve", &early).await;
    assert!([200, 409].contains(&answer.status), "{answer}");

    server
        .wait_for_state(&ALICE, &altered["untouched"], "fulfilled")
        .await;
    for id in [&altered["request"], &altered["terms"], &early, &unapproved] {
        let order = server.wait_for_state(&ALICE, id, "cancelled").await;
        assert!(
            text(&order["reason"]).contains("does not match an approval"),
            "{order}"
        );
        let rows = server
            .list(&PETRA, &format!("/v1/audit?order_id={id}&action=order.cancel"))
            .await;
        assert_eq!(rows[0]["outcome"], "altered", "{rows:?}");
    }
    let rents = server.close.rents().await;
    assert!(
        rents.iter().all(|rent| rent["body"]["carrier_type"] == "local"),
        "{rents:?}"
    );
    assert_eq!(rents.len(), before + 1);
    assert_eq!(server.close.held().await.len(), 1);
    assert_eq!(
        usage(&server).await,
        json!({ "held": 1, "reserved": 0, "today": 1 })
    );
}

async fn the_audit_trail_names_the_orderer_and_the_approver(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    let answer = server
        .post_order_action_with_body(&PETRA, "approve", &id, &json!({ "comment": "For the fair" }))
        .await;
    answer.expect(200);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    let rows = server.list(&PETRA, &format!("/v1/audit?order_id={id}")).await;
    let trail: Vec<(String, String, String)> = rows
        .iter()
        .map(|row| {
            (
                text(&row["action"]),
                text(&row["outcome"]),
                text(&row["actor"]["subject"]),
            )
        })
        .collect();
    let expected = [
        ("order.settle", "fulfilled", "numberdesk"),
        ("order.send", "renting", "numberdesk"),
        ("order.approve", "approved", "petra@example.com"),
        ("order.create", "awaiting_approval", "alice@example.com"),
    ];
    let expected = expected
        .map(|(action, outcome, subject)| (action.to_owned(), outcome.to_owned(), subject.to_owned()));
    assert_eq!(trail, expected);
    let (approved, created) = (&rows[2], &rows[3]);
    assert_eq!(approved["actor"]["issuer"], ISSUER);
    assert_eq!(approved["request_id"], answer.header("x-request-id"));
    assert_eq!(approved["detail"]["comment"], "For the fair", "{approved}");
    assert_eq!(text(&approved["detail"]["fingerprint"]).len(), 64, "{approved}");
    assert_eq!(
        approved["detail"]["ordered_by"],
        json!({ "issuer": ISSUER, "subject": "alice@example.com" })
    );
    assert_eq!(
        (&created["allowed"], &created["rule"]),
        (&json!(true), &json!("teams.sales"))
    );
    assert_eq!(
        created["detail"]["approval"]["rule"], "teams.sales.approval.above_monthly",
        "{created}"
    );
    let rejected = server.create_order_awaiting_approval("rejected").await;
    server
        .post_order_action_with_body(&PETRA, "reject", &rejected, &json!({ "comment": "No" }))
        .await
        .expect(200);
    let rows = server.list(&PETRA, "/v1/audit?action=order.reject").await;
    assert_eq!(
        (
            &rows[0]["actor"]["subject"],
            &rows[0]["outcome"],
            &rows[0]["detail"]["comment"]
        ),
        (&json!("petra@example.com"), &json!("rejected"), &json!("No")),
        "{rows:?}"
    );
}
