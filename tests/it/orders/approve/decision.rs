//! Who may approve or reject an order, and what a decision does.

use super::*;

on_both_stores! {
    two_hundred_approvals_at_once_are_one_rent,
    approve_and_reject_at_once_have_one_winner,
    nobody_approves_an_order_of_their_own,
    an_order_of_another_team_does_not_exist_and_a_permission_is_needed,
    a_rejected_order_gives_its_reservation_back_and_its_key_says_so,
    what_is_over_is_not_decided_again,
}

async fn two_hundred_approvals_at_once_are_one_rent(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    let said = (0..200).map(async |_| {
        loop {
            let answer = server.says(&PETRA, "approve", &id).await;
            if answer.status != 503 {
                return answer;
            }
            // So many at once may find the database busy: whoever asks again is answered.
            answer.problem(503, "store-unavailable");
        }
    });
    for answer in futures::future::join_all(said).await {
        assert_eq!(answer.expect(200)["approval"]["decision"], "approved");
    }
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(server.close.rents().await.len(), 1);
    assert_eq!(
        server.list(&PETRA, "/v1/audit?action=order.approve").await.len(),
        1
    );
}

async fn approve_and_reject_at_once_have_one_winner(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let mut rented = 0;
    for round in 0..12 {
        let id = server.waiting(&format!("key-{round}")).await;
        let said = ["approve", "reject"].map(|word| server.says(&PETRA, word, &id));
        let [yes, no]: [ApiResponse; 2] = futures::future::join_all(said)
            .await
            .try_into()
            .expect("two were asked");
        if yes.status == 200 {
            no.problem(409, "order-not-awaiting-approval");
            server.wait_for_state(&ALICE, &id, "fulfilled").await;
            rented += 1;
        } else {
            let problem = yes.problem(409, "order-not-awaiting-approval");
            assert_eq!(problem["state"], "refused", "{problem}");
            no.expect(200);
            assert_eq!(server.shown(&id).await["state"], "refused");
        }
        let decided = server.list(&PETRA, &format!("/v1/audit?order_id={id}")).await;
        let words = ["order.approve", "order.reject"];
        let decided = decided
            .iter()
            .filter(|row| words.contains(&text(&row["action"]).as_str()));
        assert_eq!(decided.count(), 1);
    }
    assert_eq!(server.close.rents().await.len(), rented);
    assert_eq!(
        usage(&server).await,
        json!({ "held": rented, "reserved": 0, "today": rented })
    );
}

async fn nobody_approves_an_order_of_their_own(database: Database) {
    const ORDERS: &str = "numbers:read numbers:rent orders:approve";
    let mut server = TestServer::with(database, policy(RULES)).await;
    let elsewhere = server.also_trusts("https://other.example.com/").await;
    let id = server.waiting("key").await;
    let alice = ALICE.with(ORDERS);
    let other_user = alice.as_user(Some(1));
    // The same user in Close, under another name.
    let namesake = Persona {
        name: "alice-too@example.com",
        ..alice
    };
    for word in ["approve", "reject"] {
        for person in [&alice, &other_user, &alice.as_user(None), &namesake] {
            server.says(person, word, &id).await.problem(403, "own-order");
        }
        // The same subject of another issuer may be the same person.
        let users = server.close.users();
        let mut claims = other_user.claims(&users);
        claims["iss"] = json!("https://other.example.com/");
        let token = elsewhere.sign(&claims).expect("it signs");
        let path = format!("/v1/orders/{id}/{word}");
        let request = server.request("POST", &path).bearer_auth(token);
        let request = request.header("Idempotency-Key", "another");
        send(request).await.problem(403, "own-order");
    }
    // Nor does being an administrator help, or another key for another order.
    let admin = alice
        .with("numbers:read numbers:rent numbers:admin orders:approve")
        .as_user(None);
    let another = server
        .order(&admin, "another", &with_team(&berlin()))
        .await
        .expect(202);
    server
        .says(&admin, "approve", &text(&another["id"]))
        .await
        .problem(403, "own-order");
    assert_eq!(server.shown(&id).await["approval"]["decision"], "pending");
    assert!(server.close.rents().await.is_empty());
    let denied = server.list(&PETRA, "/v1/audit?action=order.approve").await;
    assert!(
        !denied.is_empty() && denied.iter().all(|row| row["outcome"] == "denied"),
        "{denied:?}"
    );
    // Who ordered without a user in Close is known by subject alone.
    server
        .says(&namesake, "approve", &text(&another["id"]))
        .await
        .expect(200);
}

