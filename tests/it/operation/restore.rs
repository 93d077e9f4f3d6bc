//! A database that is older than Close does nothing that costs or destroys, and the service's own calls raise no alarm.

use std::time::Duration;

use numberdesk::desk::HoldAuthor;
use numberdesk::domain::hold::UnknownCall;
use numberdesk::domain::id::PhoneNumberId;
use numberdesk::domain::order::{Order, Request, State};
use numberdesk::domain::scope::Scope;
use numberdesk::error::Error;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::binary::run;
use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores, with_postgres, with_sqlite};
use crate::support::desk::{
    SETTLE_AFTER, TestDesk, adopt, caller, find_order, order, release, request, update,
};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA};
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores! {
    the_service_s_own_calls_raise_no_alarm,
    a_crash_between_the_call_and_its_outcome_raises_no_alarm,
    a_number_that_turns_up_late_raises_no_alarm,
    calls_from_before_the_first_start_raise_no_alarm,
    an_event_log_that_can_not_be_read_raises_no_alarm_and_delays_orders_for_a_minute_at_most,
    a_rent_of_somebody_else_with_the_own_key_holds_orders_and_releases_until_a_person_confirms,
    a_release_of_somebody_else_with_the_own_key_holds_orders,
    once_a_call_is_unknown_a_refused_order_explains_no_rent,
    an_order_that_ended_without_a_number_explains_no_later_rent,
}

const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "US"]
assign_to = "anyone"

[teams.support]
countries = ["DE", "US"]
assign_to = "anyone"
release_delay = "1h"
"#;

fn german() -> Request {
    request(&json!({ "country": "DE", "carrier_type": "local" }))
}

/// A fault: Close drops the connection before it answers the next rent. `effect`: whether it rents the number.
fn lost_answer(effect: bool) -> Value {
    json!({ "path": RENT, "times": 1, "effect": effect, "answer": "drop_before_headers" })
}

/// Returns a service whose database knows every call from now on.
async fn test_desk(database: Database, seed: u64) -> TestDesk {
    let test_desk = TestDesk::new(database, POLICY, seed).await;
    search(&test_desk).await;
    test_desk.advance_clock(Duration::from_mins(1));
    test_desk
}

/// Searches Close's event log.
async fn search(test_desk: &TestDesk) {
    test_desk
        .run(|desk| async move { desk.holds.search().await })
        .await
        .unwrap();
}

async fn unknown_calls(test_desk: &TestDesk) -> Vec<UnknownCall> {
    test_desk.store().oldest_unknown_calls(100).await.unwrap()
}

async fn is_held(test_desk: &TestDesk) -> bool {
    !test_desk.store().holds().await.unwrap().is_empty()
}

/// Asserts that a search finds nothing unknown.
async fn assert_no_alarm(test_desk: &TestDesk, after: &str) {
    search(test_desk).await;
    let calls = unknown_calls(test_desk).await;
    assert!(
        calls.is_empty() && !is_held(test_desk).await,
        "after {after}: {calls:?}"
    );
}

async fn stored(test_desk: &TestDesk, order: &Order) -> Order {
    let found = test_desk.store().order(&Scope::system("test"), &order.id).await;
    found.unwrap().unwrap()
}

async fn rent(test_desk: &TestDesk, team: &str, key: &str) -> PhoneNumberId {
    let created = test_desk.order(&caller(team), key, &german()).await.unwrap();
    let order = stored(test_desk, &created.order).await;
    order.phone_number_id.expect("the order is fulfilled")
}

/// Rents a number with the service's API key, as somebody who has copied the key does.
async fn somebody_rents(test_desk: &TestDesk) -> String {
    let body = match test_desk.close.rents().await.first() {
        Some(rent) => rent["body"].clone(),
        None => json!({ "country": "DE", "sharing": "personal", "carrier_type": "local" }),
    };
    let (status, number) = test_desk.close.call("POST", RENT, Some(body)).await;
    assert!(status < 300, "{status}: {number}");
    text(&number["id"])
}

