//! Numbers: the inventory follows Close, a team sees and changes only its own numbers, and releases are finished.

pub(crate) mod reads;
pub(crate) mod releases;

mod concurrent;
mod list;
mod transfer;
mod update;

use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::epoch::on_both_stores_and_next_close;
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, DORA, LENA, OLGA, Persona};
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::snapshot;

on_both_stores! {
    numbers_that_people_rented_in_close_are_orphans_visible_only_to_administrators,
    every_page_of_close_s_listing_is_read,
    an_incomplete_or_malformed_listing_removes_no_number,
    a_number_that_disappeared_from_close_is_removed,
    a_listing_that_lags_does_not_remove_a_new_number,
    changes_that_people_make_in_close_are_shown_with_unknown_fields,
    a_released_number_is_not_found_any_more,
    a_release_that_close_refuses_keeps_the_number,
    a_release_whose_outcome_is_unknown_is_202_and_finished_later,
}

/// A full sync each second.
fn frequent_sync() -> TestConfig {
    TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    }
}

/// A full sync each second, and a settling period of one second.
fn frequent_sync_and_short_settling() -> TestConfig {
    TestConfig {
        settle_after: "1s",
        ..frequent_sync()
    }
}

/// Reads a number as an administrator.
async fn read_number(server: &TestServer, number: &str) -> Value {
    server
        .get(&OLGA, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200)
}

/// Waits until an administrator finds this many numbers.
async fn wait_for_count(server: &TestServer, path: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} numbers at {path}"), || async {
        let found = server.list(&OLGA, path).await;
        (found.len() == count).then_some(found)
    })
    .await
}

async fn numbers_that_people_rented_in_close_are_orphans_visible_only_to_administrators(database: Database) {
    let mut config = TestConfig::default();
    config.close.numbers = 3;
    let server = TestServer::with(database, config).await;
    let own = server.rent(&ALICE, "own", "DE").await;
    let orphans = server.list(&OLGA, "/v1/phone-numbers?orphan=true").await;
    assert_eq!(orphans.len(), 3);
    for orphan in &orphans {
        assert_eq!(
            (&orphan["desk"]["orphan"], &orphan["desk"]["team"]),
            (&json!(true), &Value::Null),
            "{orphan}"
        );
        let path = format!("/v1/phone-numbers/{}", text(&orphan["id"]));
        server.get(&ALICE, &path).await.problem(404, "not-found");
        server.get(&OLGA, &path).await.expect(200);
    }
    let seen = server.list(&ALICE, "/v1/phone-numbers").await;
    assert_eq!(
        seen.iter().map(|number| text(&number["id"])).collect::<Vec<_>>(),
        [own]
    );
    assert!(
        server
            .list(&ALICE, "/v1/phone-numbers?orphan=true")
            .await
            .is_empty()
    );
    assert_eq!(server.list(&OLGA, "/v1/phone-numbers").await.len(), 4);
    assert_eq!(
        server.list(&OLGA, "/v1/phone-numbers?orphan=false").await.len(),
        1
    );
}

async fn every_page_of_close_s_listing_is_read(database: Database) {
    let mut config = TestConfig::default();
    config.close.numbers = 230;
    config.close.settings.list_shuffled = false;
    let server = TestServer::with(database, config).await;
    let mut found = 0;
    let mut path = "/v1/phone-numbers?limit=200".to_owned();
    loop {
        let page = server.get(&OLGA, &path).await.expect(200);
        found += page["data"].as_array().expect("a list has data").len();
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/phone-numbers?limit=200&cursor={cursor}");
    }
    assert_eq!(found, 230);
}

async fn an_incomplete_or_malformed_listing_removes_no_number(database: Database) {
    let mut config = frequent_sync_and_short_settling();
    config.close.numbers = 2;
    let server = TestServer::with(database, config).await;
    let listed = server.close.requests("GET", "/phone_number/").await.len();
    for (index, answer) in [
        json!({ "status": 200, "body": { "data": [] } }),
        json!({ "status": 500 }),
        json!("truncate"),
        json!({ "status": 200, "body": "<html>hello</html>" }),
        json!({ "status": 200, "body": { "data": "none", "has_more": false } }),
    ]
    .into_iter()
    .enumerate()
    {
        server
            .close
            .fault(json!({ "method": "GET", "path": "/phone_number/", "answer": answer, "times": 2 }))
            .await;
        server
            .close
            .wait_for_requests("GET", "/phone_number/", listed + 2 * (index + 1))
            .await;
        assert_eq!(server.list(&OLGA, "/v1/phone-numbers").await.len(), 2);
    }
    // Even a complete listing removes no number that a read by its id still finds.
    server.close.clear_faults().await;
    let empty = json!({ "status": 200, "body": { "data": [], "has_more": false } });
    server
        .close
        .fault(json!({ "method": "GET", "path": "/phone_number/", "answer": empty }))
        .await;
    let reads = server.close.requests("GET", "/phone_number/{id}/").await.len();
    server
        .close
        .wait_for_requests("GET", "/phone_number/{id}/", reads + 4)
        .await;
    assert_eq!(server.list(&OLGA, "/v1/phone-numbers").await.len(), 2);
}

