//! What a queued order waits for, and its place in the queue.

use std::time::Duration;

use numberdesk::desk::QueueStatus;
use numberdesk::domain::order::State;

use crate::support::desk::{SETTLE_AFTER, TestDesk, caller, find_order, request};

use super::*;

on_both_stores_and_next_close! {
    an_order_behind_an_unknown_outcome_says_until_when_on_every_replica_and_after_a_restart,
    an_order_after_a_rate_limit_says_until_when,
    an_order_that_close_could_not_receive_says_so,
    a_rejected_api_key_is_named_as_the_reason,
    orders_that_wait_for_their_turn_have_places_and_teams_alternate,
}

const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "FR"]
assign_to = "anyone"

[teams.support]
countries = ["DE", "FR"]
assign_to = "anyone"

[prices]
default = "1.00"
"#;

fn germany() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

/// What the replica that runs in `test_desk` says about the order with this key.
async fn status(test_desk: &TestDesk, key: &str) -> Option<QueueStatus> {
    let orders = test_desk.orders().await;
    let order = orders.iter().find(|order| order.idempotency_key.as_str() == key);
    let order = order.expect("an order has this key");
    let team = caller(order.team.as_str());
    test_desk
        .run(find_order(&team, &order.id))
        .await
        .expect("the order can be read")
        .queue
}

async fn an_order_behind_an_unknown_outcome_says_until_when_on_every_replica_and_after_a_restart(
    database: Database,
) {
    let mut test_desk = TestDesk::new(database, POLICY, 1).await;
    let (sales, support) = (caller("sales"), caller("support"));
    let lost_answer = json!({ "path": RENT, "times": 2, "answer": "drop_before_headers", "effect": false });
    let no_listing = json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } });
    test_desk.close.fault(json!([lost_answer, no_listing])).await;
    let order = test_desk
        .order(&sales, "lost", &request(&germany()))
        .await
        .unwrap();
    let lost = order.order.id;
    // Beside one doubt, the next order is sent after the first look. Beside two, it is not.
    test_desk.run_steps().await;
    test_desk.advance_clock(Duration::from_secs(5));
    test_desk
        .order(&support, "also-lost", &request(&germany()))
        .await
        .unwrap();
    test_desk
        .order(&support, "behind", &request(&germany()))
        .await
        .unwrap();
    test_desk
        .order(&support, "elsewhere", &request(&json!({ "country": "FR" })))
        .await
        .unwrap();

    // Close has not shown its numbers yet, so no end can be named. The other team's order is not named.
    let status_before = status(&test_desk, "behind").await.expect("the order is queued");
    assert_eq!(
        status_before.reason,
        "the outcomes of 2 earlier orders in DE are unknown, and Numberdesk sends no other order that could get the \
         same number until at most one outcome is unknown"
    );
    assert_eq!(status_before.position, Some(1));
    assert!(!status_before.reason.contains(lost.as_str()));
    assert_eq!(
        status(&test_desk, "lost").await,
        None,
        "only queued orders wait in the queue"
    );
    assert_eq!(
        status(&test_desk, "elsewhere").await,
        None,
        "another country is not held"
    );

    // From the first complete listing without a number, the end is known.
    test_desk.close.clear_faults().await;
    test_desk.run_steps().await;
    let absent_since = test_desk
        .orders()
        .await
        .into_iter()
        .find_map(|order| order.absent_since)
        .expect("Close showed no number");
    let expected = format!("expected at about {}", absent_since.plus(SETTLE_AFTER).in_words());
    let known = status(&test_desk, "behind").await.expect("the order is queued");
    assert!(known.reason.ends_with(&expected), "{known:?} without {expected}");

    let (replica, process) = test_desk.another_replica().await;
    let behind = test_desk
        .orders()
        .await
        .into_iter()
        .find(|order| order.state == State::Queued)
        .expect("one order is queued");
    let shown = find_order(&support, &behind.id)(replica.desk.clone())
        .await
        .unwrap();
    assert_eq!(
        shown.queue.as_ref(),
        Some(&known),
        "another replica says the same"
    );
    drop((replica, process));
    test_desk.crash();
    test_desk.start().await;
    assert_eq!(
        status(&test_desk, "behind").await,
        Some(known),
        "a restart changes nothing"
    );

    // If that time passes without a result, it is not promised again.
    test_desk
        .close
        .fault(json!({ "method": "GET", "path": "/phone_number/", "answer": { "status": 503 } }))
        .await;
    test_desk.advance_clock(SETTLE_AFTER * 2);
    assert_eq!(status(&test_desk, "behind").await, Some(status_before));
    test_desk.close.clear_faults().await;
    test_desk.settle().await;
    assert_eq!(status(&test_desk, "behind").await, None);
}

