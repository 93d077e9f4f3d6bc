//! Whatever Close answers, does and shows, an order ends in a state that is true: every fault, with and without effect,
//! under every lag of its listing and its event log, whatever becomes of its delivery, seen by one replica and by two.

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::desk::{Finding, OrderWithNumber};
use numberdesk::domain::caller::Scope;
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
    two_that_are_alike_and_in_doubt_get_what_there_is,
    a_delivery_makes_it_the_turn_of_an_order_in_doubt_and_is_no_evidence,
    a_number_of_a_call_under_way_is_left_to_its_sender,
    a_number_that_a_person_rents_meanwhile_is_not_taken_for_the_order_s,
    what_can_be_read_in_two_ways_is_left_to_a_person_who_is_held_against_close,
    a_person_is_believed_about_nothing_being_rented_only_where_close_agrees,
    a_number_that_comes_after_its_order_was_given_up_names_the_order,
    a_number_of_an_order_in_doubt_is_not_named_for_one_that_was_given_up_before,
    a_number_that_is_gone_again_was_rented_all_the_same,
    a_number_that_was_adopted_while_its_order_was_in_doubt_comes_to_its_order,
    a_look_that_is_not_whole_proves_nothing,
    an_event_log_that_close_keeps_to_itself_makes_the_listing_count_after_a_while,
    a_clock_of_close_that_is_off_changes_nothing,
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
            let order = test_desk.store().order(&Scope::All, &id).await.unwrap().unwrap();
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
        .order(&Scope::All, &placed.order.id)
        .await
        .unwrap()
        .unwrap()
}

async fn a_delivery_makes_it_the_turn_of_an_order_in_doubt_and_is_no_evidence(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 3).await;
    test_desk
        .replica()
        .desk
        .subscription
        .set_keys(vec![WEBHOOK_KEY.parse().unwrap()]);
    // It is rented, nobody hears of it, and listing and log don't show it when it is first looked for.
    test_desk
        .close
        .set(json!({ "listing_lag": "1h", "event_lag": "1h" }))
        .await;
    test_desk.close.fault(lost(true)).await;
    let (_, before) = test_desk.rented_by_key().await;
    let placed = test_desk.order(&caller("sales"), "key", &berlin()).await.unwrap();
    test_desk.run_steps().await;
    test_desk
        .close
        .set(json!({ "listing_lag": "0s", "event_lag": "0s" }))
        .await;
    // Time stands still: nobody would look again yet.
    test_desk.run_steps().await;
    assert_eq!(state(&test_desk, &placed).await.state, State::Unverified);
    tell(&test_desk, "once", &before, "key").await;
    assert_eq!(state(&test_desk, &placed).await.state, State::Unverified);
    test_desk.run_steps().await;
    let order = state(&test_desk, &placed).await;
    assert_eq!(
        (order.state, order.evidence),
        (State::Fulfilled, Some(Evidence::FoundByReconciliation))
    );
    let (_, rented) = test_desk.rented_by_key().await;
    let number = rented.difference(&before).next().unwrap();
    assert_eq!(order.phone_number_id.unwrap().as_str(), number);
}