async fn an_order_of_another_team_does_not_exist_and_a_permission_is_needed(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    let unknown = "ord_01K00000000000000000000000";
    for word in ["approve", "reject"] {
        // Before the permission, and before whose order it is.
        let same = Persona {
            name: ALICE.name,
            ..BOB.with("orders:approve")
        };
        for person in [&BOB, &BOB.with("orders:approve"), &same, &PETRA.of(&[])] {
            let hidden = server.says(person, word, &id).await;
            hidden.problem(404, "not-found");
            assert_indistinguishable(&hidden, &server.says(person, word, unknown).await);
        }
        for person in [&NEMO, &LENA, &ALICE, &OLGA] {
            let answer = server.says(person, word, &id).await;
            let problem = answer.problem(403, "permission-missing");
            assert_eq!(problem["need"], "orders:approve");
        }
    }
    assert_eq!(server.shown(&id).await["state"], "awaiting_approval");
    assert!(server.close.rents().await.is_empty());
    // An administrator of all teams who may approve reaches every team.
    let olga = OLGA
        .with("orders:approve numbers:admin numbers:read")
        .as_user(None);
    server.says(&olga, "approve", &id).await.expect(200);
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
}

async fn a_rejected_order_gives_its_reservation_back_and_its_key_says_so(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    let id = server.waiting("key").await;
    assert_eq!(
        usage(&server).await,
        json!({ "held": 0, "reserved": 1, "today": 1 })
    );
    let comment = json!({ "comment": "Use the line that the team has." });
    let rejected = server.says_why(&PETRA, "reject", &id, &comment).await.expect(200);
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
        .problem(403, "approval-rejected");
    assert_eq!(problem["order_id"], id.as_str());
    assert!(
        text(&problem["detail"]).contains("Use the line that the team has."),
        "{problem}"
    );
    // Rejecting it again tells how it stands; approving it comes too late.
    assert_eq!(server.says(&PETRA, "reject", &id).await.expect(200), rejected);
    let late = server
        .says(&PETRA, "approve", &id)
        .await
        .problem(409, "order-not-awaiting-approval");
    assert_eq!(late["state"], "refused", "{late}");
    assert!(server.close.rents().await.is_empty());
}

async fn what_is_over_is_not_decided_again(database: Database) {
    let server = TestServer::with(database, policy(RULES)).await;
    // It needed nobody.
    let below = json!({ "country": "FR", "carrier_type": "local" });
    let order = server.order(&ALICE, "below", &below).await.expect(201);
    for word in ["approve", "reject"] {
        let problem = server
            .says(&PETRA, word, &text(&order["id"]))
            .await
            .problem(409, "order-not-awaiting-approval");
        assert_eq!(problem["state"], "fulfilled", "{problem}");
    }
    // It was approved, and Close refused; then approved, and withdrawn before it was sent.
    server.close.fault(json!({ "refuse": "error", "times": 1 })).await;
    let refused = server.waiting("refused").await;
    server.says(&PETRA, "approve", &refused).await.expect(200);
    server.wait_for_state(&ALICE, &refused, "refused").await;
    server
        .order(&ALICE, "refused", &berlin())
        .await
        .problem(422, "close-refused");
    server.says(&PETRA, "approve", &refused).await.expect(200);
    server
        .says(&PETRA, "reject", &refused)
        .await
        .problem(409, "order-not-awaiting-approval");
    server.close.set(json!({ "key_valid": false })).await;
    let withdrawn = server.waiting("withdrawn").await;
    server.says(&PETRA, "approve", &withdrawn).await.expect(200);
    eventually("the approved order is withdrawn between two attempts", || async {
        (server.says(&ALICE, "cancel", &withdrawn).await.status == 200).then_some(())
    })
    .await;
    let late = server
        .says(&PETRA, "approve", &withdrawn)
        .await
        .problem(409, "order-not-awaiting-approval");
    assert_eq!(late["state"], "cancelled", "{late}");
    assert_eq!(server.close.held().await.len(), 1);
}
