//! Orders: each possible outcome, and that one order never rents two numbers.

pub(crate) mod approve;
pub(crate) mod burst;
pub(crate) mod caps;
#[cfg(feature = "failpoints")]
pub(crate) mod crash;
pub(crate) mod faults;
pub(crate) mod model;
pub(crate) mod outage;

mod create;
mod epochs;
mod idempotency;
mod not_rented;
mod overlap;
mod pending;
mod queue;
mod released;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::books::usage;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::epoch::on_both_stores_and_next_close;
use crate::support::personas::{ALICE, BOB, LENA, OLGA, Persona};
use crate::support::raw;
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::{eventually, scripted, snapshot};

on_both_stores_and_next_close! {
    validating_an_order_stores_nothing_and_sends_nothing,
    only_an_order_that_was_not_sent_can_be_cancelled,
    an_order_that_needs_no_review_cannot_be_settled,
    orders_are_listed_newest_first_with_filters_and_pages,
}

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local", "prefix": "30" })
}

/// The number of calls to Close about numbers. Other calls are those of workers.
async fn calls_about_numbers(server: &TestServer) -> usize {
    let requests = server.close.all_requests().await;
    let about_numbers = |request: &&Value| text(&request["path"]).contains("/phone_number");
    requests.iter().filter(about_numbers).count()
}

async fn validating_an_order_stores_nothing_and_sends_nothing(database: Database) {
    let server = TestServer::new(database).await;
    let before = calls_about_numbers(&server).await;
    let validate = |body: Value| {
        send(
            server
                .request_as(&ALICE, "POST", "/v1/orders?validate_only=true")
                .json(&body),
        )
    };
    let allowed = validate(berlin()).await.expect(200);
    assert_eq!(allowed["allowed"], true, "{allowed}");
    assert_eq!(allowed["estimated_monthly_price"], "5.00");
    let denied = validate(json!({ "country": "JP" })).await.expect(200);
    assert_eq!(denied["allowed"], false);
    assert_eq!(denied["decision"]["rule"], "teams.sales.countries");
    let with_key = server
        .request_as(&ALICE, "POST", "/v1/orders?validate_only=true")
        .header("Idempotency-Key", "key");
    send(with_key.json(&berlin())).await.expect(200);
    let refused = validate(json!({ "country": "Germany" })).await;
    refused.problem(400, "invalid-request");
    // A refused request is marked, too, also one that no handler sees.
    let no_token = server.request("POST", "/v1/orders?validate_only=true");
    let no_json = server
        .request_as(&ALICE, "POST", "/v1/orders?validate_only=true")
        .body("country=DE");
    for answer in [
        validate(berlin()).await,
        refused,
        send(no_token.json(&berlin())).await,
        send(no_json).await,
    ] {
        assert_eq!(answer.header("deprecation"), "@1796083200", "{answer}");
        let mut links = answer.headers.get_all("link").iter();
        assert!(
            links.any(|link| link == "</v1/orders/validate>; rel=\"successor-version\""),
            "{answer}"
        );
    }
    let usage = usage(&server).await;
    assert_eq!(usage, json!({ "held": 0, "reserved": 0, "today": 0 }));
    let audit_rows = server.list(&LENA, "/v1/audit").await;
    assert!(audit_rows.is_empty(), "{audit_rows:?}");
    server.assert_nothing_happened().await;
    assert_eq!(calls_about_numbers(&server).await, before, "Close was called");
    // `validate_only=false` creates an order.
    let order = server
        .request_as(&ALICE, "POST", "/v1/orders?validate_only=false")
        .header("Idempotency-Key", "key");
    send(order.json(&berlin())).await.expect(201);
}

