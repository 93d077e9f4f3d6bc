//! Orders of one country at the same time: which are sent side by side, and whose number is whose.

use std::time::{Duration, Instant};

use numberdesk::domain::order::{Evidence, Order, State};

use crate::support::books::assert_books_balance;
use crate::support::database::on_both_stores;
use crate::support::desk::{TestDesk, caller, order, request};

use super::*;

on_both_stores! {
    while_one_rent_hangs_other_orders_of_its_country_are_fulfilled,
    the_number_of_a_call_in_progress_is_not_taken_for_another_order,
    the_first_look_at_an_order_in_doubt_goes_before_the_next_call,
    of_two_orders_in_doubt_each_gets_the_number_that_only_it_can_have_rented,
    numbers_of_two_orders_in_doubt_that_cannot_be_told_apart_go_to_review,
    thirty_orders_at_one_a_second_are_claimed_about_thirty_times,
    a_team_waits_for_one_call_of_a_greedy_team,
}

const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "US"]
assign_to = "anyone"

[teams.support]
countries = ["DE", "US"]
assign_to = "anyone"

[prices]
default = "1.00"
"#;

fn germany(prefix: &str) -> Value {
    let mut body = json!({ "country": "DE", "carrier_type": "local" });
    if !prefix.is_empty() {
        body["prefix"] = json!(prefix);
    }
    body
}

async fn while_one_rent_hangs_other_orders_of_its_country_are_fulfilled(database: Database) {
    let config = TestConfig {
        policy: POLICY.to_owned(),
        timeout: "8s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    // Close rents, never answers, and does not show the number during the test.
    server
        .close
        .set(json!({ "listing_lag": "1h", "event_lag": "1h" }))
        .await;
    let hangs = json!({ "path": RENT, "times": 1, "answer": "hang", "effect": true });
    server.close.fault(hangs).await;
    let hanging = server
        .order_at_once(&ALICE, "hangs", &germany("30"))
        .await
        .expect(202);
    server.close.wait_for_requests("POST", RENT, 1).await;
    let started = Instant::now();
    // Ten orders of other areas, also of another team, and three that could get the same number as the first one.
    let mut orders = Vec::new();
    for (nth, prefix) in ["89", "40", "89", "40", "221", "69", "89", "211", "341", "351"]
        .into_iter()
        .enumerate()
    {
        let person = if nth % 2 == 0 { &ALICE } else { &BOB };
        let key = format!("other-{nth}");
        let order = server.order_at_once(person, &key, &germany(prefix)).await;
        orders.push((person, order.expect(202)));
    }
    for nth in 0..3 {
        let key = format!("same-{nth}");
        let order = server.order_at_once(&BOB, &key, &germany("30")).await.expect(202);
        orders.push((&BOB, order));
    }
    let waiting = server.list(&BOB, "/v1/orders?state=queued").await;
    for order in &waiting {
        let reason = text(&order["reason"]);
        assert!(reason.starts_with("its turn: "), "{order}");
    }
    for (person, order) in &orders {
        server
            .wait_for_state(person, &text(&order["id"]), "fulfilled")
            .await;
    }
    let took = started.elapsed();
    let first = server
        .get(&ALICE, &format!("/v1/orders/{}", text(&hanging["id"])))
        .await
        .expect(200);
    assert_eq!(first["state"], "unverified", "{first}");
    assert!(took < Duration::from_mins(1), "{took:?}");
    assert_eq!(server.close.rents().await.len(), 14);
    println!("13 orders beside one that hangs for 8 s: all fulfilled after {took:.1?}");
}

async fn the_number_of_a_call_in_progress_is_not_taken_for_another_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 31).await;
    let (sales, support) = (caller("sales"), caller("support"));
    let lost = json!({ "path": RENT, "times": 1, "effect": false, "answer": "drop_before_headers" });
    test_desk.close.fault(lost).await;
    let lost = test_desk
        .order(&sales, "lost", &request(&germany("")))
        .await
        .unwrap();
    // The first look goes before the next call, and finds nothing.
    test_desk.run_steps().await;
    test_desk.advance_clock(Duration::from_secs(2));
    // The other team's call is in progress, and its number is visible already.
    let slow = json!({ "path": RENT, "times": 1, "delay": "1s" });
    test_desk.close.fault(slow).await;
    test_desk.spawn(order(&support, "slow", &request(&germany("30"))));
    eventually("Close has rented for the second order", || async {
        (test_desk.rented_by_key().await.0.len() == 1).then_some(())
    })
    .await;
    test_desk
        .run(|desk| async move { desk.orders.reconcile().await })
        .await
        .unwrap();
    let states = |orders: &[Order]| {
        let mut states: Vec<(String, State)> = orders
            .iter()
            .map(|order| (order.idempotency_key.as_str().to_owned(), order.state))
            .collect();
        states.sort();
        states
    };
    assert_eq!(
        states(&test_desk.orders().await),
        [
            ("lost".to_owned(), State::Unverified),
            ("slow".to_owned(), State::Renting)
        ]
    );
    test_desk.wait_until_idle().await;
    test_desk.settle().await;
    let orders = test_desk.orders().await;
    for order in &orders {
        let expected = if order.id == lost.order.id {
            (State::Refused, Some(Evidence::AbsentAfterReconciliation))
        } else {
            (State::Fulfilled, Some(Evidence::Close201))
        };
        assert_eq!((order.state, order.evidence), expected, "{order:?}");
    }
    assert_books_balance(&test_desk.database).await;
}

