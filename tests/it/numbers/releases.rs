//! Releases: a number is removed only when Close has released it, and a scheduled release can be cancelled.

mod matrix;
mod scheduled;

use serde_json::{Value, json};

use crate::support::books::usage;
use crate::support::close::FakeClose;
use crate::support::database::Database;
use crate::support::epoch::on_both_stores_and_next_close;
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, LENA, OLGA};
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};

on_both_stores_and_next_close! {
    a_404_for_a_key_of_another_organization_does_not_prove_a_release,
    a_404_does_not_prove_a_release_while_the_key_s_organization_is_unknown,
    a_404_does_not_prove_a_release_if_the_key_was_replaced_meanwhile,
    an_attempt_that_close_rejects_leaves_the_outcome_of_the_one_before_unknown,
    releasing_a_number_that_a_person_released_in_close_succeeds,
    a_release_in_progress_ends_when_the_sync_finds_the_number_gone,
}

/// Makes every scheduled release due.
const MAKE_RELEASES_DUE: &str =
    "UPDATE numbers SET release_at = 1, release_try_at = 1 WHERE release_at IS NOT NULL";

/// Sales can cancel a release for 24 h.
fn with_release_delay() -> TestConfig {
    TestConfig {
        policy: POLICY.replacen("[teams.sales]", "[teams.sales]\nrelease_delay = \"24h\"", 1),
        ..TestConfig::default()
    }
}

fn number_path(number: &str) -> String {
    format!("/v1/phone-numbers/{number}")
}

/// Cancels a scheduled release as Alice.
async fn keep(server: &TestServer, number: &str) -> crate::support::response::ApiResponse {
    send(server.request_as(&ALICE, "POST", &format!("{}/keep", number_path(number)))).await
}

/// Counts the release calls for the number at Close.
async fn delete_count(server: &TestServer, number: &str) -> usize {
    let path = format!("/phone_number/{number}/");
    server.close.requests("DELETE", &path).await.len()
}

/// Reads the field `desk` of the number as an administrator.
async fn desk_fields(server: &TestServer, number: &str) -> Value {
    server.get(&OLGA, &number_path(number)).await.expect(200)["desk"].clone()
}

async fn wait_until_gone(server: &TestServer, number: &str) {
    eventually("the number is gone", || async {
        (server.get(&OLGA, &number_path(number)).await.status == 404).then_some(())
    })
    .await;
}

/// Action, outcome and actor of the audit rows of the number, newest first, without the settlement of its order.
async fn audit_trail(server: &TestServer, number: &str) -> Vec<(String, String, String)> {
    server
        .list(&OLGA, &format!("/v1/audit?phone_number_id={number}"))
        .await
        .iter()
        .filter(|row| row["action"] != "order.settle")
        .map(|row| {
            (
                text(&row["action"]),
                text(&row["outcome"]),
                text(&row["actor"]["subject"]),
            )
        })
        .collect()
}

/// The evidence in the newest audit row of the number.
async fn evidence(server: &TestServer, number: &str) -> Value {
    let rows = server
        .list(&LENA, &format!("/v1/audit?phone_number_id={number}"))
        .await;
    rows[0]["detail"]["evidence"].clone()
}

/// Audit rows to compare with [`audit_trail`].
fn audit_rows(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    expected
        .iter()
        .map(|(action, outcome, actor)| {
            (
                (*action).to_owned(),
                (*outcome).to_owned(),
                format!("{actor}@example.com"),
            )
        })
        .collect()
}

