//! Orders with an unknown or delayed outcome, and clients that do not wait.

use super::*;

on_both_stores_and_next_close! {
    an_order_with_an_unknown_outcome_is_202_unverified_and_never_sent_again,
    beside_one_unverified_order_the_next_is_sent_and_beside_two_none_that_overlaps_both,
    a_client_that_disconnects_gets_its_number_when_it_repeats_the_request,
    an_order_is_fulfilled_although_its_client_disconnected,
    a_client_that_does_not_wait_gets_202_and_finds_the_number_later,
    a_rate_limit_delays_an_order_and_does_not_fail_it,
    an_order_that_could_not_be_sent_is_sent_once_close_is_reachable,
    an_api_key_that_close_rejects_delays_orders_and_does_not_fail_them,
}

async fn an_order_with_an_unknown_outcome_is_202_unverified_and_never_sent_again(database: Database) {
    let server = TestServer::with(
        database,
        TestConfig {
            timeout: "2s",
            ..TestConfig::default()
        },
    )
    .await;
    let broken =
        |answer: Value, effect: bool| json!({ "path": RENT, "times": 1, "answer": answer, "effect": effect });
    let status = |status: u16, body: &str| json!({ "status": status, "body": body });
    let faults = [
        ("DE", broken(status(500, ""), true)),
        ("FR", broken(status(503, "<html>try later</html>"), false)),
        (
            "GB",
            broken(json!({ "status": 504, "headers": { "retry-after": "0" } }), true),
        ),
        ("US", broken(status(408, "upstream request timeout"), true)),
        ("CA", broken(json!("drop_before_headers"), true)),
        ("AT", broken(json!("drop_in_body"), true)),
        ("CH", broken(json!("garbage"), true)),
        ("ES", broken(json!("truncate"), true)),
        ("IT", broken(json!("hang"), true)),
        ("NL", broken(json!("redirect"), false)),
        ("BE", broken(status(400, "<html>bad request</html>"), false)),
        (
            "PL",
            broken(json!({ "status": 201, "body": { "id": "phon_1" } }), true),
        ),
        (
            "SE",
            broken(
                json!({ "status": 400, "body": { "message": "no error of Close" } }),
                false,
            ),
        ),
        ("DK", broken(json!({ "status": 404 }), false)),
        ("AU", broken(json!("huge"), true)),
        (
            "IE",
            broken(json!({ "status": 200, "body": { "status": "error" } }), false),
        ),
    ];
    // While Close lists no numbers, the service cannot learn the outcomes.
    let no_listing = json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } });
    server.close.fault(no_listing).await;
    let count = faults.len();
    let mut orders = Vec::new();
    for (country, fault) in faults {
        let mut fault = fault;
        fault["country"] = json!(country);
        server.close.fault(fault).await;
        let body = json!({ "country": country });
        let answer = server.order(&ALICE, &format!("key-{country}"), &body).await;
        let order = answer.expect(202);
        assert_eq!(order["state"], "unverified", "{country}: {order}");
        assert_eq!(
            (&order["evidence"], &order["finished_at"]),
            (&Value::Null, &Value::Null),
            "{order}"
        );
        assert!(!text(&order["reason"]).is_empty(), "{order}");
        assert!(answer.header("location").ends_with(&text(&order["id"])));
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer}");
        orders.push((country, body, order));
    }
    for (country, body, order) in orders {
        let again = server
            .order_at_once(&ALICE, &format!("key-{country}"), &body)
            .await
            .expect(202);
        assert_eq!(
            (&again["id"], &again["state"]),
            (&order["id"], &json!("unverified"))
        );
        server.assert_sent_once(&order, country).await;
    }
    let usage = usage(&server).await;
    assert_eq!(
        usage,
        json!({ "held": 0, "reserved": count, "today": count }),
        "unverified orders keep their reservations"
    );
}

async fn beside_one_unverified_order_the_next_is_sent_and_beside_two_none_that_overlaps_both(
    database: Database,
) {
    let server = TestServer::new(database).await;
    let lost_answer = json!({ "path": RENT, "times": 2, "answer": "drop_before_headers", "effect": true });
    let no_listing = json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } });
    server.close.fault(json!([lost_answer, no_listing])).await;
    let germany = json!({ "country": "DE", "carrier_type": "local" });
    let munich = json!({ "country": "DE", "carrier_type": "local", "prefix": "89" });
    let one = server.order(&ALICE, "lost", &berlin()).await.expect(202);
    let two = server.order(&BOB, "also-lost", &munich).await.expect(202);
    assert_eq!(
        (&one["state"], &two["state"]),
        (&json!("unverified"), &json!("unverified"))
    );
    let queued = server.order_at_once(&BOB, "queued", &germany).await.expect(202);
    assert_eq!(queued["state"], "queued");
    assert!(
        text(&queued["reason"]).starts_with("the outcomes of 2 earlier orders in DE are unknown"),
        "{queued}"
    );
    // Orders that overlap at most one of them are not held back. When they are done, the queued order would be, too.
    server.order(&ALICE, "munich", &munich).await.expect(201);
    server.rent(&ALICE, "elsewhere", "FR").await;
    let path = format!("/v1/orders/{}", text(&queued["id"]));
    assert_eq!(server.get(&BOB, &path).await.expect(200)["state"], "queued");
    assert_eq!(server.close.rents().await.len(), 4);

    // Once Close shows the outcome of one of them, the queued order is sent.
    server.close.clear_faults().await;
    server
        .wait_for_state(&BOB, &text(&queued["id"]), "fulfilled")
        .await;
    for (person, order) in [(&ALICE, &one), (&BOB, &two)] {
        let found = server
            .wait_for_state(person, &text(&order["id"]), "fulfilled")
            .await;
        assert_eq!(found["evidence"], "found-by-reconciliation");
    }
    assert_eq!(server.close.held().await.len(), 5);
}