async fn the_first_look_at_an_order_in_doubt_goes_before_the_next_call(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 34).await;
    let lost = json!({ "path": RENT, "times": 2, "effect": true, "answer": "drop_before_headers" });
    test_desk.close.fault(lost).await;
    // Two teams lose the answers to the same request at the same moment. Without the look, nobody could tell whose
    // number is whose.
    for team in ["sales", "support"] {
        test_desk
            .order(&caller(team), "lost", &request(&germany("30")))
            .await
            .unwrap();
    }
    assert_eq!(test_desk.close.rents().await.len(), 1);
    test_desk.settle().await;
    for order in test_desk.orders().await {
        assert_eq!(
            (order.state, order.evidence),
            (State::Fulfilled, Some(Evidence::FoundByReconciliation)),
            "{order:?}"
        );
    }
    assert_eq!(test_desk.close.rents().await.len(), 2);
    assert_books_balance(&test_desk.database).await;
}

async fn of_two_orders_in_doubt_each_gets_the_number_that_only_it_can_have_rented(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 32).await;
    let (sales, support) = (caller("sales"), caller("support"));
    // Both numbers become visible only after both orders are in doubt.
    test_desk
        .close
        .set(json!({ "listing_lag": "20s", "event_lag": "20s" }))
        .await;
    let lost = json!({ "path": RENT, "times": 2, "effect": true, "answer": "drop_before_headers" });
    test_desk.close.fault(lost).await;
    let any = test_desk
        .order(&sales, "any", &request(&germany("")))
        .await
        .unwrap();
    test_desk.run_steps().await;
    test_desk.advance_clock(Duration::from_secs(15));
    let munich = test_desk
        .order(&support, "munich", &request(&germany("89")))
        .await
        .unwrap();
    assert_eq!(test_desk.close.rents().await.len(), 2);
    test_desk.settle().await;
    for created in [&any, &munich] {
        let orders = test_desk.orders().await;
        let order = orders.iter().find(|order| order.id == created.order.id).unwrap();
        assert_eq!(
            (order.state, order.evidence),
            (State::Fulfilled, Some(Evidence::FoundByReconciliation)),
            "{order:?}"
        );
        let numbers = test_desk.close.numbers().await;
        let id = order.phone_number_id.as_ref().unwrap().as_str();
        let number = numbers.iter().find(|number| number["id"] == id).unwrap();
        let is_in_munich = text(&number["number"]).starts_with("+4989");
        assert_eq!(is_in_munich, order.team.as_str() == "support", "{number}");
    }
    assert_books_balance(&test_desk.database).await;
}