async fn an_order_after_a_rate_limit_says_until_when(database: Database) {
    let mut test_desk = TestDesk::new(database, POLICY, 2).await;
    let limited = json!({ "status": 429, "headers": { "retry-after": "60" } });
    test_desk
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": limited }))
        .await;
    test_desk
        .order(&caller("sales"), "limited", &request(&germany()))
        .await
        .unwrap();
    let order = test_desk.orders().await.remove(0);
    let until = order.not_before.expect("the order waits").in_words();
    let expected = QueueStatus {
        reason: format!("Close's rate limit is used up; Numberdesk sends the order again at about {until}"),
        position: Some(1),
    };
    assert_eq!(status(&test_desk, "limited").await.as_ref(), Some(&expected));
    test_desk.crash();
    test_desk.start().await;
    assert_eq!(
        status(&test_desk, "limited").await,
        Some(expected),
        "the database knows it"
    );
    test_desk.advance_clock(Duration::from_secs(61));
    let due = status(&test_desk, "limited").await.expect("the order is queued");
    assert_eq!(
        due.reason,
        "Close's rate limit is used up; Numberdesk is about to send the order again"
    );
}

async fn an_order_that_close_could_not_receive_says_so(database: Database) {
    let config = TestConfig {
        close_url: Some(format!("http://{}/api/v1", scripted::unused_address())),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    server.order_at_once(&ALICE, "early", &berlin()).await.expect(202);
    let reason = eventually("the order says that Close could not be reached", || async {
        let order = server.list(&ALICE, "/v1/orders").await.remove(0);
        let reason = order["reason"].as_str()?.to_owned();
        // After some failed calls, the circuit breaker lets none go ahead.
        let named = reason.starts_with("Close could not be reached: ")
            || reason.starts_with("Close does not respond")
            || reason.contains("once it has read Close's event log");
        (order["state"] == "queued" && named).then_some(reason)
    })
    .await;
    assert!(!reason.contains("127.0.0.1"), "{reason}");
}

async fn a_rejected_api_key_is_named_as_the_reason(database: Database) {
    let server = TestServer::new(database).await;
    // After its start, the service reads Close's event log with the key before it rents.
    server.rent(&ALICE, "before", "US").await;
    server.close.set(json!({ "key_valid": false })).await;
    let order = server.order_at_once(&ALICE, "key", &berlin()).await.expect(202);
    server.close.wait_for_requests("POST", RENT, 2).await;
    let waiting = server.wait_for_state(&ALICE, &text(&order["id"]), "queued").await;
    assert!(
        text(&waiting["reason"]).starts_with("Close does not accept the API key"),
        "{waiting}"
    );
    // An order that was never sent knows it from this process.
    let second = server
        .order_at_once(&BOB, "key", &json!({ "country": "US" }))
        .await
        .expect(202);
    assert!(
        text(&second["reason"]).starts_with("Close does not accept the API key"),
        "{second}"
    );
    assert_eq!(second["queue_position"], 1);
}

async fn orders_that_wait_for_their_turn_have_places_and_teams_alternate(database: Database) {
    let server = TestServer::new(database).await;
    server.close.set(json!({ "rents_held": true })).await;
    server
        .order_at_once(&ALICE, "first", &germany())
        .await
        .expect(202);
    server.close.wait_for_requests("POST", RENT, 1).await;
    // Orders that overlap and differ are sent one after the other. Sales was sent last, so it is support's turn.
    let munich = json!({ "country": "DE", "carrier_type": "local", "prefix": "89" });
    for key in ["sales-1", "sales-2"] {
        server.order_at_once(&ALICE, key, &munich).await.expect(202);
    }
    server.order_at_once(&BOB, "support-1", &munich).await.expect(202);
    let waiting = async |person: &Persona| -> Vec<(String, Value)> {
        let orders = server.list(person, "/v1/orders?state=queued").await;
        orders
            .iter()
            .map(|order| {
                let reason = text(&order["reason"]);
                assert!(
                    reason.starts_with("its turn: Numberdesk is sending a different order in DE"),
                    "{order}"
                );
                (text(&order["idempotency_key"]), order["queue_position"].clone())
            })
            .collect()
    };
    assert_eq!(
        waiting(&ALICE).await,
        [("sales-2".to_owned(), json!(3)), ("sales-1".to_owned(), json!(2))]
    );
    assert_eq!(waiting(&BOB).await, [("support-1".to_owned(), json!(1))]);
    let renting = server.list(&ALICE, "/v1/orders?state=renting").await.remove(0);
    assert_eq!(
        (&renting["reason"], &renting["queue_position"]),
        (&Value::Null, &Value::Null)
    );
    server.close.set(json!({ "rents_held": false })).await;
    for person in [&ALICE, &BOB] {
        for order in server.list(person, "/v1/orders").await {
            let ended = server
                .wait_for_state(person, &text(&order["id"]), "fulfilled")
                .await;
            assert_eq!(
                (&ended["reason"], &ended["queue_position"]),
                (&Value::Null, &Value::Null)
            );
        }
    }
}