async fn the_service_s_own_calls_raise_no_alarm(database: Database) {
    let test_desk = test_desk(database, 1).await;
    let (sales, support) = (caller("sales"), caller("support"));
    let id = rent(&test_desk, "sales", "rented").await;
    assert_no_alarm(&test_desk, "a rent").await;
    let labelled = request(&json!({ "country": "DE", "carrier_type": "local", "label": "Sales" }));
    test_desk.order(&sales, "labelled", &labelled).await.unwrap();
    assert_no_alarm(&test_desk, "a label").await;
    let label = json!({ "label": "another" });
    test_desk
        .run(update(&sales, &id, label.clone(), None))
        .await
        .unwrap();
    assert_no_alarm(&test_desk, "a change").await;
    test_desk.run(adopt(&sales, &id, "support")).await.unwrap();
    assert_no_alarm(&test_desk, "a transfer").await;
    // Released at once.
    let other = rent(&test_desk, "sales", "other").await;
    test_desk.run(release(&sales, &other)).await.unwrap();
    assert_no_alarm(&test_desk, "a release").await;
    // Released after the undo window.
    test_desk.run(release(&support, &id)).await.unwrap();
    assert_no_alarm(&test_desk, "a scheduled release").await;
    test_desk.advance_clock(Duration::from_mins(61));
    test_desk
        .run(|desk| async move { desk.numbers.release_due().await })
        .await
        .unwrap();
    assert_no_alarm(&test_desk, "a due release").await;
    // A release whose answer is lost.
    let third = rent(&test_desk, "sales", "third").await;
    let path = format!("/phone_number/{third}/");
    let lost = json!({ "method": "DELETE", "path": path, "times": 1, "effect": true, "answer": "drop_before_headers" });
    test_desk.close.fault(lost).await;
    let _ = test_desk.run(release(&sales, &third)).await;
    assert_no_alarm(&test_desk, "a release without an answer").await;
    // An orphan that an administrator adopts and releases.
    let persons = test_desk.close.person_rents(json!({ "country": "DE" })).await;
    let orphan: PhoneNumberId = text(&persons["id"]).parse().unwrap();
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    test_desk.run(adopt(&sales, &orphan, "sales")).await.unwrap();
    test_desk.run(release(&sales, &orphan)).await.unwrap();
    assert_no_alarm(&test_desk, "an adoption").await;
    // Lost answers, before and after they are found.
    for effect in [true, false] {
        test_desk.close.fault(lost_answer(effect)).await;
        let created = test_desk
            .order(&sales, &format!("lost-{effect}"), &german())
            .await
            .unwrap();
        assert_eq!(stored(&test_desk, &created.order).await.state, State::Unverified);
        assert_no_alarm(&test_desk, "a lost answer").await;
        test_desk.settle().await;
        assert_no_alarm(&test_desk, "a lost answer that was found").await;
    }
    // A replaced API key.
    test_desk
        .close
        .set(json!({ "other_key": "api_another.key" }))
        .await;
    test_desk
        .run(|desk| async move { desk.api_key.rotate("api_another.key".into()).await })
        .await
        .unwrap();
    rent(&test_desk, "sales", "by-the-new-key").await;
    assert_no_alarm(&test_desk, "a rotation of the key").await;
    assert_books_balance(&test_desk.database).await;
}

async fn a_crash_between_the_call_and_its_outcome_raises_no_alarm(database: Database) {
    let mut test_desk = test_desk(database, 2).await;
    let sales = caller("sales");
    rent(&test_desk, "sales", "before").await;
    test_desk.close.set(json!({ "rents_held": true })).await;
    let created = test_desk.run(order(&sales, "key", &german())).await.unwrap();
    test_desk.close.wait_for_requests("POST", RENT, 2).await;
    test_desk.crash();
    test_desk.close.set(json!({ "rents_held": false })).await;
    test_desk.wait_until_close_is_idle().await;
    test_desk.start().await;
    assert_eq!(stored(&test_desk, &created.order).await.state, State::Renting);
    assert_no_alarm(&test_desk, "a crash").await;
    test_desk.advance_clock(Duration::from_mins(2));
    test_desk.settle().await;
    assert_eq!(stored(&test_desk, &created.order).await.state, State::Fulfilled);
    assert_no_alarm(&test_desk, "the recovery").await;
    assert_eq!(test_desk.close.rents().await.len(), 2);
}

async fn a_number_that_turns_up_late_raises_no_alarm(database: Database) {
    let test_desk = test_desk(database, 3).await;
    let sales = caller("sales");
    let lag = json!({ "listing_lag": "20m", "event_lag": "8m", "read_lag": "20m" });
    test_desk.close.set(lag).await;
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&sales, "late", &german()).await.unwrap();
    test_desk.settle().await;
    for _ in 0..3 {
        test_desk.advance_clock(SETTLE_AFTER);
        assert_no_alarm(&test_desk, "a late event").await;
    }
    test_desk.advance_clock(SETTLE_AFTER * 2);
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    assert_no_alarm(&test_desk, "a late number").await;
    let state = stored(&test_desk, &created.order).await.state;
    assert!(state.is_final(), "{state}");
}