async fn two_that_are_alike_and_in_doubt_get_what_there_is(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 2).await;
    let sales = caller("sales");
    for (place, effects) in [[true, true], [true, false], [false, true], [false, false]]
        .into_iter()
        .enumerate()
    {
        for effect in effects {
            test_desk.close.fault(lost(effect)).await;
        }
        let (first, second) = (format!("first-{place}"), format!("second-{place}"));
        // Both are sent before either is in doubt.
        test_desk.close.set(json!({ "rent_latency": "300ms" })).await;
        let one = test_desk.spawn(order(&sales, &first, &berlin()));
        let two = test_desk.spawn(order(&sales, &second, &berlin()));
        let (one, two) = (one.await.unwrap().unwrap(), two.await.unwrap().unwrap());
        test_desk.wait_until_idle().await;
        test_desk.close.set(json!({ "rent_latency": "0s" })).await;
        test_desk.settle().await;
        let states = [state(&test_desk, &one).await, state(&test_desk, &two).await];
        let fulfilled = states
            .iter()
            .filter(|order| order.state == State::Fulfilled)
            .count();
        let rented = effects.iter().filter(|effect| **effect).count();
        assert_eq!(fulfilled, rented, "{effects:?}: {states:?}");
        assert!(states.iter().all(|order| order.state.is_final()), "{states:?}");
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_eq!(test_desk.close.rents().await.len(), 8);
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_of_a_call_under_way_is_left_to_its_sender(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 12).await;
    let sales = caller("sales");
    let slow = json!({ "path": RENT, "times": 1, "delay": "1s" });
    test_desk.close.fault(json!([lost(false), slow])).await;
    // Both are sent before either is in doubt.
    test_desk.close.set(json!({ "rent_latency": "300ms" })).await;
    for key in ["one", "two"] {
        test_desk.spawn(order(&sales, key, &berlin()));
    }
    crate::support::eventually("one is in doubt, and Close has rented for the other", || async {
        let doubtful = test_desk
            .orders()
            .await
            .iter()
            .any(|order| order.state == State::Unverified);
        (doubtful && test_desk.rented_by_key().await.0.len() == 1).then_some(())
    })
    .await;
    test_desk
        .run(|desk| async move { desk.orders.reconcile().await })
        .await
        .unwrap();
    let states = |orders: &[Order]| {
        let mut states: Vec<State> = orders.iter().map(|order| order.state).collect();
        states.sort();
        states
    };
    assert_eq!(
        states(&test_desk.orders().await),
        [State::Renting, State::Unverified]
    );
    test_desk.wait_until_idle().await;
    let answered: Vec<Order> = test_desk
        .orders()
        .await
        .into_iter()
        .filter(|order| order.state == State::Fulfilled)
        .collect();
    let [answered] = answered.as_slice() else {
        panic!("{answered:?}")
    };
    assert_eq!(answered.evidence, Some(Evidence::Close201));
    test_desk.settle().await;
    assert_eq!(
        states(&test_desk.orders().await),
        [State::Fulfilled, State::Refused]
    );
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_a_person_rents_meanwhile_is_not_taken_for_the_order_s(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 3).await;
    let sales = caller("sales");
    // From its own numbers the desk learns that Close writes keys down.
    test_desk.order(&sales, "own", &berlin()).await.unwrap();
    test_desk.advance_clock(Duration::from_mins(1));
    for (key, effect) in [("without", false), ("with", true)] {
        test_desk.close.fault(lost(effect)).await;
        let placed = test_desk.order(&sales, key, &berlin()).await.unwrap();
        let person = test_desk
            .close
            .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
            .await;
        test_desk.settle().await;
        let order = state(&test_desk, &placed).await;
        let expected = if effect { State::Fulfilled } else { State::Refused };
        assert_eq!(order.state, expected, "{order:?}");
        assert_ne!(
            order.phone_number_id.map(|id| id.to_string()),
            person["id"].as_str().map(str::to_owned)
        );
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
}

async fn what_can_be_read_in_two_ways_is_left_to_a_person_who_is_held_against_close(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 4).await;
    let sales = caller("sales");
    // Close tells of no event: nobody knows which of the two numbers it was.
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    let person = test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.settle().await;
    let order = state(&test_desk, &placed).await;
    assert_eq!(order.state, State::NeedsReview, "{order:?}");
    let (held, _) = test_desk.rented_by_key().await;
    let ours = held.first().unwrap().clone();
    let reason = order.reason.clone().unwrap();
    for id in [&ours, person["id"].as_str().unwrap()] {
        assert!(reason.contains(id), "{reason}");
    }
    let usage = test_desk
        .store()
        .usage(&order.team, order.updated_at)
        .await
        .unwrap();
    assert_eq!(usage.numbers_reserved, 1, "the reservation stays");
    // A country with an order in review is not frozen.
    test_desk.order(&sales, "another", &berlin()).await.unwrap();

    let say = |finding: Finding| test_desk.run(settle_review(&sales, &order.id, finding));
    let number = |id: &str| Finding::Number(id.parse().unwrap());
    let elsewhere = test_desk.close.person_rents(json!({ "country": "US" })).await;
    for wrong in ["phon_doesNotExist", elsewhere["id"].as_str().unwrap()] {
        let refused = say(number(wrong)).await;
        assert!(
            matches!(refused, Err(Error::SettleContradicted { .. })),
            "{wrong}: {refused:?}"
        );
    }
    let settled = say(number(&ours)).await.unwrap().order;
    assert_eq!(
        (
            settled.state,
            settled.evidence,
            settled.phone_number_id.unwrap().to_string()
        ),
        (State::Fulfilled, Some(Evidence::SettledByPerson), ours)
    );
    let again = say(Finding::Absent).await;
    assert!(matches!(again, Err(Error::OrderNotInReview { .. })), "{again:?}");
    assert_books_balance(&test_desk.database).await;
}

