//! Numbers that were deleted in Close without a webhook: a comparison removes them, whatever happens to one of them.

use std::time::Duration;

use numberdesk::domain::odd_record::OddKind;
use serde_json::json;

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::TestDesk;
use crate::support::server::text;

on_both_stores! {
    one_number_that_close_fails_to_show_does_not_keep_the_others,
    a_comparison_asks_for_a_bounded_count_and_the_next_one_goes_on,
    several_numbers_that_fail_do_not_open_the_circuit_breaker,
}

const POLICY: &str = "[teams.sales]\ncountries = [\"DE\"]\nassign_to = \"anyone\"\n";
const READ: &str = "/phone_number/{id}/";

/// A replica whose inventory has numbers that a person has deleted since, without an event.
async fn with_deleted_numbers(database: Database, count: usize) -> (TestDesk, Vec<String>) {
    let test_desk = TestDesk::new(database, POLICY, 1).await;
    let mut ids = Vec::new();
    for _ in 0..count {
        let fields = json!({ "country": "DE", "silent": true });
        ids.push(text(&test_desk.close.person_rents(fields).await["id"]));
    }
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    test_desk.advance_clock(Duration::from_mins(30));
    for id in &ids {
        test_desk.close.person_releases_silently(id).await;
    }
    ids.sort();
    (test_desk, ids)
}

async fn shown(test_desk: &TestDesk, ids: &[String]) -> Vec<String> {
    let stored = test_desk.store().numbers_after(None, 10_000).await.unwrap();
    let stored = stored.into_iter().map(|number| number.facts.id.to_string());
    stored.filter(|id| ids.contains(id)).collect()
}

async fn compare(test_desk: &TestDesk) -> Result<(), String> {
    test_desk
        .run(|desk| async move { desk.sync.compare().await.map_err(|error| error.to_string()) })
        .await
}

fn fails(id: &str) -> serde_json::Value {
    let path = format!("/phone_number/{id}/");
    json!({ "method": "GET", "path": path, "answer": { "status": 500, "body": "<h1>Oops</h1>" } })
}

async fn one_number_that_close_fails_to_show_does_not_keep_the_others(database: Database) {
    let (test_desk, ids) = with_deleted_numbers(database, 30).await;
    test_desk.close.fault(fails(&ids[7])).await;
    let before = test_desk.close.requests("GET", READ).await.len();
    compare(&test_desk).await.unwrap();
    assert_eq!(shown(&test_desk, &ids).await, [ids[7].clone()]);
    let calls = test_desk.close.requests("GET", READ).await.len() - before;
    assert!(calls <= 29 + 4, "{calls} calls");
    let odd = test_desk.store().known_odd_records().await.unwrap();
    assert_eq!(odd.len(), 1, "{odd:?}");
    assert_eq!((odd[0].kind, &odd[0].name), (OddKind::PhoneNumber, &ids[7]));
    test_desk.close.clear_faults().await;
    compare(&test_desk).await.unwrap();
    assert!(shown(&test_desk, &ids).await.is_empty());
    assert_eq!(test_desk.store().known_odd_records().await.unwrap(), []);
}

async fn a_comparison_asks_for_a_bounded_count_and_the_next_one_goes_on(database: Database) {
    let (test_desk, ids) = with_deleted_numbers(database, 120).await;
    // The first seventy fail: Close is taken to be down, and the comparison stops.
    for id in &ids[..70] {
        test_desk.close.fault(fails(id)).await;
    }
    let before = test_desk.close.requests("GET", READ).await.len();
    compare(&test_desk).await.unwrap_err();
    let calls = test_desk.close.requests("GET", READ).await.len() - before;
    assert!(calls <= 4 * 50, "{calls} calls");
    // The next ones begin where it stopped.
    for _ in 0..3 {
        let _ = compare(&test_desk).await;
    }
    assert_eq!(shown(&test_desk, &ids).await, ids[..70]);
    test_desk.close.clear_faults().await;
    while compare(&test_desk).await.is_err() {}
    assert!(shown(&test_desk, &ids).await.is_empty());
}

async fn several_numbers_that_fail_do_not_open_the_circuit_breaker(database: Database) {
    let (test_desk, ids) = with_deleted_numbers(database, 12).await;
    for id in &ids {
        test_desk.close.fault(fails(id)).await;
    }
    compare(&test_desk).await.unwrap();
    assert!(!test_desk.replica().desk.health.close_circuit_open());
    assert_eq!(shown(&test_desk, &ids).await, ids);
}
