//! Whatever Close answers, does and shows, an order ends in a state that is true: every fault, with and without effect,
//! under every lag of its listing and its event log, whatever becomes of its delivery, seen by one replica and by two.

mod evidence;
mod review;

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::desk::{Finding, OrderWithNumber};
use numberdesk::domain::authority::Scope;
use numberdesk::domain::order::{Evidence, Order, State};
use numberdesk::error::Error;
use serde_json::{Value, json};

use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::desk::{SETTLE_AFTER, TestDesk, adopt, caller, order, request, settle_review};
use crate::support::server::WEBHOOK_KEY;
use crate::support::webhook::{self, delivery, event, signature};

on_both_stores! {
    whatever_close_answers_an_order_ends_in_a_state_that_is_true,
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

/// What Close does with the paid call.
struct Case {
    name: &'static str,
    /// Whether it rents although it does not say so properly.
    effect: bool,
    fault: Value,
    ends: Ends,
}

/// How the order must end.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// By its own answer, perhaps at a later attempt.
    Answered,
    /// By its own refusal.
    Refused,
    /// By what is found out, or not found.
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
    for word in [
        "has-voice-only",
        "needs-more-info",
        "billing-error",
        "error",
        "a-word-to-come",
    ] {
        cases.push(Case {
            name: word,
            effect: false,
            fault: json!({ "refuse": word, "times": 1 }),
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
            "404 in Close's words",
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
            ("400 of the ingress", status(400, json!("<html>who knows</html>"))),
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

/// What Close shows, and when.
const LAGS: [(&str, &str, &str); 5] = [
    ("all at once", "0s", "0s"),
    ("the listing lags a little", "20s", "0s"),
    ("the event log lags a little", "0s", "20s"),
    ("both lag a little", "20s", "20s"),
    ("the listing lags longer than is waited for", "20m", "0s"),
];

async fn whatever_close_answers_an_order_ends_in_a_state_that_is_true(database: Database) {
    let store = database.kind();
    let test_desk = TestDesk::new(database, POLICY, 1).await;
    let sales = caller("sales");
    let berlin = request(&json!({ "country": "DE", "carrier_type": "local" }));
    let (other, _process) = test_desk.another_replica().await;
    let (mut tried, mut longest) = (0, Duration::ZERO);
    test_desk
        .replica()
        .desk
        .subscription
        .set_keys(vec![WEBHOOK_KEY.parse().unwrap()]);
    for (lag, (shows, listing, events)) in LAGS.into_iter().enumerate() {
        for (place, case) in cases().into_iter().enumerate() {
            // The slow ones are tried under two lags; nothing in them depends on the others.
            let slow = case.fault["answer"] == "hang";
            if slow && listing == "20s" {
                continue;
            }
            test_desk
                .close
                .set(json!({ "listing_lag": listing, "event_lag": events }))
                .await;
            if !case.fault.is_null() {
                test_desk.close.fault(case.fault.clone()).await;
            }
            let key = format!("{listing}-{events}-{place}");
            let (_, before) = test_desk.rented_by_key().await;
            let placed = test_desk.order(&sales, &key, &berlin).await;
            let id = placed
                .unwrap_or_else(|error| panic!("{}: {error}", case.name))
                .order
                .id;
            if case.fault["effect_after"].is_string() {
                crate::support::eventually("Close executes it all the same", || async {
                    (test_desk.rented_by_key().await.1.len() > before.len()).then_some(())
                })
                .await;
            }
            // Under the lags, each case meets all four.
            tell(
                &test_desk,
                WEBHOOKS[(place + lag) % WEBHOOKS.len()],
                &before,
                &key,
            )
            .await;
            // Two replicas look at once, on every other case.
            if place % 2 == 0 {
                let (one, two) = tokio::join!(
                    test_desk.run(|desk| async move { desk.orders.reconcile().await }),
                    other.desk.orders.reconcile()
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
            is_true(&test_desk, &case, shows, &order, &before).await;
            tried += 1;
            test_desk.close.clear_faults().await;
            test_desk.advance_clock(Duration::from_mins(30));
        }
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
        "fault matrix on {store}: {tried} cases with deliveries none, once, twice and late, {} rented, 0 double rents, 0 forgotten numbers, 0 wrong final states; \
         nothing unsettled for longer than {longest:?} (settling period {SETTLE_AFTER:?})",
        rented.len()
    );
}

/// What becomes of Close's delivery of the number that it rented, or of one that it did not.
const WEBHOOKS: [&str; 4] = ["none", "once", "twice", "late"];

async fn tell(test_desk: &TestDesk, webhook: &str, before: &BTreeSet<String>, key: &str) {
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
    // Where nothing was rented the delivery is untrue.
    let ghost = format!("phon_{}", "g".repeat(43));
    let number = rented.difference(before).next().unwrap_or(&ghost);
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
                received.expect("it is signed");
                desk.sync.refetch().await.unwrap();
            })
            .await;
    }
}

/// The order's end is what happened at Close.
async fn is_true(test_desk: &TestDesk, case: &Case, shows: &str, order: &Order, before: &BTreeSet<String>) {
    let what = format!("{} (effect: {}), {shows}: {order:?}", case.name, case.effect);
    let (_, now) = test_desk.rented_by_key().await;
    let new: Vec<&String> = now.difference(before).collect();
    let rents = test_desk.close.rents().await;
    let sent = rents.iter().filter(|rent| rent["ending"] != "pending").count();
    assert_eq!(sent, rents.len());
    match case.ends {
        Ends::Answered => {
            assert_eq!(
                (order.state, order.evidence),
                (State::Fulfilled, Some(Evidence::Close201)),
                "{what}"
            );
        }
        Ends::Refused => {
            assert_eq!(
                (order.state, order.evidence),
                (State::Refused, Some(Evidence::CloseRefusal)),
                "{what}"
            );
        }
        Ends::Reconciled if case.effect => assert_eq!(
            (order.state, order.evidence),
            (State::Fulfilled, Some(Evidence::FoundByReconciliation)),
            "{what}"
        ),
        Ends::Reconciled => assert_eq!(
            (order.state, order.evidence),
            (State::Refused, Some(Evidence::AbsentAfterReconciliation)),
            "{what}"
        ),
    }
    let expected = usize::from(order.state == State::Fulfilled);
    assert_eq!(new.len(), expected, "{what}");
    if let Some(number) = new.first() {
        assert_eq!(
            order.phone_number_id.as_ref().unwrap().as_str(),
            *number,
            "{what}"
        );
    }
    let attempts = match case.name {
        "429" | "401" => 2,
        _ => 1,
    };
    assert_eq!(order.attempt, attempts, "{what}");
}

fn lost(effect: bool) -> Value {
    json!({ "path": RENT, "times": 1, "effect": effect, "answer": "drop_before_headers" })
}

fn berlin() -> numberdesk::domain::order::Request {
    request(&json!({ "country": "DE", "carrier_type": "local" }))
}

async fn state(test_desk: &TestDesk, placed: &OrderWithNumber) -> Order {
    test_desk
        .store()
        .order(&Scope::system("test"), &placed.order.id)
        .await
        .unwrap()
        .unwrap()
}
