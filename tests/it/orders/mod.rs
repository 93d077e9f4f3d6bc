//! Ordering a number: every row of the outcome table, and that one order never becomes two numbers.

pub(crate) mod approve;
pub(crate) mod burst;
pub(crate) mod caps;
#[cfg(feature = "failpoints")]
pub(crate) mod crash;
pub(crate) mod faults;
pub(crate) mod model;
pub(crate) mod outage;

mod create;
mod idempotency;
mod pending;

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
    asking_first_stores_nothing_and_sends_nothing,
    only_an_order_of_which_nothing_was_sent_can_be_cancelled,
    orders_are_listed_newest_first_with_filters_and_pages,
}

fn berlin() -> Value {
    json!({ "country": "DE", "carrier_type": "local", "prefix": "30" })
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
