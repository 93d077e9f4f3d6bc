//! The fault matrix of orders: whatever Close answers and does, an order ends in the state that is true at Close.
//!
//! Each fault occurs with and without a rented number, with each delay of Close's listing and event log, with the
//! webhook lost, delivered once, twice or late, and with one or two replicas that reconcile.

mod evidence;
mod odd_records;
mod review;

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::desk::{Finding, OrderWithNumber};
use numberdesk::domain::order::{Evidence, Order, State};
use numberdesk::domain::scope::Scope;
use numberdesk::error::Error;
use serde_json::{Value, json};

use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::Database;
use crate::support::desk::{SETTLE_AFTER, TestDesk, adopt, caller, order, request, settle_review};
use crate::support::epoch::on_both_stores_and_next_close;
use crate::support::server::WEBHOOK_KEY;
use crate::support::webhook::{self, delivery, event, signature};

// One test for each delay, so that they run side by side.
on_both_stores_and_next_close! {
    orders_are_true_when_close_shows_a_number_at_once,
    orders_are_true_when_the_listing_lags,
    orders_are_true_when_the_event_log_lags,
    orders_are_true_when_listing_and_event_log_lag,
    orders_are_true_when_the_listing_lags_longer_than_the_settling_period,
}

const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "US"]
assign_to = "anyone"
max_numbers = 1000000

[teams.support]
countries = ["DE", "US"]
assign_to = "anyone"

[prices]
default = "1.00"
"#;

/// One behaviour of Close when it receives a rent.
struct Case {
    name: &'static str,
    /// Whether Close rents a number, whatever it answers.
    effect: bool,
    fault: Value,
    ends: Ends,
}

/// How the order must end.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// Fulfilled by the answer to a rent, perhaps of the second attempt.
    Answered,
    /// Refused by the answer to the rent.
    Refused,
    /// Settled by reconciliation, which finds the number or its absence.
    Reconciled,
}

fn cases() -> Vec<Case> {
    let status = |status: u16, body: Value| json!({ "status": status, "body": body });
    let mut cases = vec![Case {
        name: "201",
        effect: true,
        fault: Value::Null,
        ends: Ends::Answered,
    }];
    for close_status in [
        "has-voice-only",
        "needs-more-info",
        "billing-error",
        "error",
        "unknown-status",
    ] {
        cases.push(Case {
            name: close_status,
            effect: false,
            fault: json!({ "refuse": close_status, "times": 1 }),
            ends: Ends::Refused,
        });
    }
    let fields = json!({ "errors": [], "field-errors": { "prefix": "No such area." } });
    for (name, answer, ends) in [
        ("400 with field errors", status(400, fields), Ends::Refused),
        (
            "403",
            status(403, json!({ "error": "Not allowed." })),
            Ends::Refused,
        ),
        (
            "404 in Close's format",
            status(404, json!({ "error": "Not there." })),
            Ends::Refused,
        ),
        (
            "429",
            json!({ "status": 429, "headers": { "retry-after": "1" } }),
            Ends::Answered,
        ),
        (
            "401",
            status(401, json!({ "error": "Unauthorized" })),
            Ends::Answered,
        ),
    ] {
        cases.push(Case {
            name,
            effect: false,
            fault: json!({ "path": RENT, "times": 1, "effect": false, "answer": answer }),
            ends,
        });
    }
    for effect in [false, true] {
        for (name, answer) in [
            ("408", status(408, json!("upstream request timeout"))),
            ("500", status(500, Value::Null)),
            ("502", status(502, json!("<html>bad gateway</html>"))),
            ("503", json!({ "status": 503, "headers": { "retry-after": "0" } })),
            ("504", status(504, Value::Null)),
            ("redirect", json!("redirect")),
            ("reset before headers", json!("drop_before_headers")),
            ("reset in the body", json!("drop_in_body")),
            ("garbage", json!("garbage")),
            ("truncated", json!("truncate")),
            ("endless", json!("huge")),
            ("201 without a number", status(201, json!({ "id": "phon_" }))),
            ("200 of another shape", status(200, json!({ "status": "ok" }))),
            (
                "400 of the ingress",
                status(400, json!("<html>bad request</html>")),
            ),
            ("404 of the ingress", status(404, Value::Null)),
        ] {
            cases.push(Case {
                name,
                effect,
                fault: json!({ "path": RENT, "times": 1, "effect": effect, "answer": answer }),
                ends: Ends::Reconciled,
            });
        }
        cases.push(Case {
            name: "no answer within the deadline",
            effect,
            fault: json!({ "path": RENT, "times": 1, "effect": effect, "answer": "hang" }),
            ends: Ends::Reconciled,
        });
    }
    cases.push(Case {
        name: "executed after the deadline",
        effect: true,
        fault: json!({ "path": RENT, "times": 1, "answer": "hang", "effect_after": "2500ms" }),
        ends: Ends::Reconciled,
    });
    cases
}

