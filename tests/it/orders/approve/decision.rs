//! Who may approve or reject an order, and what a decision does.

use super::*;

on_both_stores_and_next_close! {
    two_hundred_concurrent_approvals_cause_one_rent,
    of_a_concurrent_approval_and_rejection_one_wins,
    persons_cannot_decide_their_own_orders,
    a_decision_needs_the_order_s_team_and_the_permission_orders_approve,
    a_rejection_frees_the_reservation_and_is_the_answer_to_the_repeated_key,
    an_order_that_is_decided_or_needs_no_approval_cannot_be_decided,
}

async fn two_hundred_concurrent_approvals_cause_one_rent(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    let approvals = (0..200).map(async |_| {
        loop {
            let answer = server.post_order_action(&PETRA, "approve", &id).await;
            if answer.status != 503 {
                return answer;
            }
            // With so many requests the database may be busy. The client repeats the request.
            answer.problem(503, "store-unavailable");
        }
    });
    for answer in futures::future::join_all(approvals).await {
        assert_eq!(answer.expect(200)["approval"]["decision"], "approved");
    }
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(server.close.rents().await.len(), 1);
    assert_eq!(
        server.list(&PETRA, "/v1/audit?action=order.approve").await.len(),
        1
    );
}

async fn of_a_concurrent_approval_and_rejection_one_wins(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let mut rented = 0;
    for round in 0..12 {
        let id = server
            .create_order_awaiting_approval(&format!("key-{round}"))
            .await;
        let decisions = ["approve", "reject"].map(|action| server.post_order_action(&PETRA, action, &id));
        let [approval, rejection]: [ApiResponse; 2] = futures::future::join_all(decisions)
            .await
            .try_into()
            .expect("two responses");
        if approval.status == 200 {
            rejection.problem(409, "order-not-awaiting-approval");
            server.wait_for_state(&ALICE, &id, "fulfilled").await;
            rented += 1;
        } else {
            let problem = approval.problem(409, "order-not-awaiting-approval");
            assert_eq!(problem["state"], "refused", "{problem}");
            rejection.expect(200);
            assert_eq!(server.read_order(&id).await["state"], "refused");
        }
        let rows = server.list(&PETRA, &format!("/v1/audit?order_id={id}")).await;
        let actions = ["order.approve", "order.reject"];
        let decisions = rows
            .iter()
            .filter(|row| actions.contains(&text(&row["action"]).as_str()));
        assert_eq!(decisions.count(), 1);
    }
    assert_eq!(server.close.rents().await.len(), rented);
    assert_eq!(
        usage(&server).await,
        json!({ "held": rented, "reserved": 0, "today": rented })
    );
}

async fn persons_cannot_decide_their_own_orders(database: Database) {
    const PERMISSIONS: &str = "numbers:read numbers:rent orders:approve";
    let mut server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let other_issuer = server.add_token_issuer("https://other.example.com/").await;
    let id = server.create_order_awaiting_approval("key").await;
    let alice = ALICE.with(PERMISSIONS);
    let other_user = alice.as_user(Some(1));
    // Another name with the same user in Close.
    let namesake = Persona {
        name: "alice-too@example.com",
        ..alice
    };
    for action in ["approve", "reject"] {
        for person in [&alice, &other_user, &alice.as_user(None), &namesake] {
            server
                .post_order_action(person, action, &id)
                .await
                .problem(403, "own-order");
        }
        // The same subject from another issuer may be the same person.
        let users = server.close.users();
        let mut claims = other_user.claims(&users);
        claims["iss"] = json!("https://other.example.com/");
        let token = other_issuer.sign(&claims).expect("the claims can be signed");
        let path = format!("/v1/orders/{id}/{action}");
        let request = server.request("POST", &path).bearer_auth(token);
        let request = request.header("Idempotency-Key", "another");
        send(request).await.problem(403, "own-order");
    }
    // An administrator cannot approve their own order either.
    let admin = alice
        .with("numbers:read numbers:rent numbers:admin orders:approve")
        .as_user(None);
    let another = server
        .order(&admin, "another", &with_team(&berlin()))
        .await
        .expect(202);
    server
        .post_order_action(&admin, "approve", &text(&another["id"]))
        .await
        .problem_snapshot(403, "own-order");
    assert_eq!(server.read_order(&id).await["approval"]["decision"], "pending");
    assert!(server.close.rents().await.is_empty());
    let denied = server.list(&PETRA, "/v1/audit?action=order.approve").await;
    assert!(
        !denied.is_empty() && denied.iter().all(|row| row["outcome"] == "denied"),
        "{denied:?}"
    );
    // The order was created without a user in Close, so only its subject counts as its owner.
    server
        .post_order_action(&namesake, "approve", &text(&another["id"]))
        .await
        .expect(200);
}