async fn a_client_that_disconnects_gets_its_number_when_it_repeats_the_request(database: Database) {
    let server = TestServer::new(database).await;
    server.close.set(json!({ "rent_latency": "300ms" })).await;
    // The client disconnects before its order is read, while it is stored, or during the rent.
    // Each order rents one number, which the repeated request returns.
    let delays_ms = [0, 1, 2, 5, 10, 20, 50, 100];
    for delay_ms in delays_ms {
        let delay = Duration::from_millis(delay_ms);
        raw::send_and_hang_up(&server, &ALICE, &format!("gone-{delay_ms}"), &berlin(), delay).await;
    }
    for delay_ms in delays_ms {
        server
            .order(&ALICE, &format!("gone-{delay_ms}"), &berlin())
            .await
            .expect(201);
    }
    assert_eq!(server.close.rents().await.len(), delays_ms.len());
    assert_eq!(server.list(&ALICE, "/v1/orders").await.len(), delays_ms.len());
}

async fn an_order_is_fulfilled_although_its_client_disconnected(database: Database) {
    let server = TestServer::new(database).await;
    server.close.set(json!({ "rent_latency": "500ms" })).await;
    let connection = raw::send_order(&server, &ALICE, "gone", &berlin()).await;
    server.close.wait_for_requests("POST", RENT, 1).await;
    drop(connection);
    eventually("the order is fulfilled after its client disconnected", || async {
        let found = server.list(&ALICE, "/v1/orders?idempotency_key=gone").await;
        (found.first()?["state"] == "fulfilled").then_some(())
    })
    .await;
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_client_that_does_not_wait_gets_202_and_finds_the_number_later(database: Database) {
    let server = TestServer::new(database).await;
    server.close.set(json!({ "rents_held": true })).await;
    let answer = server.order_at_once(&ALICE, "key", &berlin()).await;
    let order = answer.expect(202);
    assert!(
        ["queued", "renting"].contains(&text(&order["state"]).as_str()),
        "{order}"
    );
    assert_eq!(
        answer.header("location"),
        format!("/v1/orders/{}", text(&order["id"]))
    );
    assert!(
        answer
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds > 0),
        "{answer}"
    );
    // `wait=0` also works beside another preference and an unknown one.
    let request = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "key");
    let request = request
        .header("Prefer", "respond-async, handling=lenient, wait=0")
        .json(&berlin());
    assert_eq!(send(request).await.expect(202)["id"], order["id"]);
    server.close.set(json!({ "rents_held": false })).await;
    let request = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "key");
    let fulfilled = send(request.header("Prefer", "wait=20").json(&berlin()))
        .await
        .expect(201);
    assert_eq!(
        (&fulfilled["id"], &fulfilled["state"]),
        (&order["id"], &json!("fulfilled"))
    );
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_rate_limit_delays_an_order_and_does_not_fail_it(database: Database) {
    let server = TestServer::new(database).await;
    let limits = [
        json!({ "rent_limit": 1, "rent_window": "2s" }),
        json!({ "rent_limit": 1, "rent_window": "2s", "header": false, "body": "legacy" }),
        json!({ "rent_limit": 1, "rent_window": "2s", "header": false, "retry_after": false, "body": "html" }),
    ];
    for (round, limit) in limits.into_iter().enumerate() {
        server.close.set(json!({ "rate_limit": limit })).await;
        for index in 0..2 {
            let order = server
                .order(&ALICE, &format!("{round}-{index}"), &berlin())
                .await
                .expect(201);
            assert_eq!(order["state"], "fulfilled");
        }
    }
    let statuses: Vec<Value> = server
        .close
        .rents()
        .await
        .iter()
        .map(|rent| rent["status"].clone())
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        6,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().filter(|status| **status == 429).count() >= 3,
        "{statuses:?}"
    );
    assert_eq!(server.close.held().await.len(), 6);
}

async fn an_order_that_could_not_be_sent_is_sent_once_close_is_reachable(database: Database) {
    let close_address = scripted::unused_address();
    let config = TestConfig {
        close_url: Some(format!("http://{close_address}/api/v1")),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    let order = server.order_at_once(&ALICE, "early", &berlin()).await.expect(202);
    let id = text(&order["id"]);
    eventually("the order says that Close can't be reached", || async {
        let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
        let reason = order["reason"].as_str().unwrap_or_default().to_owned();
        let named = reason.contains("Close could not be reached")
            || reason.contains("Close does not respond")
            || reason.contains("once it has read Close's event log");
        (order["state"] == "queued" && named).then_some(())
    })
    .await;
    server.start_close_at(close_address).await;
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn an_api_key_that_close_rejects_delays_orders_and_does_not_fail_them(database: Database) {
    let server = TestServer::new(database).await;
    // After its start, the service reads Close's event log with the key before it rents.
    server.rent(&ALICE, "before", "US").await;
    server.close.set(json!({ "key_valid": false })).await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    let rents = server.close.wait_for_requests("POST", RENT, 2).await;
    assert_eq!(rents[1]["status"], 401);
    server.wait_for_state(&ALICE, &text(&order["id"]), "queued").await;
    server.close.set(json!({ "key_valid": true })).await;
    server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    assert_eq!(server.close.held().await.len(), 2);
}