/// Delays after which Close shows a new number.
#[derive(Clone, Copy)]
struct Lag {
    listing: &'static str,
    event_log: &'static str,
    /// Which kind of webhook delivery the first case gets. Over all delays, each case gets all four kinds.
    first_webhook: usize,
}

impl Lag {
    const fn new(listing: &'static str, event_log: &'static str, first_webhook: usize) -> Self {
        Self {
            listing,
            event_log,
            first_webhook,
        }
    }
}

async fn orders_are_true_when_close_shows_a_number_at_once(database: Database) {
    Box::pin(orders_end_in_the_true_state(database, Lag::new("0s", "0s", 0))).await;
}

async fn orders_are_true_when_the_listing_lags(database: Database) {
    Box::pin(orders_end_in_the_true_state(database, Lag::new("20s", "0s", 1))).await;
}

async fn orders_are_true_when_the_event_log_lags(database: Database) {
    Box::pin(orders_end_in_the_true_state(database, Lag::new("0s", "20s", 2))).await;
}

async fn orders_are_true_when_listing_and_event_log_lag(database: Database) {
    Box::pin(orders_end_in_the_true_state(database, Lag::new("20s", "20s", 3))).await;
}

async fn orders_are_true_when_the_listing_lags_longer_than_the_settling_period(database: Database) {
    Box::pin(orders_end_in_the_true_state(database, Lag::new("20m", "0s", 4))).await;
}

