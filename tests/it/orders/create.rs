//! New orders: the request that Close receives, and refusals by the policy or by Close.

use super::*;

// These compare with answers of today's Close, field by field.
on_both_stores! {
    a_fulfilled_order_is_201_with_the_order_and_its_number,
    close_receives_the_request_and_no_header_of_the_caller,
}

on_both_stores_and_next_close! {
    an_order_without_assignees_is_assigned_to_the_caller_s_close_user_if_there_is_one,
    a_missing_carrier_type_is_filled_in_only_if_the_policy_allows_exactly_one,
    a_policy_denial_names_its_rule_and_leaves_the_idempotency_key_unused,
    a_group_number_needs_the_permission_that_the_policy_requires,
    every_refusal_by_close_is_422_with_its_close_status_and_frees_the_reservation,
    the_label_is_set_after_the_rent_and_a_failure_to_set_it_does_not_fail_the_order,
}

async fn a_fulfilled_order_is_201_with_the_order_and_its_number(database: Database) {
    let server = TestServer::new(database).await;
    let answer = server.order(&ALICE, "7c1e", &berlin()).await;
    let order = answer.expect(201);
    let id = text(&order["id"]);
    assert_eq!(answer.header("location"), format!("/v1/orders/{id}"));
    snapshot::assert_json("views/order", &order);
    let held = server.close.held().await;
    let [rented] = held.as_slice() else {
        panic!("{} numbers were rented, not 1", held.len())
    };
    let number = &order["phone_number"];
    assert_eq!(number["id"], rented["id"]);
    assert_eq!(number["number"], rented["number"]);
    assert_eq!(number["desk"]["order_id"], id.as_str());
    assert_eq!(
        server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200),
        order
    );
}

async fn close_receives_the_request_and_no_header_of_the_caller(database: Database) {
    let server = TestServer::new(database).await;
    let full = json!({
        "team": "sales", "country": "US", "sharing": "group", "prefix": "415", "carrier_type": "local",
        "bundle_id": null, "with_sms": true, "with_mms": true,
        "assign_to": [server.user(0), server.user(1)], "label": "Front desk",
    });
    let request = server
        .request_as(&LENA, "POST", "/v1/orders")
        .header("Idempotency-Key", "full")
        .json(&full);
    let request = request
        .header("X-HTTP-Method-Override", "GET")
        .header("X-Forwarded-For", "10.0.0.1")
        .header("Cookie", "session=canary")
        .header("X-Canary", "canary");
    send(request).await.expect(201);
    let rents = server.close.rents().await;
    assert_eq!(rents.len(), 1);
    let sent = json!({
        "country": "US", "sharing": "group", "prefix": "415", "carrier_type": "local",
        "with_sms": true, "with_mms": true, "assign_to": [server.user(0), server.user(1)],
    });
    assert_eq!(rents[0]["body"], sent);
    assert_eq!(rents[0]["query"], json!({}));
    let headers = rents[0]["headers"].as_object().expect("headers are recorded");
    assert_eq!(headers["authorization"], "Basic (valid)");
    for name in headers.keys() {
        let known = [
            "authorization",
            "content-type",
            "content-length",
            "accept",
            "user-agent",
            "host",
            "connection",
        ];
        assert!(known.contains(&name.as_str()), "{name} was sent to Close");
    }
}

async fn an_order_without_assignees_is_assigned_to_the_caller_s_close_user_if_there_is_one(
    database: Database,
) {
    let server = TestServer::new(database).await;
    let with_user = ALICE.as_user(Some(1));
    let without_user = ALICE.as_user(None);
    for (key, person) in [("one", with_user), ("none", without_user)] {
        server.order(&person, key, &berlin()).await.expect(201);
    }
    let named = json!({ "country": "DE", "carrier_type": "local", "assign_to": [server.user(2)] });
    server.order(&with_user, "named", &named).await.expect(201);
    let rents = server.close.rents().await;
    let assigned: Vec<&Value> = rents.iter().map(|rent| &rent["body"]["assign_to"]).collect();
    assert_eq!(
        assigned,
        [&json!([server.user(1)]), &Value::Null, &json!([server.user(2)])]
    );

    // The policy of support allows only the caller as assignee.
    let other = json!({ "country": "DE", "assign_to": [server.user(2)] });
    let refused = server
        .order(&BOB, "other", &other)
        .await
        .problem(403, "policy-denied");
    assert_eq!(refused["decision"]["rule"], "teams.support.assign_to");
    assert_eq!(server.close.rents().await.len(), 3);
}

async fn a_missing_carrier_type_is_filled_in_only_if_the_policy_allows_exactly_one(database: Database) {
    let policy = "[teams.sales]\ncountries = [\"DE\"]\ncarrier_types = [\"local\", \"mobile\"]\n\
                  [teams.support]\ncountries = [\"DE\"]\ncarrier_types = [\"mobile\"]\n";
    let server = TestServer::with(
        database,
        TestConfig {
            policy: policy.into(),
            ..TestConfig::default()
        },
    )
    .await;
    let any = json!({ "country": "DE" });
    let refused = server
        .order(&ALICE, "any", &any)
        .await
        .problem(403, "policy-denied");
    assert_eq!(refused["decision"]["rule"], "teams.sales.carrier_types");
    assert!(
        refused["decision"]["need"].to_string().contains("mobile"),
        "{refused}"
    );
    server.order(&BOB, "any", &any).await.expect(201);
    assert_eq!(server.close.rents().await[0]["body"]["carrier_type"], "mobile");
}