async fn a_number_that_disappeared_from_close_is_removed(database: Database) {
    let server = TestServer::with(database, frequent_sync_and_short_settling()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // A number that was just rented is not removed before `orders.settle_after` has passed.
    server.close.person_releases(&number).await;
    wait_for_count(&server, "/v1/phone-numbers", 0).await;
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .problem(404, "not-found");
    // The order stays fulfilled, and shows what is left of its number.
    let order = server.list(&ALICE, "/v1/orders").await.remove(0);
    assert_eq!(order["state"], "fulfilled");
    assert_eq!(order["phone_number"]["id"], number.as_str());
    assert!(order["phone_number"]["released_at"].is_string(), "{order}");
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(
        me["teams"][0]["usage"]["numbers_held"], 0,
        "a removed number does not count"
    );
    let rows = server.list(&LENA, "/v1/audit?action=number.gone").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
}

async fn a_listing_that_lags_does_not_remove_a_new_number(database: Database) {
    let server = TestServer::with(database, frequent_sync_and_short_settling()).await;
    server.close.set(json!({ "listing_lag": "1h" })).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let listed = server.close.requests("GET", "/phone_number/").await.len();
    server
        .close
        .wait_for_requests("GET", "/phone_number/", listed + 3)
        .await;
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
}

async fn changes_that_people_make_in_close_are_shown_with_unknown_fields(database: Database) {
    let server = TestServer::with(database, frequent_sync()).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let change = json!({ "label": "Renamed", "sparkle": { "level": [1, 2.5, null] } });
    server.close.person_changes(&number, change).await;
    let number = eventually("the change is shown", || async {
        let shown = read_number(&server, &number).await;
        (shown["label"] == "Renamed").then_some(shown)
    })
    .await;
    assert_eq!(number["sparkle"], json!({ "level": [1, 2.5, null] }));
    // Every field is as Close shows it, and `desk` is added.
    let held = server.close.held().await.remove(0);
    for (name, value) in held.as_object().expect("a number is an object") {
        if name != "_control" {
            assert_eq!(&number[name], value, "{name}");
        }
    }
    assert_eq!(number["desk"]["team"], "sales");
}

async fn a_released_number_is_not_found_any_more(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{number}");
    server
        .release(&ALICE.with("numbers:read numbers:rent"), &number)
        .await
        .problem(403, "permission-missing");
    assert_eq!(server.close.held().await.len(), 1);
    server.release(&ALICE, &number).await.empty(204);
    assert!(server.close.held().await.is_empty());
    server.release(&ALICE, &number).await.problem(404, "not-found");
    server.get(&ALICE, &path).await.problem(404, "not-found");
    server.get(&OLGA, &path).await.problem(404, "not-found");
    server
        .patch(&ALICE, &number, &json!({ "label": "x" }))
        .await
        .problem(404, "not-found");
    assert_eq!(
        server.close.requests("DELETE", "/phone_number/{id}/").await.len(),
        1
    );
    // Releasing a number that a person released in Close before succeeds, or finds no number.
    let other = server.rent(&ALICE, "other", "DE").await;
    server.close.person_releases(&other).await;
    let answer = server.release(&ALICE, &other).await;
    assert!([204, 404].contains(&answer.status), "{answer}");
    assert!(server.list(&ALICE, "/v1/phone-numbers").await.is_empty());
}

async fn a_release_that_close_refuses_keeps_the_number(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let refusal = json!({ "status": 403, "body": { "error": "You can only release your own." } });
    server
        .close
        .fault(json!({ "method": "DELETE", "answer": refusal, "times": 1 }))
        .await;
    let refused = server
        .release(&ALICE, &number)
        .await
        .problem(422, "close-refused");
    assert!(
        text(&refused["detail"]).contains("only release your own"),
        "{refused}"
    );
    server
        .get(&ALICE, &format!("/v1/phone-numbers/{number}"))
        .await
        .expect(200);
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    assert_eq!(me["teams"][0]["usage"]["numbers_held"], 1);
    server.release(&ALICE, &number).await.empty(204);
}

async fn a_release_whose_outcome_is_unknown_is_202_and_finished_later(database: Database) {
    // The service repeats a release with an unknown outcome after twice the timeout.
    let server = TestServer::with(
        database,
        TestConfig {
            timeout: "4s",
            ..TestConfig::default()
        },
    )
    .await;
    for (key, effect) in [("done", true), ("not-done", false)] {
        let number = server.rent(&ALICE, key, "DE").await;
        let lost_answer =
            json!({ "method": "DELETE", "answer": "drop_before_headers", "effect": effect, "times": 1 });
        server.close.fault(lost_answer).await;
        let answer = server.release(&ALICE, &number).await;
        assert_eq!(answer.status, 202, "{answer}");
        eventually("the release is finished", || async {
            let found = server.get(&ALICE, &format!("/v1/phone-numbers/{number}")).await;
            (found.status == 404).then_some(())
        })
        .await;
        assert!(server.close.held().await.is_empty());
    }
}