async fn a_person_is_believed_about_nothing_being_rented_only_where_close_agrees(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 5).await;
    let sales = caller("sales");
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "rented", &berlin()).await.unwrap();
    test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &placed).await.state, State::NeedsReview);
    // Now the log comes, and says that one of them is the desk's own.
    test_desk.close.set(json!({ "event_lag": "0s" })).await;
    let refused = test_desk
        .run(settle_review(&sales, &placed.order.id, Finding::Absent))
        .await;
    let Err(Error::SettleContradicted { reason }) = refused else {
        panic!("{refused:?}")
    };
    let (held, _) = test_desk.rented_by_key().await;
    assert!(reason.contains(held.first().unwrap()), "{reason}");
    let ours = Finding::Number(held.first().unwrap().parse().unwrap());
    test_desk
        .run(settle_review(&sales, &placed.order.id, ours))
        .await
        .unwrap();

    // With nothing rented, and two numbers of persons in the way, "nothing" is right.
    test_desk.advance_clock(Duration::from_mins(30));
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost(false)).await;
    let placed = test_desk.order(&sales, "not-rented", &berlin()).await.unwrap();
    for _ in 0..2 {
        test_desk
            .close
            .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
            .await;
    }
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &placed).await.state, State::NeedsReview);
    let settled = test_desk
        .run(settle_review(&sales, &placed.order.id, Finding::Absent))
        .await
        .unwrap()
        .order;
    assert_eq!(
        (settled.state, settled.evidence),
        (State::Refused, Some(Evidence::SettledByPerson))
    );
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_comes_after_its_order_was_given_up_names_the_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 6).await;
    let sales = caller("sales");
    test_desk.order(&sales, "own", &berlin()).await.unwrap();
    // Longer than is waited for, in the listing and in the log: the desk can't know.
    test_desk
        .close
        .set(json!({ "listing_lag": "2h", "event_lag": "2h", "read_lag": "2h" }))
        .await;
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "late", &berlin()).await.unwrap();
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &placed).await.state, State::Refused);
    let stranger = test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.advance_clock(Duration::from_hours(3));
    test_desk
        .close
        .set(json!({ "listing_lag": "0s", "event_lag": "0s", "read_lag": "0s" }))
        .await;
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let (_, rented) = test_desk.rented_by_key().await;
    let named = test_desk
        .database
        .ask("SELECT COUNT(*) FROM numbers WHERE team IS NULL AND order_id IS NOT NULL")
        .await;
    assert_eq!((rented.len(), named), (2, 1), "the late number names its order");
    let scope = Scope::All;
    for id in rented {
        let number = test_desk
            .store()
            .number(&scope, &id.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert!(number.order_id.is_some(), "{id} is forgotten");
    }
    let id = stranger["id"].as_str().unwrap().parse().unwrap();
    let stranger = test_desk.store().number(&scope, &id).await.unwrap().unwrap();
    assert_eq!(stranger.order_id, None, "a person's number names no order");
    // The order stays as it ended, and its key never rents again.
    let again = test_desk.order(&sales, "late", &berlin()).await.unwrap();
    assert_eq!(again.order.state, State::Refused);
    assert_eq!(test_desk.close.rents().await.len(), 2);
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_of_an_order_in_doubt_is_not_named_for_one_that_was_given_up_before(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 10).await;
    let sales = caller("sales");
    test_desk.close.fault(lost(false)).await;
    let given_up = test_desk.order(&sales, "given-up", &berlin()).await.unwrap();
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &given_up).await.state, State::Refused);
    test_desk.close.fault(lost(true)).await;
    let doubtful = test_desk.order(&sales, "in-doubt", &berlin()).await.unwrap();
    // A comparison sees the number before anybody has looked for the order.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &doubtful).await.state, State::Fulfilled);
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_is_gone_again_was_rented_all_the_same(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 11).await;
    let sales = caller("sales");
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    // A person sees it in Close, and releases it before anybody has looked for the order.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let (held, _) = test_desk.rented_by_key().await;
    test_desk.close.person_releases(held.first().unwrap()).await;
    test_desk.advance_clock(SETTLE_AFTER);
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    test_desk.settle().await;
    let order = state(&test_desk, &placed).await;
    assert_eq!(order.state, State::Fulfilled, "{order:?}");
    assert_eq!(order.phone_number_id.unwrap().as_str(), held.first().unwrap());
    let usage = test_desk
        .store()
        .usage(&order.team, order.updated_at)
        .await
        .unwrap();
    assert_eq!((usage.numbers_held, usage.numbers_reserved), (0, 0));
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_was_adopted_while_its_order_was_in_doubt_comes_to_its_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 13).await;
    let sales = caller("sales");
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    // An administrator takes it for an orphan, and gives it away before anybody has looked for the order.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let (held, _) = test_desk.rented_by_key().await;
    let number = held.first().unwrap().parse().unwrap();
    test_desk.run(adopt(&sales, &number, "support")).await.unwrap();
    test_desk.settle().await;
    let order = state(&test_desk, &placed).await;
    assert_eq!(
        (order.state, order.phone_number_id.as_ref()),
        (State::Fulfilled, Some(&number)),
        "{order:?}"
    );
    let usage = async |team: &str| {
        let usage = test_desk
            .store()
            .usage(&team.parse().unwrap(), order.updated_at)
            .await
            .unwrap();
        (usage.numbers_held, usage.numbers_reserved)
    };
    assert_eq!((usage("sales").await, usage("support").await), ((1, 0), (0, 0)));
    assert_books_balance(&test_desk.database).await;
}