async fn a_404_for_a_key_of_another_organization_does_not_prove_a_release(database: Database) {
    let config = TestConfig {
        timeout: "4s",
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // Another organization answers at the same address to its own key. It has none of our numbers.
    let listen = server.stop_close().await;
    let options = close_sandbox::Options {
        listen,
        seed: 2,
        ..close_sandbox::Options::default()
    };
    server.close = FakeClose::start(options).await;
    std::fs::write(server.folder.path().join("close-api-key"), server.close.api_key())
        .expect("the key file can be written");
    // A running process would not accept this key. A process that starts has no other key.
    server.stop().await;
    server.start().await;
    eventually("the new key is used", || async {
        let requests = server.close.requests("GET", "/me/").await;
        (requests.last()?["headers"]["authorization"] == "Basic (valid)").then_some(())
    })
    .await;
    let answer = server.release(&ALICE, &number).await.expect(202);
    assert_eq!(
        answer,
        json!({ "id": number, "state": "releasing", "release_at": null })
    );
    // Repeated releases by the team and by the service, and the sync, do not end the release either.
    server.release(&ALICE, &number).await.expect(202);
    let me = server.close.requests("GET", "/me/").await.len();
    server
        .close
        .wait_for_requests("DELETE", &format!("/phone_number/{number}/"), 3)
        .await;
    server.close.wait_for_requests("GET", "/me/", me + 3).await;
    assert_eq!(desk_fields(&server, &number).await["releasing"], true);
    assert_eq!(usage(&server).await["held"], 1);
}

async fn a_404_does_not_prove_a_release_while_the_key_s_organization_is_unknown(database: Database) {
    let config = TestConfig {
        timeout: "4s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let other_organization =
        json!({ "id": server.user(0), "organizations": [{ "id": format!("orga_{}", "x".repeat(43)) }] });
    let unknown = json!({ "status": 404, "body": { "error": "PhoneNumber matching query does not exist." } });
    for me in [
        json!({ "status": 200, "body": other_organization }),
        json!({ "status": 503 }),
    ] {
        server
            .close
            .fault(json!({ "method": "DELETE", "answer": unknown }))
            .await;
        server.close.fault(json!({ "path": "/me/", "answer": me })).await;
        server.release(&ALICE, &number).await.expect(202);
        assert_eq!(desk_fields(&server, &number).await["releasing"], true);
        server.close.clear_faults().await;
    }
    wait_until_gone(&server, &number).await;
    assert_eq!(evidence(&server, &number).await, "close-200");
    assert!(server.close.held().await.is_empty());
}

async fn a_404_does_not_prove_a_release_if_the_key_was_replaced_meanwhile(database: Database) {
    let config = TestConfig {
        timeout: "40s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.close.person_releases(&number).await;
    server.close.set(json!({ "other_key": "api_another.key" })).await;
    // The delay is longer than the service needs to notice a changed key file.
    server
        .close
        .fault(json!({ "path": "/me/", "times": 1, "delay": "12s" }))
        .await;
    let me_count = server.close.requests("GET", "/me/").await.len();
    let replace = async {
        server.close.wait_for_requests("GET", "/me/", me_count + 1).await;
        std::fs::write(server.folder.path().join("close-api-key"), "api_another.key")
            .expect("the key file can be written");
    };
    let (answer, ()) = futures::join!(server.release(&ALICE, &number), replace);
    answer.expect(202);
    std::fs::write(server.folder.path().join("close-api-key"), server.close.api_key())
        .expect("the key file can be written");
    eventually("the number is gone", || async {
        // Makes the next attempt due. An attempt proves nothing until the first key is in use again.
        database
            .execute("UPDATE numbers SET releasing_at = 1 WHERE releasing_at IS NOT NULL")
            .await;
        (server.get(&ALICE, &number_path(&number)).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(evidence(&server, &number).await, "close-404");
}

async fn an_attempt_that_close_rejects_leaves_the_outcome_of_the_one_before_unknown(database: Database) {
    let config = TestConfig {
        timeout: "4s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let lost_answer =
        json!({ "method": "DELETE", "answer": "drop_before_headers", "effect": true, "times": 1 });
    server.close.fault(lost_answer).await;
    server.release(&ALICE, &number).await.expect(202);
    server.close.set(json!({ "key_valid": false })).await;
    server.release(&ALICE, &number).await.expect(202);
    assert_eq!(desk_fields(&server, &number).await["releasing"], true);
    assert_eq!(usage(&server).await["held"], 1);
    server.close.set(json!({ "key_valid": true })).await;
    wait_until_gone(&server, &number).await;
    assert_eq!(evidence(&server, &number).await, "close-404");
}

async fn releasing_a_number_that_a_person_released_in_close_succeeds(database: Database) {
    let server = TestServer::new(database).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.close.person_releases(&number).await;
    server.release(&ALICE, &number).await.empty(204);
    assert_eq!(evidence(&server, &number).await, "close-404");
    let other = server.rent(&ALICE, "other", "DE").await;
    server.release(&ALICE, &other).await.empty(204);
    assert_eq!(evidence(&server, &other).await, "close-200");
    assert_eq!(usage(&server).await["held"], 0);
}

async fn a_release_in_progress_ends_when_the_sync_finds_the_number_gone(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let lost_answer =
        json!({ "method": "DELETE", "answer": "drop_before_headers", "effect": true, "times": 1 });
    server.close.fault(lost_answer).await;
    server.release(&ALICE, &number).await.expect(202);
    // The service repeats the release only after 40 s. The sync finds the number gone before that.
    wait_until_gone(&server, &number).await;
    assert_eq!(evidence(&server, &number).await, "found-gone");
    assert_eq!(delete_count(&server, &number).await, 1);
    assert_eq!(
        audit_trail(&server, &number).await,
        audit_rows(&[
            ("number.release", "released", "alice"),
            ("number.release", "releasing", "alice")
        ])
    );
    assert_eq!(usage(&server).await["held"], 0);
}
