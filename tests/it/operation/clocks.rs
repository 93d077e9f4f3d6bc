//! Replicas whose clocks are wrong: no wrong time that one of them stores stops the others.

use std::time::Duration;

use numberdesk::domain::id::PhoneNumberId;
use numberdesk::domain::order::{Evidence, State};
use numberdesk::domain::scope::Scope;
use serde_json::{Value, json};

use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::desk::{Replica, TestDesk, caller, find, order, release, request, update};
use crate::support::server::WEBHOOK_KEY;
use crate::support::webhook::{self, delivery, event, signature};

on_both_stores! {
    a_change_made_on_a_replica_whose_clock_is_behind_is_answered_with_the_new_value,
    a_clock_that_is_two_hours_ahead_for_a_minute_stops_nothing,
    a_clock_that_is_two_hours_ahead_releases_no_number_early,
    a_number_that_was_rented_while_the_clock_was_ahead_counts_as_gone_once_close_has_it_no_more,
}

const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "US"]
assign_to = "anyone"
release_delay = "1h"
"#;

const TWO_HOURS: i64 = 7_200;

fn german() -> numberdesk::domain::order::Request {
    request(&json!({ "country": "DE", "carrier_type": "local" }))
}

/// A fault: Close drops the connection before it answers the next rent. `effect`: whether it rents the number.
fn lost_answer(effect: bool) -> Value {
    json!({ "path": RENT, "times": 1, "effect": effect, "answer": "drop_before_headers" })
}

/// Rents a number for sales and returns its id.
async fn rent(test_desk: &TestDesk) -> PhoneNumberId {
    let rented = test_desk
        .order(&caller("sales"), "rented", &german())
        .await
        .unwrap();
    let scope = Scope::system("test");
    let order = test_desk.store().order(&scope, &rented.order.id).await;
    order.unwrap().unwrap().phone_number_id.expect("it is fulfilled")
}

/// Delivers a webhook about a change of the number to the replica.
async fn deliver(replica: &Replica, event_id: &str, number: &str) {
    let keys = vec![WEBHOOK_KEY.parse().unwrap()];
    replica.desk.subscription.set_keys(keys);
    let mut changed = event(event_id, "updated", number);
    changed["date_updated"] = Value::Null;
    let timestamp = replica.desk.now().as_seconds().to_string();
    let body = delivery(&changed);
    let hash = signature(&webhook::key(), &timestamp, &body);
    replica
        .desk
        .sync
        .ingest(Some(&hash), Some(&timestamp), body.as_bytes())
        .await
        .unwrap();
}

async fn a_change_made_on_a_replica_whose_clock_is_behind_is_answered_with_the_new_value(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 1).await;
    let sales = caller("sales");
    let id = rent(&test_desk).await;
    let (behind, _process) = test_desk.replica_with_a_clock_wrong_by(-3).await;
    for (turn, label) in ["one", "two", "three"].into_iter().enumerate() {
        // The replica with the right clock has just seen the number.
        test_desk
            .run(|desk| async move { desk.sync.compare().await })
            .await
            .unwrap();
        let patch = json!({ "label": label });
        let changed = if turn == 1 {
            test_desk
                .run(update(&sales, &id, patch.clone(), None))
                .await
                .unwrap()
        } else {
            update(&sales, &id, patch.clone(), None)(behind.desk.clone())
                .await
                .unwrap()
        };
        assert_eq!(changed.facts.label.as_deref(), Some(label));
        let scope = Scope::system("test");
        let stored = test_desk.store().number(&scope, &id).await.unwrap().unwrap();
        assert_eq!(stored.facts.label.as_deref(), Some(label));
        test_desk.advance_clock(Duration::from_millis(10));
    }
    // A change in Close that only the replica with the late clock reads counts as well.
    test_desk
        .close
        .person_changes(id.as_str(), json!({ "label": "by a person" }))
        .await;
    behind.desk.sync.compare().await.unwrap();
    let scope = Scope::system("test");
    let stored = test_desk.store().number(&scope, &id).await.unwrap().unwrap();
    assert_eq!(stored.facts.label.as_deref(), Some("by a person"));
}