async fn a_decision_needs_the_order_s_team_and_the_permission_orders_approve(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    let unknown = "ord_01K00000000000000000000000";
    for action in ["approve", "reject"] {
        // The team is checked before the permission and before the ownership.
        let same = Persona {
            name: ALICE.name,
            ..BOB.with("orders:approve")
        };
        for person in [&BOB, &BOB.with("orders:approve"), &same, &PETRA.of(&[])] {
            let hidden = server.post_order_action(person, action, &id).await;
            hidden.problem(404, "not-found");
            assert_indistinguishable(&hidden, &server.post_order_action(person, action, unknown).await);
        }
        for person in [&NEMO, &LENA, &ALICE, &OLGA] {
            let answer = server.post_order_action(person, action, &id).await;
            let problem = answer.problem(403, "permission-missing");
            assert_eq!(problem["need"], "orders:approve");
        }
    }
    assert_eq!(server.read_order(&id).await["state"], "awaiting_approval");
    assert!(server.close.rents().await.is_empty());
    // An administrator with `orders:approve` can decide the orders of every team.
    let olga = OLGA
        .with("orders:approve numbers:admin numbers:read")
        .as_user(None);
    server.post_order_action(&olga, "approve", &id).await.expect(200);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
}

async fn a_rejection_frees_the_reservation_and_is_the_answer_to_the_repeated_key(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    let id = server.create_order_awaiting_approval("key").await;
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 1, "today": 1 })
    );
    let comment = json!({ "comment": "Use the line that the team has." });
    let rejected = server
        .post_order_action_with_body(&PETRA, "reject", &id, &comment)
        .await
        .expect(200);
    assert_eq!(
        (
            &rejected["state"],
            &rejected["evidence"],
            &rejected["approval"]["decision"]
        ),
        (&json!("refused"), &json!("settled-by-person"), &json!("rejected")),
        "{rejected}"
    );
    assert!(rejected["finished_at"].is_string(), "{rejected}");
    let reason = text(&rejected["reason"]);
    assert!(
        reason.contains("petra@example.com") && reason.contains("Use the line that the team has."),
        "{reason}"
    );
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 0, "today": 0 })
    );
    let problem = server
        .order(&ALICE, "key", &berlin())
        .await
        .problem_snapshot(403, "approval-rejected");
    assert_eq!(problem["order_id"], id.as_str());
    // A repeated rejection returns the order. An approval now is a conflict.
    assert_eq!(
        server.post_order_action(&PETRA, "reject", &id).await.expect(200),
        rejected
    );
    server
        .post_order_action(&PETRA, "approve", &id)
        .await
        .problem_snapshot(409, "order-not-awaiting-approval");
    assert!(server.close.rents().await.is_empty());
}

async fn an_order_that_is_decided_or_needs_no_approval_cannot_be_decided(database: Database) {
    let server = TestServer::with(database, policy(APPROVAL_RULES)).await;
    // This order needs no approval.
    let no_rule = json!({ "country": "FR", "carrier_type": "local" });
    let order = server.order(&ALICE, "no-rule", &no_rule).await.expect(201);
    for action in ["approve", "reject"] {
        let problem = server
            .post_order_action(&PETRA, action, &text(&order["id"]))
            .await
            .problem(409, "order-not-awaiting-approval");
        assert_eq!(problem["state"], "fulfilled", "{problem}");
    }
    // One order is approved and then refused by Close. Another is approved and cancelled before it is sent.
    server.close.fault(json!({ "refuse": "error", "times": 1 })).await;
    let refused = server.create_order_awaiting_approval("refused").await;
    server
        .post_order_action(&PETRA, "approve", &refused)
        .await
        .expect(200);
    server.wait_for_state(&ALICE, &refused, "refused").await;
    server
        .order(&ALICE, "refused", &berlin())
        .await
        .problem(422, "close-refused");
    server
        .post_order_action(&PETRA, "approve", &refused)
        .await
        .expect(200);
    server
        .post_order_action(&PETRA, "reject", &refused)
        .await
        .problem(409, "order-not-awaiting-approval");
    server.close.set(json!({ "key_valid": false })).await;
    let cancelled = server.create_order_awaiting_approval("cancelled").await;
    server
        .post_order_action(&PETRA, "approve", &cancelled)
        .await
        .expect(200);
    eventually("the approved order is cancelled between two attempts", || async {
        (server
            .post_order_action(&ALICE, "cancel", &cancelled)
            .await
            .status
            == 200)
            .then_some(())
    })
    .await;
    let late = server
        .post_order_action(&PETRA, "approve", &cancelled)
        .await
        .problem(409, "order-not-awaiting-approval");
    assert_eq!(late["state"], "cancelled", "{late}");
    assert_eq!(server.close.held().await.len(), 1);
}
