//! Ordering a number: every row of the outcome table, and that one order never becomes two numbers.

pub(crate) mod approve;
pub(crate) mod burst;
pub(crate) mod caps;
#[cfg(feature = "failpoints")]
pub(crate) mod crash;
pub(crate) mod faults;
pub(crate) mod model;
pub(crate) mod outage;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::books::usage;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::personas::{ALICE, BOB, LENA, OLGA, Persona};
use crate::support::raw;
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::{eventually, scripted};

on_both_stores! {
    a_rented_number_is_answered_with_201_and_the_order,
    what_is_sent_to_close_is_the_request_and_nothing_of_the_caller,
    an_order_without_assignees_goes_to_the_caller_s_own_user_or_is_left_to_close,
    an_order_that_names_no_carrier_type_gets_the_only_one_or_the_list,
    a_refusal_by_policy_explains_itself_and_does_not_use_the_key_up,
    a_group_number_needs_what_the_policy_asks_for,
    every_refusal_by_close_is_422_with_its_own_word_and_gives_the_reservation_back,
    an_outcome_nobody_knows_is_202_unverified_and_is_never_sent_again,
    while_an_outcome_in_a_country_is_unknown_nothing_more_is_sent_there,
    the_same_key_fifty_times_at_once_is_one_order_and_one_rent,
    the_same_key_gives_the_same_order_in_whatever_state_it_is,
    the_same_key_with_another_body_is_refused,
    a_key_belongs_to_its_team,
    an_order_without_a_key_is_400,
    a_client_that_hangs_up_gets_its_number_when_it_asks_again,
    an_order_whose_client_hung_up_ends_by_itself,
    a_client_that_does_not_wait_gets_202_and_finds_the_number_later,
    a_rate_limit_delays_an_order_and_does_not_fail_it,
    what_never_left_the_machine_is_sent_once_close_is_there,
    a_key_that_close_does_not_accept_delays_orders,
    the_label_is_set_after_the_rent_and_trouble_with_it_changes_nothing,
    asking_first_stores_nothing_and_sends_nothing,
    only_an_order_of_which_nothing_was_sent_can_be_cancelled,
    orders_are_listed_newest_first_with_filters_and_pages,
}

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local", "prefix": "30" })
}

async fn a_rented_number_is_answered_with_201_and_the_order(database: Database) {
    let server = TestServer::new(database).await;
    let answer = server.order(&ALICE, "7c1e", &berlin()).await;
    let order = answer.expect(201);
    let id = text(&order["id"]);
    assert!(id.starts_with("ord_"), "{id}");
    assert_eq!(answer.header("location"), format!("/v1/orders/{id}"));
    for (member, value) in [
        ("state", json!("fulfilled")),
        ("team", json!("sales")),
        ("created_by", json!("alice@example.com")),
        (
            "request",
            json!({ "country": "DE", "sharing": "personal", "carrier_type": "local", "prefix": "30" }),
        ),
        ("estimated_monthly_price", json!("5.00")),
        ("close_status", Value::Null),
        ("reason", Value::Null),
        ("evidence", json!("close-201")),
        ("idempotency_key", json!("7c1e")),
    ] {
        assert_eq!(order[member], value, "{member} of {order}");
    }
    for time in ["created_at", "updated_at", "finished_at"] {
        assert!(text(&order[time]).ends_with('Z'), "{time} of {order}");
    }
    let held = server.close.held().await;
    let [rented] = held.as_slice() else {
        panic!("{} numbers were rented", held.len())
    };
    let shown = &order["phone_number"];
    assert_eq!(shown["id"], rented["id"]);
    assert_eq!(shown["number"], rented["number"]);
    assert_eq!(shown["desk"]["team"], "sales");
    assert_eq!(shown["desk"]["order_id"], id.as_str());
    assert_eq!(shown["desk"]["orphan"], false);
    assert!(shown["desk"]["as_of"].is_string(), "{shown}");
    assert_eq!(
        server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200),
        order
    );
}