async fn only_an_order_that_was_not_sent_can_be_cancelled(database: Database) {
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
    let lost_answer = json!({ "path": RENT, "times": 1, "answer": "drop_before_headers" });
    server.close.fault(lost_answer).await;
    let unverified = server.order(&ALICE, "unverified", &berlin()).await.expect(202);
    cancel(&ALICE, &unverified)
        .await
        .problem(409, "order-not-cancellable");
    // A different order is being sent in the country, so the next one waits.
    server.close.set(json!({ "rents_held": true })).await;
    server.order_at_once(&BOB, "sending", &berlin()).await.expect(202);
    server.close.wait_for_requests("POST", RENT, 3).await;
    let queued = server
        .order_at_once(&ALICE, "queued", &berlin())
        .await
        .expect(202);
    cancel(&BOB, &queued).await.problem_snapshot(404, "not-found");
    cancel(&ALICE.with("numbers:read"), &queued)
        .await
        .problem_snapshot(403, "permission-missing");
    let cancelled = cancel(&ALICE, &queued).await.expect(200);
    assert_eq!(cancelled["state"], "cancelled");
    assert!(cancelled["finished_at"].is_string());
    cancel(&ALICE, &queued)
        .await
        .problem_snapshot(409, "order-not-cancellable");
    let usage = usage(&server).await;
    assert_eq!(
        usage,
        json!({ "held": 1, "reserved": 1, "today": 2 }),
        "the cancelled order does not count"
    );
    assert_eq!(server.close.rents().await.len(), 3);
    server.close.set(json!({ "rents_held": false })).await;
}

async fn an_order_that_needs_no_review_cannot_be_settled(database: Database) {
    let server = TestServer::new(database).await;
    let order = server.order(&ALICE, "key", &berlin()).await.expect(201);
    let path = format!("/v1/orders/{}/settle", text(&order["id"]));
    let finding = server.request_as(&OLGA, "POST", &path);
    send(finding.json(&json!({ "absent": true })))
        .await
        .problem_snapshot(409, "order-not-in-review");
}

async fn orders_are_listed_newest_first_with_filters_and_pages(database: Database) {
    let server = TestServer::new(database).await;
    let mut ids = Vec::new();
    for index in 0..5 {
        let order = server
            .order(&ALICE, &format!("key-{index}"), &berlin())
            .await
            .expect(201);
        ids.insert(0, text(&order["id"]));
    }
    server.close.fault(json!({ "refuse": "error", "times": 1 })).await;
    server
        .order(&ALICE, "refused", &berlin())
        .await
        .problem_snapshot(422, "close-refused");
    server.order(&BOB, "key-0", &berlin()).await.expect(201);

    let ids_of = |rows: Vec<Value>| rows.iter().map(|order| text(&order["id"])).collect::<Vec<_>>();
    assert_eq!(
        ids_of(server.list(&ALICE, "/v1/orders?state=fulfilled").await),
        ids
    );
    assert_eq!(server.list(&ALICE, "/v1/orders?state=refused").await.len(), 1);
    assert_eq!(
        ids_of(server.list(&ALICE, "/v1/orders?idempotency_key=key-3").await),
        ids[1..2]
    );
    assert_eq!(
        server.list(&OLGA, "/v1/orders?idempotency_key=key-0").await.len(),
        2
    );
    assert_eq!(server.list(&OLGA, "/v1/orders?team=support").await.len(), 1);
    assert_eq!(server.list(&ALICE, "/v1/orders").await.len(), 6);

    let newest = server.get(&ALICE, "/v1/orders?limit=1").await.expect(200);
    snapshot::assert_json("views/page_of_orders", &newest);
    let mut seen = Vec::new();
    let mut path = "/v1/orders?state=fulfilled&limit=2".to_owned();
    loop {
        let page = server.get(&ALICE, &path).await.expect(200);
        let rows = page["data"].as_array().expect("a list has data").clone();
        assert!((1..=2).contains(&rows.len()));
        seen.extend(ids_of(rows));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/orders?state=fulfilled&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ids);
}

impl TestServer {
    /// Asserts that Close received exactly one rent for this country.
    async fn assert_sent_once(&self, order: &Value, country: &str) {
        let rent_count = self
            .close
            .rents()
            .await
            .into_iter()
            .filter(|rent| rent["body"]["country"] == country)
            .count();
        assert_eq!(rent_count, 1, "{country}: {order}");
    }
}