async fn numbers_of_two_orders_in_doubt_that_cannot_be_told_apart_go_to_review(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 33).await;
    let (sales, support) = (caller("sales"), caller("support"));
    test_desk
        .close
        .set(json!({ "listing_lag": "20s", "event_lag": "20s" }))
        .await;
    for effect in [true, false] {
        let lost = json!({ "path": RENT, "times": 1, "effect": effect, "answer": "drop_before_headers" });
        test_desk.close.fault(lost).await;
    }
    for team in [&sales, &support] {
        test_desk
            .order(team, "lost", &request(&germany("30")))
            .await
            .unwrap();
        test_desk.run_steps().await;
    }
    assert_eq!(test_desk.close.rents().await.len(), 2);
    // A third order waits as long as both are in doubt.
    test_desk
        .order(&support, "waits", &request(&germany("30")))
        .await
        .unwrap();
    assert_eq!(test_desk.close.rents().await.len(), 2);
    test_desk.settle().await;
    let mut states: Vec<State> = test_desk.orders().await.iter().map(|order| order.state).collect();
    states.sort();
    assert_eq!(
        states,
        [State::NeedsReview, State::NeedsReview, State::Fulfilled],
        "one number, and two orders of different teams that may have rented it"
    );
    assert_books_balance(&test_desk.database).await;
}

async fn thirty_orders_at_one_a_second_are_claimed_about_thirty_times(database: Database) {
    let config = TestConfig {
        policy: POLICY.to_owned(),
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    server
        .close
        .set(json!({ "rate_limit": { "rent_limit": 1, "rent_window": "1s" } }))
        .await;
    let mut orders = Vec::new();
    for nth in 0..30 {
        let order = server
            .order_at_once(&ALICE, &format!("key-{nth}"), &germany("30"))
            .await
            .expect(202);
        orders.push(text(&order["id"]));
    }
    let waiting = server.list(&ALICE, "/v1/orders?state=queued").await;
    let named = waiting
        .iter()
        .filter(|order| text(&order["reason"]).starts_with("Close's rate limit is used up"));
    println!(
        "{} of {} queued orders name the rate limit",
        named.count(),
        waiting.len()
    );
    for order in &orders {
        server.wait_for_state(&ALICE, order, "fulfilled").await;
    }
    let claims = database
        .query_integer("SELECT COUNT(*) FROM audit WHERE action = 'order.send' AND outcome = 'renting'")
        .await;
    let events = database
        .query_integer("SELECT COUNT(*) FROM events WHERE kind = 'order.renting'")
        .await;
    let calls = server.close.rents().await.len();
    println!("30 orders at one a second: {calls} calls, {claims} claims, {events} events of claims");
    assert!((30..=40).contains(&claims), "{claims} claims");
    assert!(calls <= 40, "{calls} calls");
    assert!(events <= 40, "{events} events");
}

async fn a_team_waits_for_one_call_of_a_greedy_team(database: Database) {
    const MODEST: usize = 8;
    let config = TestConfig {
        policy: POLICY.to_owned(),
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    server.close.set(json!({ "rent_latency": "300ms" })).await;
    // The greedy team has 60 orders of one shape, which are sent side by side, and 20 that overlap them.
    for nth in 0..80 {
        let body = germany(if nth % 4 == 3 { "" } else { "30" });
        server
            .order_at_once(&ALICE, &format!("greedy-{nth}"), &body)
            .await
            .expect(202);
    }
    let mut worst = Duration::ZERO;
    for nth in 0..MODEST {
        let started = Instant::now();
        let order = server
            .order_at_once(&BOB, &format!("modest-{nth}"), &germany("30"))
            .await
            .expect(202);
        server
            .wait_for_state(&BOB, &text(&order["id"]), "fulfilled")
            .await;
        worst = worst.max(started.elapsed());
    }
    let left = database
        .query_integer("SELECT COUNT(*) FROM orders WHERE state = 'queued' AND team = 'sales'")
        .await;
    println!(
        "{MODEST} orders one by one beside 80 of a greedy team, at 300 ms a call: worst wait {worst:.1?}, {left} left"
    );
    assert!(left > 0, "the greedy team had orders all the time");
    assert!(worst < Duration::from_secs(30), "{worst:?}");
}