async fn calls_from_before_the_first_start_raise_no_alarm(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 4).await;
    // Another program has used the key before.
    somebody_rents(&test_desk).await;
    test_desk.advance_clock(Duration::from_secs(5));
    assert_no_alarm(&test_desk, "the first search").await;
    test_desk.advance_clock(Duration::from_mins(1));
    assert_no_alarm(&test_desk, "the second search").await;
    rent(&test_desk, "sales", "key").await;
    assert_no_alarm(&test_desk, "a rent").await;
}

async fn an_event_log_that_can_not_be_read_raises_no_alarm_and_delays_orders_for_a_minute_at_most(
    database: Database,
) {
    let mut test_desk = test_desk(database, 5).await;
    let sales = caller("sales");
    let log = |answer: Value| json!({ "method": "GET", "path": "/event/", "answer": answer });
    let status = |status: u16, body: Value| json!({ "status": status, "body": body });
    for (nth, (answer, goes_on)) in [
        (status(503, Value::Null), false),
        (status(200, json!({ "data": 7 })), false),
        (json!("truncate"), false),
        (status(403, json!({ "error": "Not allowed." })), true),
        (status(200, json!({ "data": [] })), true),
        // An event that can't be read does not hide the others.
        (status(200, json!({ "data": [{ "object_id": "phon_1" }] })), true),
    ]
    .into_iter()
    .enumerate()
    {
        test_desk.crash();
        test_desk.close.fault(log(answer)).await;
        test_desk.start().await;
        let created = test_desk
            .order(&sales, &format!("key-{nth}"), &german())
            .await
            .unwrap();
        let state = stored(&test_desk, &created.order).await.state;
        let expected = if goes_on { State::Fulfilled } else { State::Queued };
        assert_eq!(state, expected, "{nth}");
        test_desk.advance_clock(Duration::from_mins(1));
        test_desk.run_steps().await;
        let state = stored(&test_desk, &created.order).await.state;
        assert_eq!(state, State::Fulfilled, "{nth}");
        test_desk.close.clear_faults().await;
        assert_no_alarm(&test_desk, "the event log is back").await;
    }
}

async fn a_rent_of_somebody_else_with_the_own_key_holds_orders_and_releases_until_a_person_confirms(
    database: Database,
) {
    let test_desk = test_desk(database, 6).await;
    let (sales, support) = (caller("sales"), caller("support"));
    let own = rent(&test_desk, "sales", "own").await;
    let scheduled = rent(&test_desk, "support", "scheduled").await;
    test_desk.run(release(&support, &scheduled)).await.unwrap();
    let foreign = somebody_rents(&test_desk).await;
    // The comparison adds the number as an orphan, which explains nothing.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    search(&test_desk).await;
    assert!(is_held(&test_desk).await);
    let rents = test_desk.close.rents().await.len();
    let held = test_desk.order(&sales, "held", &german()).await.unwrap();
    let american = request(&json!({ "country": "US", "carrier_type": "local" }));
    let other = test_desk.order(&sales, "other", &american).await.unwrap();
    test_desk.advance_clock(Duration::from_mins(61));
    test_desk.run_steps().await;
    test_desk
        .run(|desk| async move { desk.numbers.release_due().await })
        .await
        .unwrap();
    let refused = test_desk.run(release(&sales, &own)).await;
    assert!(matches!(refused, Err(Error::OrdersOnHold { .. })), "{refused:?}");
    assert_eq!(test_desk.close.rents().await.len(), rents);
    assert!(
        test_desk
            .close
            .requests("DELETE", "/phone_number/{id}/")
            .await
            .is_empty()
    );
    let waiting = test_desk.run(find_order(&sales, &held.order.id)).await.unwrap();
    let reason = waiting.queue.expect("it is queued").reason;
    assert!(reason.contains("on hold"), "{reason}");

    let confirm =
        || test_desk.run(|desk| async move { desk.hold_control.confirm(&HoldAuthor::Operator).await });
    let confirmed = confirm().await.unwrap().expect("there is something to confirm");
    // A repetition, such as after a lost answer, confirms nothing more.
    assert_eq!(confirm().await.unwrap(), None);
    assert_eq!(confirmed.kept, std::slice::from_ref(&scheduled));
    assert_eq!(confirmed.in_review, std::slice::from_ref(&held.order.id));
    let [call] = confirmed.calls.as_slice() else {
        panic!("{confirmed:?}")
    };
    assert_eq!(
        (call.number_id.as_str(), call.order_id.as_ref()),
        (foreign.as_str(), Some(&held.order.id))
    );
    assert_no_alarm(&test_desk, "the confirmation").await;
    test_desk.run_steps().await;
    test_desk.wait_until_idle().await;
    assert_eq!(stored(&test_desk, &held.order).await.state, State::NeedsReview);
    assert_eq!(stored(&test_desk, &other.order).await.state, State::Fulfilled);
    let scope = Scope::system("test");
    let orphan = test_desk.store().number(&scope, &foreign.parse().unwrap()).await;
    let orphan = orphan.unwrap().unwrap();
    assert_eq!(
        (orphan.team, orphan.order_id),
        (None, Some(held.order.id.clone()))
    );
    assert_books_balance(&test_desk.database).await;
}