async fn what_is_sent_to_close_is_the_request_and_nothing_of_the_caller(database: Database) {
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

async fn an_order_without_assignees_goes_to_the_caller_s_own_user_or_is_left_to_close(database: Database) {
    let server = TestServer::new(database).await;
    let of_user_1 = ALICE.as_user(Some(1));
    let of_nobody = ALICE.as_user(None);
    for (key, person) in [("one", of_user_1), ("none", of_nobody)] {
        server.order(&person, key, &berlin()).await.expect(201);
    }
    let named = json!({ "country": "DE", "carrier_type": "local", "assign_to": [server.user(2)] });
    server.order(&of_user_1, "named", &named).await.expect(201);
    let rents = server.close.rents().await;
    let assigned: Vec<&Value> = rents.iter().map(|rent| &rent["body"]["assign_to"]).collect();
    assert_eq!(
        assigned,
        [&json!([server.user(1)]), &Value::Null, &json!([server.user(2)])]
    );

    // Support may give numbers to the caller alone.
    let other = json!({ "country": "DE", "assign_to": [server.user(2)] });
    let refused = server
        .order(&BOB, "other", &other)
        .await
        .problem(403, "policy-denied");
    assert_eq!(refused["decision"]["rule"], "teams.support.assign_to");
    assert_eq!(server.close.rents().await.len(), 3);
}

async fn an_order_that_names_no_carrier_type_gets_the_only_one_or_the_list(database: Database) {
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

async fn a_refusal_by_policy_explains_itself_and_does_not_use_the_key_up(database: Database) {
    let server = TestServer::new(database).await;
    let refused = server
        .order(&ALICE, "key", &json!({ "country": "JP" }))
        .await
        .problem(403, "policy-denied");
    let decision = &refused["decision"];
    assert_eq!(decision["rule"], "teams.sales.countries");
    assert_eq!(decision["have"], "JP");
    assert!(decision["need"].to_string().contains("DE"), "{decision}");
    assert!(!text(&decision["hint"]).is_empty());
    server.assert_nothing_happened().await;
    server.order(&ALICE, "key", &berlin()).await.expect(201);

    // A team without an entry may do nothing.
    let refused = server
        .order(&OLGA, "key", &berlin())
        .await
        .problem(403, "policy-denied");
    assert!(text(&refused["decision"]["hint"]).len() > 10, "{refused}");
}

async fn a_group_number_needs_what_the_policy_asks_for(database: Database) {
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
    assert_eq!(order["phone_number"]["is_group_number"], true);
    server.order(&LENA, "two", &two).await.expect(201);
    assert_eq!(server.close.rents().await.len(), 2);
}

async fn every_refusal_by_close_is_422_with_its_own_word_and_gives_the_reservation_back(database: Database) {
    let server = TestServer::new(database).await;
    let answer = |status: u16, body: Value| json!({ "path": RENT, "times": 1, "answer": { "status": status, "body": body } });
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
        ("moon-phase", json!({ "refuse": "moon-phase", "times": 1 })),
        ("error", answer(400, fields)),
        ("error", answer(403, json!({ "error": "Not allowed." }))),
        (
            "error",
            answer(404, json!({ "errors": ["Source does not exist."] })),
        ),
    ];
    for (place, (word, fault)) in refusals.into_iter().enumerate() {
        server.close.fault(fault).await;
        let key = format!("key-{place}");
        let problem = server
            .order(&ALICE, &key, &berlin())
            .await
            .problem(422, "close-refused");
        assert_eq!(problem["close_status"], word, "{problem}");
        let id = text(&problem["order_id"]);
        let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
        assert_eq!(
            (&order["state"], &order["evidence"]),
            (&json!("refused"), &json!("close-refusal")),
            "{order}"
        );
        assert_eq!(order["phone_number"], Value::Null);
        assert!(order["finished_at"].is_string(), "{order}");
        match place {
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
        assert_eq!(again["close_status"], word);
        server.close.clear_faults().await;
    }
    assert_eq!(server.close.rents().await.len(), 8);
    let usage = usage(&server).await;
    assert_eq!(
        usage,
        json!({ "held": 0, "reserved": 0, "today": 0 }),
        "refused orders count for nothing"
    );
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

async fn the_same_key_fifty_times_at_once_is_one_order_and_one_rent(database: Database) {
    let server = TestServer::new(database).await;
    let body = berlin();
    let asked = (0..50).map(|_| server.order(&ALICE, "same", &body));
    let answers = futures::future::join_all(asked).await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| text(&answer.expect(201)["id"]))
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(server.close.rents().await.len(), 1);
    assert_eq!(server.close.held().await.len(), 1);
}

async fn the_same_key_gives_the_same_order_in_whatever_state_it_is(database: Database) {
    let server = TestServer::new(database).await;
    let first = server.order(&ALICE, "rented", &berlin()).await.expect(201);
    let again = server.order(&ALICE, "rented", &berlin()).await;
    assert_eq!(again.expect(201), first);
    assert_eq!(
        again.header("location"),
        format!("/v1/orders/{}", text(&first["id"]))
    );
    // The defaults are part of what is compared: saying them is saying nothing new.
    let said = json!({ "team": "sales", "country": "DE", "carrier_type": "local", "prefix": "30",
        "sharing": "personal", "label": null, "with_sms": null });
    assert_eq!(server.order(&ALICE, "rented", &said).await.expect(201), first);
    // Another person of the team, with another token: the key is the team's.
    assert_eq!(server.order(&LENA, "rented", &berlin()).await.expect(201), first);

    let lost = json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" });
    server.close.fault(lost).await;
    let france = json!({ "country": "FR" });
    let unknown = server.order(&ALICE, "unknown", &france).await.expect(202);
    assert_eq!(
        server.order(&ALICE, "unknown", &france).await.expect(202),
        unknown
    );

    let waiting = server.order_at_once(&ALICE, "waits", &france).await.expect(202);
    let path = format!("/v1/orders/{}/cancel", text(&waiting["id"]));
    send(server.request_as(&ALICE, "POST", &path)).await.expect(200);
    server
        .order(&ALICE, "waits", &france)
        .await
        .problem(409, "order-cancelled");
    assert_eq!(server.close.rents().await.len(), 2);
}

async fn the_same_key_with_another_body_is_refused(database: Database) {
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
            .problem(422, "idempotency-key-reused");
    }
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn a_key_belongs_to_its_team(database: Database) {
    let server = TestServer::new(database).await;
    let sales = server.order(&ALICE, "same", &berlin()).await.expect(201);
    let support = server.order(&BOB, "same", &berlin()).await.expect(201);
    assert_ne!(sales["id"], support["id"]);
    // Not even the kind of answer tells that the other team has the key.
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
        .problem(400, "idempotency-key-missing");
    server.assert_nothing_happened().await;
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

async fn the_label_is_set_after_the_rent_and_trouble_with_it_changes_nothing(database: Database) {
    let server = TestServer::new(database).await;
    let labelled = json!({ "country": "DE", "carrier_type": "local", "label": "Berlin line" });
    let order = server.order(&ALICE, "label", &labelled).await.expect(201);
    assert_eq!(order["phone_number"]["label"], "Berlin line");
    assert_eq!(order["request"]["label"], "Berlin line");
    assert_eq!(server.close.held().await[0]["label"], "Berlin line");

    for (key, answer) in [
        ("down", json!({ "status": 500 })),
        ("no", json!({ "status": 400, "body": { "errors": ["no"] } })),
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

async fn asking_first_stores_nothing_and_sends_nothing(database: Database) {
    let server = TestServer::new(database).await;
    let before = server.close.all_requests().await.len();
    let ask = |body: Value| {
        send(
            server
                .request_as(&ALICE, "POST", "/v1/orders?validate_only=true")
                .json(&body),
        )
    };
    let yes = ask(berlin()).await.expect(200);
    assert_eq!(yes["allowed"], true, "{yes}");
    assert_eq!(yes["estimated_monthly_price"], "5.00");
    let no = ask(json!({ "country": "JP" })).await.expect(200);
    assert_eq!(no["allowed"], false);
    assert_eq!(no["decision"]["rule"], "teams.sales.countries");
    let with_key = server
        .request_as(&ALICE, "POST", "/v1/orders?validate_only=true")
        .header("Idempotency-Key", "key");
    send(with_key.json(&berlin())).await.expect(200);
    ask(json!({ "country": "Germany" }))
        .await
        .problem(400, "invalid-request");
    let usage = usage(&server).await;
    assert_eq!(usage, json!({ "held": 0, "reserved": 0, "today": 0 }));
    let audited = server.list(&LENA, "/v1/audit").await;
    assert!(audited.is_empty(), "{audited:?}");
    server.assert_nothing_happened().await;
    assert_eq!(
        server.close.all_requests().await.len(),
        before,
        "Close was called"
    );
    // `false` is an order like any other.
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders?validate_only=false")
        .header("Idempotency-Key", "key");
    send(order.json(&berlin())).await.expect(201);
}

async fn only_an_order_of_which_nothing_was_sent_can_be_cancelled(database: Database) {
    let server = TestServer::new(database).await;
    let cancel = async |person: &Persona, order: &Value| {
        let path = format!("/v1/orders/{}/cancel", text(&order["id"]));
        send(server.request_as(person, "POST", &path)).await
    };
    let rented = server
        .order(&ALICE, "rented", &json!({ "country": "FR" }))
        .await
        .expect(201);
    cancel(&ALICE, &rented)
        .await
        .problem(409, "order-not-cancellable");
    let lost = json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" });
    server.close.fault(lost).await;
    let unknown = server.order(&ALICE, "unknown", &berlin()).await.expect(202);
    cancel(&ALICE, &unknown)
        .await
        .problem(409, "order-not-cancellable");
    let waiting = server.order_at_once(&ALICE, "waits", &berlin()).await.expect(202);
    cancel(&BOB, &waiting).await.problem(404, "not-found");
    cancel(&ALICE.with("numbers:read"), &waiting)
        .await
        .problem(403, "permission-missing");
    let cancelled = cancel(&ALICE, &waiting).await.expect(200);
    assert_eq!(cancelled["state"], "cancelled");
    assert!(cancelled["finished_at"].is_string());
    cancel(&ALICE, &waiting)
        .await
        .problem(409, "order-not-cancellable");
    let usage = usage(&server).await;
    assert_eq!(
        usage,
        json!({ "held": 1, "reserved": 1, "today": 2 }),
        "the cancelled order counts for nothing"
    );
    assert_eq!(server.close.rents().await.len(), 2);
}

async fn orders_are_listed_newest_first_with_filters_and_pages(database: Database) {
    let server = TestServer::new(database).await;
    let mut ids = Vec::new();
    for place in 0..5 {
        let order = server
            .order(&ALICE, &format!("key-{place}"), &berlin())
            .await
            .expect(201);
        ids.insert(0, text(&order["id"]));
    }
    server.close.fault(json!({ "refuse": "error", "times": 1 })).await;
    server
        .order(&ALICE, "refused", &berlin())
        .await
        .problem(422, "close-refused");
    server.order(&BOB, "key-0", &berlin()).await.expect(201);

    let found = |rows: Vec<Value>| rows.iter().map(|order| text(&order["id"])).collect::<Vec<_>>();
    assert_eq!(
        found(server.list(&ALICE, "/v1/orders?state=fulfilled").await),
        ids
    );
    assert_eq!(server.list(&ALICE, "/v1/orders?state=refused").await.len(), 1);
    assert_eq!(
        found(server.list(&ALICE, "/v1/orders?idempotency_key=key-3").await),
        ids[1..2]
    );
    assert_eq!(
        server.list(&OLGA, "/v1/orders?idempotency_key=key-0").await.len(),
        2
    );
    assert_eq!(server.list(&OLGA, "/v1/orders?team=support").await.len(), 1);
    assert_eq!(server.list(&ALICE, "/v1/orders").await.len(), 6);

    let mut seen = Vec::new();
    let mut path = "/v1/orders?state=fulfilled&limit=2".to_owned();
    loop {
        let page = server.get(&ALICE, &path).await.expect(200);
        let rows = page["data"].as_array().expect("a list has data").clone();
        assert!((1..=2).contains(&rows.len()));
        seen.extend(found(rows));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/orders?state=fulfilled&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ids);
}

impl TestServer {
    /// One paid call was made for the order, no more.
    async fn at_close(&self, order: &Value, country: &str) {
        let sent = self
            .close
            .rents()
            .await
            .into_iter()
            .filter(|rent| rent["body"]["country"] == country)
            .count();
        assert_eq!(sent, 1, "{country}: {order}");
    }
}