async fn orders_end_in_the_true_state(database: Database, lag: Lag) {
    let store = database.kind();
    let test_desk = TestDesk::new(database, POLICY, 1).await;
    let sales = caller("sales");
    let berlin = request(&json!({ "country": "DE", "carrier_type": "local" }));
    let (other_replica, _process) = test_desk.another_replica().await;
    let (mut case_count, mut longest) = (0, Duration::ZERO);
    test_desk
        .replica()
        .desk
        .subscription
        .set_keys(vec![WEBHOOK_KEY.parse().unwrap()]);
    for (index, case) in cases().into_iter().enumerate() {
        // Each of these cases takes seconds, so they run without a lag of 20 s in the listing.
        let slow = case.fault["answer"] == "hang";
        if slow && lag.listing == "20s" {
            continue;
        }
        test_desk
            .close
            .set(json!({ "listing_lag": lag.listing, "event_lag": lag.event_log }))
            .await;
        if !case.fault.is_null() {
            test_desk.close.fault(case.fault.clone()).await;
        }
        let key = format!("key-{index}");
        let (_, before) = test_desk.rented_by_key().await;
        let created = test_desk.order(&sales, &key, &berlin).await;
        let id = created
            .unwrap_or_else(|error| panic!("{}: {error}", case.name))
            .order
            .id;
        if case.fault["effect_after"].is_string() {
            crate::support::eventually("Close executes the rent after the deadline", || async {
                (test_desk.rented_by_key().await.1.len() > before.len()).then_some(())
            })
            .await;
        }
        // Over the lags, each case meets all four kinds of webhook delivery.
        deliver_webhook(
            &test_desk,
            WEBHOOKS[(index + lag.first_webhook) % WEBHOOKS.len()],
            &before,
            &key,
        )
        .await;
        // In every other case, two replicas reconcile at the same time.
        if index % 2 == 0 {
            let (one, two) = tokio::join!(
                test_desk.run(|desk| async move { desk.orders.reconcile().await }),
                other_replica.desk.orders.reconcile()
            );
            one.and(two)
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        }
        longest = longest.max(test_desk.settle().await);
        let order = test_desk
            .store()
            .order(&Scope::system("test"), &id)
            .await
            .unwrap()
            .unwrap();
        assert_true_state(&test_desk, &case, lag, &order, &before).await;
        case_count += 1;
        test_desk.close.clear_faults().await;
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
    let orders = test_desk.orders().await;
    let fulfilled = orders
        .iter()
        .filter(|order| order.state == State::Fulfilled)
        .count();
    let (_, rented) = test_desk.rented_by_key().await;
    assert_eq!(rented.len(), fulfilled, "numbers rented and orders fulfilled");
    println!(
        "fault matrix on {store}, listing after {}, event log after {}: {case_count} cases with webhooks none, once, twice and late, {} rented, \
         0 double rents, 0 forgotten numbers, 0 wrong final states; \
         nothing unsettled for longer than {longest:?} (settling period {SETTLE_AFTER:?})",
        lag.listing,
        lag.event_log,
        rented.len()
    );
}

/// How often and when Close delivers the webhook about the order's number.
const WEBHOOKS: [&str; 4] = ["none", "once", "twice", "late"];

/// Delivers the webhook about the number that Close rented since `before`, or about an unknown number if there is none.
async fn deliver_webhook(test_desk: &TestDesk, webhook: &str, before: &BTreeSet<String>, key: &str) {
    let times = match webhook {
        "none" => return,
        "twice" => 2,
        _ => 1,
    };
    if webhook == "late" {
        test_desk.run_steps().await;
        test_desk.advance_clock(Duration::from_secs(25));
    }
    let (_, rented) = test_desk.rented_by_key().await;
    let unknown = format!("phon_{}", "g".repeat(43));
    let number = rented.difference(before).next().unwrap_or(&unknown);
    let mut created = event(&key.replace('-', ""), "created", number);
    created["data"] = json!({ "id": number, "country": "DE" });
    let (body, timestamp) = (
        delivery(&created),
        test_desk.replica().desk.now().as_seconds().to_string(),
    );
    let hash = signature(&webhook::key(), &timestamp, &body);
    for _ in 0..times {
        let (hash, timestamp, body) = (hash.clone(), timestamp.clone(), body.clone());
        test_desk
            .run(|desk| async move {
                let received = desk
                    .sync
                    .ingest(Some(&hash), Some(&timestamp), body.as_bytes())
                    .await;
                received.expect("the signature is valid");
                desk.sync.refetch().await.unwrap();
            })
            .await;
    }
}

/// Asserts that the final state of the order is what happened at Close.
async fn assert_true_state(
    test_desk: &TestDesk,
    case: &Case,
    lag: Lag,
    order: &Order,
    before: &BTreeSet<String>,
) {
    let context = format!(
        "{} (effect: {}), listing after {}, event log after {}: {order:?}",
        case.name, case.effect, lag.listing, lag.event_log
    );
    let (_, now) = test_desk.rented_by_key().await;
    let new: Vec<&String> = now.difference(before).collect();
    let rents = test_desk.close.rents().await;
    let completed = rents.iter().filter(|rent| rent["ending"] != "pending").count();
    assert_eq!(completed, rents.len());
    match case.ends {
        Ends::Answered => {
            assert_eq!(
                (order.state, order.evidence),
                (State::Fulfilled, Some(Evidence::Close201)),
                "{context}"
            );
        }
        Ends::Refused => {
            assert_eq!(
                (order.state, order.evidence),
                (State::Refused, Some(Evidence::CloseRefusal)),
                "{context}"
            );
        }
        Ends::Reconciled if case.effect => assert_eq!(
            (order.state, order.evidence),
            (State::Fulfilled, Some(Evidence::FoundByReconciliation)),
            "{context}"
        ),
        Ends::Reconciled => assert_eq!(
            (order.state, order.evidence),
            (State::Refused, Some(Evidence::AbsentAfterReconciliation)),
            "{context}"
        ),
    }
    let expected = usize::from(order.state == State::Fulfilled);
    assert_eq!(new.len(), expected, "{context}");
    if let Some(number) = new.first() {
        assert_eq!(
            order.phone_number_id.as_ref().unwrap().as_str(),
            *number,
            "{context}"
        );
    }
    let attempts = match case.name {
        "429" | "401" => 2,
        _ => 1,
    };
    assert_eq!(order.attempt, attempts, "{context}");
}

/// A fault: Close drops the connection before it answers the next rent. `effect`: whether it rents the number.
fn lost_answer(effect: bool) -> Value {
    json!({ "path": RENT, "times": 1, "effect": effect, "answer": "drop_before_headers" })
}

fn berlin() -> numberdesk::domain::order::Request {
    request(&json!({ "country": "DE", "carrier_type": "local" }))
}

async fn stored_order(test_desk: &TestDesk, created: &OrderWithNumber) -> Order {
    test_desk
        .store()
        .order(&Scope::system("test"), &created.order.id)
        .await
        .unwrap()
        .unwrap()
}