async fn a_look_that_is_not_whole_proves_nothing(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 7).await;
    let sales = caller("sales");
    for n in 0..3 {
        test_desk
            .close
            .person_rents(json!({ "country": "US", "label": format!("{n}") }))
            .await;
    }
    let page = |answer: Value| json!({ "method": "GET", "path": "/phone_number/", "answer": answer });
    let log = |answer: Value| json!({ "method": "GET", "path": "/event/", "answer": answer });
    let status = |status: u16, body: Value| json!({ "status": status, "body": body });
    for (place, blind) in [
        page(status(503, Value::Null)),
        page(status(200, json!({ "data": [] }))),
        page(status(200, json!({ "data": [{ "id": "x" }], "has_more": false }))),
        page(json!("truncate")),
        page(status(404, json!({ "error": "Not there." }))),
        log(status(500, Value::Null)),
        log(status(200, json!({ "data": [{ "object_id": "phon_1" }] }))),
        log(json!("garbage")),
        json!({ "method": "GET", "path": "/me/", "answer": status(500, Value::Null) }),
        json!({ "method": "GET", "path": "/me/", "answer": status(200, json!({ "id": "user_x",
            "memberships": [{ "organization_id": "orga_another" }] })) }),
    ]
    .into_iter()
    .enumerate()
    {
        let what = blind.to_string();
        test_desk.close.fault(lost(true)).await;
        test_desk.close.fault(blind).await;
        let placed = test_desk
            .order(&sales, &format!("k{place}"), &berlin())
            .await
            .unwrap();
        for _ in 0..4 {
            test_desk.run_steps().await;
            test_desk.advance_clock(SETTLE_AFTER);
        }
        let order = state(&test_desk, &placed).await;
        assert_eq!(
            (order.state, order.absent_since),
            (State::Unverified, None),
            "{what}: {order:?}"
        );
        test_desk.close.clear_faults().await;
        test_desk.settle().await;
        assert_eq!(state(&test_desk, &placed).await.state, State::Fulfilled, "{what}");
    }
    assert_books_balance(&test_desk.database).await;
}

async fn an_event_log_that_close_keeps_to_itself_makes_the_listing_count_after_a_while(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 8).await;
    let sales = caller("sales");
    let silent = json!({ "method": "GET", "path": "/event/",
        "answer": { "status": 403, "body": { "error": "Not allowed." } } });
    test_desk.close.fault(silent).await;
    for (key, effect) in [("with", true), ("without", false)] {
        test_desk.close.fault(lost(effect)).await;
        let placed = test_desk.order(&sales, key, &berlin()).await.unwrap();
        let waited = test_desk.settle().await;
        let order = state(&test_desk, &placed).await;
        let expected = if effect { State::Fulfilled } else { State::Refused };
        assert_eq!(order.state, expected, "{order:?}");
        assert!(waited >= SETTLE_AFTER, "it was believed after {waited:?}");
    }
    assert_books_balance(&test_desk.database).await;
}

async fn a_clock_of_close_that_is_off_changes_nothing(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 9).await;
    let sales = caller("sales");
    for shift in ["7m", "-7m", "0s"] {
        test_desk.close.set(json!({ "clock_shift": shift })).await;
        // The desk learns of it by the next answer.
        test_desk
            .run(|desk| async move { desk.sync.compare().await })
            .await
            .unwrap();
        for effect in [true, false] {
            test_desk.close.fault(lost(effect)).await;
            let key = format!("{shift}-{effect}");
            let placed = test_desk.order(&sales, &key, &berlin()).await.unwrap();
            test_desk.settle().await;
            let order = state(&test_desk, &placed).await;
            let expected = if effect { State::Fulfilled } else { State::Refused };
            assert_eq!(order.state, expected, "{shift}: {order:?}");
        }
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
}