async fn a_clock_that_is_two_hours_ahead_for_a_minute_stops_nothing(database: Database) {
    let mut test_desk = TestDesk::new(database, POLICY, 2).await;
    let sales = caller("sales");
    let id = rent(&test_desk).await;
    let (ahead, process) = test_desk.replica_with_a_clock_wrong_by(TWO_HOURS).await;
    // The replica compares, loses an answer, looks once, and dies in the middle of a call and of a refetch.
    ahead.desk.sync.compare_when_due().await.unwrap();
    test_desk.close.fault(lost_answer(true)).await;
    let lost = order(&sales, "lost", &german())(ahead.desk.clone())
        .await
        .unwrap();
    ahead.wait_until_idle().await;
    test_desk.wait_until_close_is_idle().await;
    test_desk
        .close
        .set(json!({ "listing_lag": "1h", "event_lag": "1h" }))
        .await;
    ahead.desk.orders.reconcile().await.unwrap();
    test_desk
        .close
        .set(json!({ "listing_lag": "0s", "event_lag": "0s" }))
        .await;
    test_desk.close.set(json!({ "rents_held": true })).await;
    let american = request(&json!({ "country": "US", "carrier_type": "local" }));
    let died = process
        .spawn(order(&sales, "died", &american)(ahead.desk.clone()))
        .await
        .unwrap()
        .unwrap();
    test_desk.close.wait_for_requests("POST", RENT, 3).await;
    deliver(&ahead, "one", id.as_str()).await;
    let taken = ahead
        .store
        .take_refetch_jobs(ahead.desk.now(), Duration::from_mins(1), 10)
        .await
        .unwrap();
    assert_eq!(taken.len(), 1);
    drop(process);
    test_desk.close.set(json!({ "rents_held": false })).await;
    test_desk.wait_until_close_is_idle().await;
    test_desk
        .close
        .person_changes(id.as_str(), json!({ "label": "changed since" }))
        .await;

    // A replica with a right clock goes on a minute later.
    test_desk.advance_clock(Duration::from_mins(1));
    let began = test_desk.replica().desk.now();
    test_desk
        .run(|desk| async move { desk.sync.refetch().await })
        .await
        .unwrap();
    let found = test_desk.run(find(&sales, &id)).await.unwrap();
    assert_eq!(found.facts.label.as_deref(), Some("changed since"));
    let after = test_desk.order(&sales, "after", &german()).await.unwrap();
    test_desk.settle().await;
    let took = test_desk.replica().desk.now().since(began);
    assert!(took < Duration::from_mins(30), "settled after {took:?}");
    for (created, evidence) in [
        (&lost, Evidence::FoundByReconciliation),
        (&died, Evidence::FoundByReconciliation),
        (&after, Evidence::Close201),
    ] {
        let scope = Scope::system("test");
        let order = test_desk.store().order(&scope, &created.order.id).await;
        let order = order.unwrap().unwrap();
        assert_eq!(
            (order.state, order.evidence),
            (State::Fulfilled, Some(evidence)),
            "{order:?}"
        );
    }
    // The next comparison is due within its interval, and not in two hours.
    let listings = test_desk.close.requests("GET", "/phone_number/").await.len();
    test_desk.advance_clock(Duration::from_mins(15));
    test_desk
        .run(|desk| async move { desk.sync.compare_when_due().await })
        .await
        .unwrap();
    assert!(test_desk.close.requests("GET", "/phone_number/").await.len() > listings);
    // A number that the replica saw in the future and that is gone now counts as gone.
    test_desk.close.person_releases(id.as_str()).await;
    test_desk.advance_clock(Duration::from_mins(15));
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    assert!(test_desk.store().is_tombstone(&id).await.unwrap());
    assert_books_balance(&test_desk.database).await;
    test_desk.crash();
}

async fn a_clock_that_is_two_hours_ahead_releases_no_number_early(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 3).await;
    let sales = caller("sales");
    let id = rent(&test_desk).await;
    test_desk.run(release(&sales, &id)).await.unwrap();
    let (ahead, _process) = test_desk.replica_with_a_clock_wrong_by(TWO_HOURS).await;
    ahead.desk.sync.compare().await.unwrap();
    ahead.desk.numbers.release_due().await.unwrap();
    assert_eq!(
        test_desk.close.held().await.len(),
        1,
        "its undo window is not over"
    );
    test_desk.advance_clock(Duration::from_mins(61));
    test_desk
        .run(|desk| async move { desk.numbers.release_due().await })
        .await
        .unwrap();
    assert_eq!(test_desk.close.held().await.len(), 0);
}

async fn a_number_that_was_rented_while_the_clock_was_ahead_counts_as_gone_once_close_has_it_no_more(
    database: Database,
) {
    let test_desk = TestDesk::new(database, POLICY, 4).await;
    test_desk.set_clock_wrong_by(TWO_HOURS);
    let id = rent(&test_desk).await;
    test_desk.set_clock_wrong_by(0);
    test_desk.close.person_releases(id.as_str()).await;
    test_desk.advance_clock(Duration::from_mins(15));
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    assert!(test_desk.store().is_tombstone(&id).await.unwrap());
    assert_books_balance(&test_desk.database).await;
}
