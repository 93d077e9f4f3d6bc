//! Orders whose outcome is unknown or delayed, and clients that do not wait.

use super::*;

on_both_stores! {
    an_outcome_nobody_knows_is_202_unverified_and_is_never_sent_again,
    while_an_outcome_in_a_country_is_unknown_nothing_more_is_sent_there,
    a_client_that_hangs_up_gets_its_number_when_it_asks_again,
    an_order_whose_client_hung_up_ends_by_itself,
    a_client_that_does_not_wait_gets_202_and_finds_the_number_later,
    a_rate_limit_delays_an_order_and_does_not_fail_it,
    what_never_left_the_machine_is_sent_once_close_is_there,
    a_key_that_close_does_not_accept_delays_orders,
}

async fn an_outcome_nobody_knows_is_202_unverified_and_is_never_sent_again(database: Database) {
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
    let endings = [
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
        ("BE", broken(status(400, "<html>who knows</html>"), false)),
        (
            "PL",
            broken(json!({ "status": 201, "body": { "id": "phon_1" } }), true),
        ),
        (
            "SE",
            broken(
                json!({ "status": 400, "body": { "message": "of another shape" } }),
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
    // As long as Close shows nothing, nobody can know.
    let blind = json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } });
    server.close.fault(blind).await;
    let count = endings.len();
    let mut orders = Vec::new();
    for (country, fault) in endings {
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
        server.at_close(&order, country).await;
    }
    let usage = usage(&server).await;
    assert_eq!(
        usage,
        json!({ "held": 0, "reserved": count, "today": count }),
        "reservations are kept"
    );
}

async fn while_an_outcome_in_a_country_is_unknown_nothing_more_is_sent_there(database: Database) {
    let server = TestServer::new(database).await;
    let lost = json!({ "path": RENT, "times": 1, "answer": "drop_before_headers", "effect": true });
    let blind = json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } });
    server.close.fault(json!([lost, blind])).await;
    let unknown = server.order(&ALICE, "lost", &berlin()).await.expect(202);
    assert_eq!(unknown["state"], "unverified");
    let waiting = server
        .order_at_once(&BOB, "waits", &json!({ "country": "DE" }))
        .await
        .expect(202);
    // Another country is another matter, and by the time it is done a send of the first would have begun.
    server.rent(&ALICE, "elsewhere", "FR").await;
    let path = format!("/v1/orders/{}", text(&waiting["id"]));
    assert_eq!(server.get(&BOB, &path).await.expect(200)["state"], "queued");
    let sent: Vec<Value> = server
        .close
        .rents()
        .await
        .iter()
        .map(|rent| rent["body"]["country"].clone())
        .collect();
    assert_eq!(sent, ["DE", "FR"]);

    // Once Close shows what became of the first, the other one is sent.
    server.close.clear_faults().await;
    let found = server
        .wait_for_state(&ALICE, &text(&unknown["id"]), "fulfilled")
        .await;
    assert_eq!(found["evidence"], "found-by-reconciliation");
    server
        .wait_for_state(&BOB, &text(&waiting["id"]), "fulfilled")
        .await;
    assert_eq!(server.close.held().await.len(), 3);
}

async fn a_client_that_hangs_up_gets_its_number_when_it_asks_again(database: Database) {
    let server = TestServer::new(database).await;
    server.close.set(json!({ "rent_latency": "300ms" })).await;
    // Gone before it was heard, while it was written down, or during the call: one number each, once it asks again.
    let moments = [0, 1, 2, 5, 10, 20, 50, 100];
    for moment in moments {
        let after = Duration::from_millis(moment);
        raw::send_and_hang_up(&server, &ALICE, &format!("gone-{moment}"), &berlin(), after).await;
    }
    for moment in moments {
        server
            .order(&ALICE, &format!("gone-{moment}"), &berlin())
            .await
            .expect(201);
    }
    assert_eq!(server.close.rents().await.len(), moments.len());
    assert_eq!(server.list(&ALICE, "/v1/orders").await.len(), moments.len());
}

async fn an_order_whose_client_hung_up_ends_by_itself(database: Database) {
    let server = TestServer::new(database).await;
    server.close.set(json!({ "rent_latency": "500ms" })).await;
    let connection = raw::send_order(&server, &ALICE, "gone", &berlin()).await;
    server.close.wait_for_requests("POST", RENT, 1).await;
    drop(connection);
    eventually("the order of a client that left ends", || async {
        let found = server.list(&ALICE, "/v1/orders?idempotency_key=gone").await;
        (found[0]["state"] == "fulfilled").then_some(())
    })
    .await;
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_client_that_does_not_wait_gets_202_and_finds_the_number_later(database: Database) {
    let server = TestServer::new(database).await;
    server.close.set(json!({ "rent_latency": "2s" })).await;
    let started = Instant::now();
    let answer = server.order_at_once(&ALICE, "key", &berlin()).await;
    let order = answer.expect(202);
    assert!(started.elapsed() < Duration::from_millis(1500), "it waited");
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
    // A preference among others, and one that is not known.
    let request = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "key");
    let request = request
        .header("Prefer", "respond-async, handling=lenient, wait=0")
        .json(&berlin());
    assert_eq!(send(request).await.expect(202)["id"], order["id"]);
    let request = server
        .request_as(&ALICE, "POST", "/v1/orders")
        .header("Idempotency-Key", "key");
    let later = send(request.header("Prefer", "wait=20").json(&berlin()))
        .await
        .expect(201);
    assert_eq!(
        (&later["id"], &later["state"]),
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
        for place in 0..2 {
            let order = server
                .order(&ALICE, &format!("{round}-{place}"), &berlin())
                .await
                .expect(201);
            assert_eq!(order["state"], "fulfilled");
        }
    }
    let seen: Vec<Value> = server
        .close
        .rents()
        .await
        .iter()
        .map(|rent| rent["status"].clone())
        .collect();
    assert_eq!(
        seen.iter().filter(|status| **status == 201).count(),
        6,
        "{seen:?}"
    );
    assert!(
        seen.iter().filter(|status| **status == 429).count() >= 3,
        "{seen:?}"
    );
    assert_eq!(server.close.held().await.len(), 6);
}

async fn what_never_left_the_machine_is_sent_once_close_is_there(database: Database) {
    let away = scripted::unused_address();
    let config = TestConfig {
        close_url: Some(format!("http://{away}/api/v1")),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    let order = server.order_at_once(&ALICE, "early", &berlin()).await.expect(202);
    let id = text(&order["id"]);
    eventually("the desk has tried", || async {
        let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
        (order["state"] == "queued" && order["reason"].is_string()).then_some(())
    })
    .await;
    server.start_close_at(away).await;
    server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_key_that_close_does_not_accept_delays_orders(database: Database) {
    let server = TestServer::new(database).await;
    server.close.set(json!({ "key_valid": false })).await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    let rents = server.close.wait_for_requests("POST", RENT, 1).await;
    assert_eq!(rents[0]["status"], 401);
    server.wait_for_state(&ALICE, &text(&order["id"]), "queued").await;
    server.close.set(json!({ "key_valid": true })).await;
    server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    assert_eq!(server.close.held().await.len(), 1);
}