async fn a_release_of_somebody_else_with_the_own_key_holds_orders(database: Database) {
    let test_desk = test_desk(database, 7).await;
    let id = rent(&test_desk, "sales", "key").await;
    let path = format!("/phone_number/{id}/");
    let (status, _) = test_desk.close.call("DELETE", &path, None).await;
    assert!(status < 300, "{status}");
    // The comparison notices that the number is gone, which explains nothing.
    test_desk.advance_clock(SETTLE_AFTER * 2);
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    search(&test_desk).await;
    assert!(is_held(&test_desk).await);
    let calls = unknown_calls(&test_desk).await;
    assert_eq!((calls.len(), &calls[0].number_id), (1, &id));
}

async fn an_order_that_ended_without_a_number_explains_no_later_rent(database: Database) {
    let test_desk = test_desk(database, 9).await;
    test_desk.close.fault(lost_answer(false)).await;
    let absent = test_desk
        .order(&caller("sales"), "absent", &german())
        .await
        .unwrap();
    test_desk.settle().await;
    assert_eq!(stored(&test_desk, &absent.order).await.state, State::Refused);
    // As the rent of an order that a restored database has forgotten.
    test_desk.advance_clock(Duration::from_mins(10));
    let forgotten = somebody_rents(&test_desk).await;
    search(&test_desk).await;
    assert!(is_held(&test_desk).await);
    let calls = unknown_calls(&test_desk).await;
    let numbers: Vec<&str> = calls.iter().map(|call| call.number_id.as_str()).collect();
    assert_eq!(numbers, [forgotten]);
}

