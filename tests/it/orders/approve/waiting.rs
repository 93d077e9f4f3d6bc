//! Orders that await approval: they expire, can be cancelled, count against caps and survive a restart.

use super::*;

on_both_stores_and_next_close! {
    an_order_that_is_not_approved_in_time_is_cancelled,
    a_late_decision_is_refused_even_before_the_order_is_marked_as_expired,
    an_order_can_be_cancelled_while_it_awaits_approval,
    orders_that_await_approval_count_against_every_cap,
    an_order_that_awaits_approval_survives_a_restart,
}

async fn an_order_that_is_not_approved_in_time_is_cancelled(database: Database) {
    let server = TestServer::with(database.clone(), policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    let in_time = server.create_order_awaiting_approval("in-time").await;
    database
        .execute(&format!("UPDATE orders SET approve_by = 1 WHERE id = '{id}'"))
        .await;
    let order = server.wait_for_state(&ALICE, &id, "cancelled").await;
    assert_eq!(order["approval"]["decision"], "expired", "{order}");
    assert_eq!(
        (&order["approval"]["by"], &order["evidence"]),
        (&Value::Null, &Value::Null),
        "{order}"
    );
    assert!(text(&order["reason"]).contains("in time"), "{order}");
    let problem = server
        .order(&ALICE, "key", &berlin())
        .await
        .problem_snapshot(409, "order-cancelled");
    assert_eq!(problem["order_id"], id.as_str());
    let late = server
        .post_order_action(&PETRA, "approve", &id)
        .await
        .problem(409, "order-not-awaiting-approval");
    assert_eq!(late["state"], "cancelled", "{late}");
    assert_eq!(server.read_order(&in_time).await["state"], "awaiting_approval");
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 1, "today": 1 })
    );
    assert!(server.close.rents().await.is_empty());
}

async fn a_late_decision_is_refused_even_before_the_order_is_marked_as_expired(database: Database) {
    let server = TestServer::with(database.clone(), policy(APPROVAL_RULES)).await;
    for action in ["approve", "reject"] {
        let id = server.create_order_awaiting_approval(action).await;
        database
            .execute("UPDATE orders SET approve_by = 1 WHERE state = 'awaiting_approval'")
            .await;
        let late = server
            .post_order_action(&PETRA, action, &id)
            .await
            .problem(409, "order-not-awaiting-approval");
        assert_eq!(late["state"], "cancelled", "{late}");
        assert_eq!(server.read_order(&id).await["approval"]["decision"], "expired");
    }
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 0, "today": 0 })
    );
    assert_eq!(
        server.list(&PETRA, "/v1/audit?action=order.expire").await.len(),
        2
    );
    assert!(server.close.rents().await.is_empty());
}

async fn an_order_can_be_cancelled_while_it_awaits_approval(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    let cancelled = server.post_order_action(&ALICE, "cancel", &id).await.expect(200);
    assert_eq!(
        (&cancelled["state"], &cancelled["reason"]),
        (&json!("cancelled"), &Value::Null),
        "{cancelled}"
    );
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 0, "today": 0 })
    );
    server
        .order(&ALICE, "key", &berlin())
        .await
        .problem(409, "order-cancelled");
    for action in ["approve", "reject"] {
        let late = server
            .post_order_action(&PETRA, action, &id)
            .await
            .problem(409, "order-not-awaiting-approval");
        assert_eq!(late["state"], "cancelled", "{late}");
    }
    assert!(server.close.rents().await.is_empty());
}

async fn orders_that_await_approval_count_against_every_cap(database: Database) {
    let caps = [
        (&["sales"], "max_numbers = 1", "quota-exceeded"),
        (&["north"], "max_orders_per_day = 1", "quota-exceeded"),
        (&["south"], "monthly_budget = \"7.00\"", "budget-exceeded"),
    ];
    let teams = caps.map(|(team, cap, _)| {
        format!(
            "[teams.{}]\ncountries = [\"DE\"]\n{APPROVAL_FOR_GERMANY}\n{cap}\n",
            team[0]
        )
    });
    let config = TestConfig {
        policy: format!("{}[prices]\ndefault = \"5.00\"\n", teams.concat()),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    for (team, cap, problem) in caps {
        let (alice, petra) = (ALICE.of(team), PETRA.of(team));
        let order = server.order(&alice, "first", &berlin()).await.expect(202);
        let full = server
            .order(&alice, "second", &berlin())
            .await
            .problem(403, problem);
        assert!(
            cap.starts_with(text(&full["decision"]["rule"]).rsplit('.').next().unwrap()),
            "{full}"
        );
        server
            .post_order_action(&petra, "reject", &text(&order["id"]))
            .await
            .expect(200);
        server.order(&alice, "second", &berlin()).await.expect(202);
    }
    assert!(server.close.rents().await.is_empty());
}

async fn an_order_that_awaits_approval_survives_a_restart(database: Database) {
    let mut server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    let before = server.read_order(&id).await;
    server.stop().await;
    server.start().await;
    assert_eq!(server.read_order(&id).await, before);
    assert_eq!(
        server.order(&ALICE, "key", &berlin()).await.expect(202)["id"],
        id.as_str()
    );
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 1, "today": 1 })
    );
    assert!(server.close.rents().await.is_empty());
    server.post_order_action(&PETRA, "approve", &id).await.expect(200);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(server.close.rents().await.len(), 1);
}