async fn a_policy_denial_names_its_rule_and_leaves_the_idempotency_key_unused(database: Database) {
    let server = TestServer::new(database).await;
    server
        .order(&ALICE, "key", &json!({ "country": "JP" }))
        .await
        .problem_snapshot(403, "policy-denied");
    server.assert_nothing_happened().await;
    server.order(&ALICE, "key", &berlin()).await.expect(201);

    // A team without an entry in the policy may order nothing.
    let refused = server
        .order(&OLGA, "key", &berlin())
        .await
        .problem(403, "policy-denied");
    assert!(text(&refused["decision"]["hint"]).len() > 10, "{refused}");
}

async fn a_group_number_needs_the_permission_that_the_policy_requires(database: Database) {
    let server = TestServer::new(database).await;
    let shared = json!({ "country": "DE", "carrier_type": "local", "sharing": "group" });
    let two =
        json!({ "country": "DE", "carrier_type": "local", "assign_to": [server.user(0), server.user(1)] });
    for body in [&shared, &two] {
        let refused = server
            .order(&ALICE, "group", body)
            .await
            .problem(403, "policy-denied");
        assert_eq!(
            refused["decision"]["rule"], "teams.sales.group_numbers",
            "{refused}"
        );
        assert!(
            refused["decision"]["need"].to_string().contains("numbers:group"),
            "{refused}"
        );
    }
    let order = server.order(&LENA, "shared", &shared).await.expect(201);
    // The next Close has no such field.
    assert_ne!(order["phone_number"]["is_group_number"], false);
    server.order(&LENA, "two", &two).await.expect(201);
    assert_eq!(server.close.held().await.len(), 2);
}

async fn every_refusal_by_close_is_422_with_its_close_status_and_frees_the_reservation(database: Database) {
    let server = TestServer::new(database).await;
    let answer = |status: u16, body: Value| {
        let answer = json!({ "status": status, "body": body });
        json!({ "path": RENT, "times": 1, "answer": answer })
    };
    let fields = json!({ "errors": [], "field-errors": { "prefix": "No such area." } });
    let refusals = [
        (
            "has-voice-only",
            json!({ "refuse": "has-voice-only", "times": 1 }),
        ),
        (
            "needs-more-info",
            json!({ "refuse": "needs-more-info", "times": 1 }),
        ),
        ("billing-error", answer(402, json!({ "status": "billing-error" }))),
        (
            "error",
            json!({ "refuse": "error", "message": "No numbers left.", "times": 1 }),
        ),
        (
            "unknown-status",
            json!({ "refuse": "unknown-status", "times": 1 }),
        ),
        ("error", answer(400, fields)),
        ("error", answer(403, json!({ "error": "Not allowed." }))),
        (
            "error",
            answer(404, json!({ "errors": ["Source does not exist."] })),
        ),
    ];
    for (index, (close_status, fault)) in refusals.into_iter().enumerate() {
        server.close.fault(fault).await;
        let key = format!("key-{index}");
        let problem = server
            .order(&ALICE, &key, &berlin())
            .await
            .problem(422, "close-refused");
        assert_eq!(problem["close_status"], close_status, "{problem}");
        let id = text(&problem["order_id"]);
        let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
        assert_eq!(
            (&order["state"], &order["evidence"]),
            (&json!("refused"), &json!("close-refusal")),
            "{order}"
        );
        assert_eq!(order["phone_number"], Value::Null);
        assert!(order["finished_at"].is_string(), "{order}");
        // `detail` speaks of this refusal, also if Close gave no message.
        let detail = text(&problem["detail"]);
        assert!(!detail.contains("is the status in Close's response"), "{problem}");
        match index {
            2 => assert_eq!(
                detail,
                "Close refused the request and gave no message. `close_status` is `billing-error`: the Close account \
                 needs funds."
            ),
            3 => assert!(text(&problem["detail"]).contains("No numbers left."), "{problem}"),
            5 => assert!(
                problem["errors"].to_string().contains("No such area."),
                "{problem}"
            ),
            6 => assert!(text(&problem["detail"]).contains("Not allowed."), "{problem}"),
            _ => {}
        }
        let again = server
            .order(&ALICE, &key, &berlin())
            .await
            .problem(422, "close-refused");
        assert_eq!(again["order_id"], id.as_str());
        assert_eq!(again["close_status"], close_status);
        server.close.clear_faults().await;
    }
    assert_eq!(server.close.rents().await.len(), 8);
    let usage = usage(&server).await;
    assert_eq!(
        usage,
        json!({ "held": 0, "reserved": 0, "today": 0 }),
        "refused orders do not count"
    );
}

async fn the_label_is_set_after_the_rent_and_a_failure_to_set_it_does_not_fail_the_order(database: Database) {
    let server = TestServer::new(database).await;
    let labelled = json!({ "country": "DE", "carrier_type": "local", "label": "Berlin line" });
    let order = server.order(&ALICE, "label", &labelled).await.expect(201);
    assert_eq!(order["phone_number"]["label"], "Berlin line");
    assert_eq!(order["request"]["label"], "Berlin line");
    assert_eq!(server.close.held().await[0]["label"], "Berlin line");

    for (key, answer) in [
        ("unavailable", json!({ "status": 500 })),
        ("refused", json!({ "status": 400, "body": { "errors": ["no"] } })),
    ] {
        server
            .close
            .fault(json!({ "method": "PUT", "answer": answer }))
            .await;
        let order = server.order(&ALICE, key, &labelled).await.expect(201);
        assert_eq!(
            (&order["state"], &order["phone_number"]["label"]),
            (&json!("fulfilled"), &Value::Null)
        );
        server.close.clear_faults().await;
    }
    assert_eq!(server.close.rents().await.len(), 3);
}