async fn once_a_call_is_unknown_a_refused_order_explains_no_rent(database: Database) {
    let test_desk = test_desk(database, 8).await;
    let own = rent(&test_desk, "sales", "own").await;
    let forbidden = json!({ "status": 403, "body": { "error": "Not allowed." } });
    test_desk
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": forbidden }))
        .await;
    let refused = test_desk
        .order(&caller("sales"), "refused", &german())
        .await
        .unwrap();
    assert_eq!(stored(&test_desk, &refused.order).await.state, State::Refused);
    // Close may have rented the number although it has refused the order.
    let foreign = somebody_rents(&test_desk).await;
    assert_no_alarm(&test_desk, "a rent that a refused order explains").await;
    let path = format!("/phone_number/{own}/");
    let (status, _) = test_desk.close.call("DELETE", &path, None).await;
    assert!(status < 300, "{status}");
    search(&test_desk).await;
    assert!(is_held(&test_desk).await);
    let calls = test_desk.store().oldest_unknown_calls(200).await.unwrap();
    let mut numbers: Vec<&str> = calls.iter().map(|call| call.number_id.as_str()).collect();
    let mut expected = vec![own.as_str(), foreign.as_str()];
    numbers.sort_unstable();
    expected.sort_unstable();
    assert_eq!(numbers, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_rents_nothing_twice_on_sqlite() {
    with_sqlite(|database| with_sqlite(|backup| a_restored_backup_rents_nothing_twice(database, backup)))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_rents_nothing_twice_on_postgres() {
    with_postgres(|database| {
        with_postgres(async |backup| {
            a_restored_backup_rents_nothing_twice(database, backup.without_schema().await).await;
        })
    })
    .await;
}

/// Writes another database into the configuration of a stopped server.
fn move_to(server: &mut TestServer, database: &Database) {
    let file = server.folder.path().join("numberdesk.toml");
    let config = std::fs::read_to_string(&file).expect("the file can be read");
    let from = server.database.url().expose_secret();
    let config = config.replace(from, database.url().expose_secret());
    std::fs::write(&file, config).expect("the file can be written");
    server.database = database.clone();
}

async fn a_restored_backup_rents_nothing_twice(database: Database, backup: Database) {
    let mut server = Box::pin(TestServer::new(database.clone())).await;
    let german = json!({ "country": "DE", "carrier_type": "local", "prefix": "30" });
    let limited = json!({ "status": 429, "headers": { "retry-after": "3600" } });
    server
        .close
        .fault(json!({ "path": RENT, "times": 1, "answer": limited }))
        .await;
    let order = server.order_at_once(&ALICE, "queued", &german).await.expect(202);
    let path = format!("/v1/orders/{}", text(&order["id"]));
    eventually("the order waits for the rate limit", || async {
        let order = server.get(&ALICE, &path).await.expect(200);
        let waits = order["reason"].as_str()?.contains("rate limit");
        (order["state"] == "queued" && waits).then_some(())
    })
    .await;
    server.stop().await;
    let (from, to) = (database.url().expose_secret(), backup.url().expose_secret());
    let copied = run(
        server.folder.path(),
        &["store", "copy", "--from", from, "--to", to],
    )
    .await;
    assert_eq!(copied.code, 0, "{copied:?}");
    for one in [&database, &backup] {
        one.execute("UPDATE orders SET not_before = 1").await;
        one.execute("UPDATE settings SET value = '2026-01-01T00:00:00Z' WHERE name = 'knows_calls_since'")
            .await;
    }
    // After the backup, the order is fulfilled.
    server.start().await;
    let fulfilled = server
        .wait_for_state(&ALICE, &text(&order["id"]), "fulfilled")
        .await;
    let number = text(&fulfilled["phone_number"]["id"]);
    server.stop().await;
    assert_eq!(server.close.rents().await.len(), 2);

    move_to(&mut server, &backup);
    server.start().await;
    eventually("the service holds orders", || async {
        let readiness = server.at_ops("/readyz?verbose").await.json();
        readiness["orders"].as_str()?.starts_with("on hold").then_some(())
    })
    .await;
    eventually("the metric shows the hold", || async {
        let metrics = server.at_ops("/metrics").await.text;
        let held = r#"numberdesk_orders_held{cause="unknown-calls"} 1"#;
        metrics.contains(held).then_some(())
    })
    .await;
    let held = server.get(&ALICE, &path).await.expect(200);
    assert_eq!(held["state"], "queued");
    assert!(text(&held["reason"]).contains("on hold"), "{held}");
    // New orders are accepted, and wait.
    let american = json!({ "country": "US", "carrier_type": "local" });
    let later = server.order_at_once(&ALICE, "later", &american).await.expect(202);
    assert_eq!(server.close.rents().await.len(), 2);

    let folder = server.folder.path();
    let listed = run(folder, &["recover", "--config", "numberdesk.toml"]).await;
    assert!(listed.code == 0 && listed.stdout.contains(&number), "{listed:?}");
    assert!(listed.stdout.contains("--confirm"), "{listed:?}");
    let confirmed = run(folder, &["recover", "--config", "numberdesk.toml", "--confirm"]).await;
    assert!(
        confirmed.code == 0 && confirmed.stdout.contains(&text(&order["id"])),
        "{confirmed:?}"
    );
    server
        .wait_for_state(&ALICE, &text(&order["id"]), "needs_review")
        .await;
    server
        .wait_for_state(&ALICE, &text(&later["id"]), "fulfilled")
        .await;
    assert_eq!(server.close.rents().await.len(), 3);
    let settle = server.request_as(&OLGA, "POST", &format!("{path}/settle"));
    let settled = send(settle.json(&json!({ "phone_number_id": number })))
        .await
        .expect(200);
    assert_eq!(settled["state"], "fulfilled");
    server.stop().await;
}

on_both_stores! {
    an_operator_stops_and_permits_orders,
}

async fn an_operator_stops_and_permits_orders(database: Database) {
    let server = Box::pin(TestServer::with(database, TestConfig::default())).await;
    let folder = server.folder.path();
    let number = server.rent(&ALICE, "before", "DE").await;
    let on = [
        "hold",
        "--config",
        "numberdesk.toml",
        "--on",
        "--reason",
        "the database is being restored",
    ];
    let held = run(folder, &on).await;
    assert!(
        held.code == 0 && held.stdout.contains("being restored"),
        "{held:?}"
    );
    let german = json!({ "country": "DE", "carrier_type": "local" });
    let refused = server.order(&ALICE, "held", &german).await;
    refused.problem_snapshot(503, "orders-on-hold");
    assert_eq!(refused.header("retry-after"), "60");
    server
        .release(&ALICE, &number)
        .await
        .problem(503, "orders-on-hold");
    // A repeated order is answered, and reads go on.
    server.order(&ALICE, "before", &german).await;
    server.get(&ALICE, "/v1/orders").await.expect(200);
    let off = run(folder, &["hold", "--config", "numberdesk.toml", "--off"]).await;
    assert!(off.code == 0 && off.stdout.contains("no hold"), "{off:?}");
    server.order(&ALICE, "held", &german).await.expect(201);
}
