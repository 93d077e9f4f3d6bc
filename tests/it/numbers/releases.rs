//! Releases: what Close has released is gone, what it has not is held, and until its time has come a release can be
//! called off.

mod matrix;
mod scheduled;

use serde_json::{Value, json};

use crate::support::books::usage;
use crate::support::close::FakeClose;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, LENA, OLGA};
use crate::support::server::{POLICY, TestConfig, TestServer, send, text};

on_both_stores! {
    a_key_of_another_organization_proves_nothing_of_a_number,
    a_404_proves_nothing_while_nobody_can_say_whose_the_key_is,
    a_404_proves_nothing_when_the_key_was_replaced_meanwhile,
    an_attempt_that_did_nothing_says_nothing_of_the_one_before,
    a_number_that_others_released_is_released,
    a_number_found_gone_ends_the_release_that_was_under_way,
}

const DUE: &str = "UPDATE numbers SET release_at = 1, release_try_at = 1 WHERE release_at IS NOT NULL";

/// Sales can call a release off for a day.
fn with_window() -> TestConfig {
    TestConfig {
        policy: POLICY.replacen("[teams.sales]", "[teams.sales]\nrelease_delay = \"24h\"", 1),
        ..TestConfig::default()
    }
}

fn path(number: &str) -> String {
    format!("/v1/phone-numbers/{number}")
}

async fn keep(server: &TestServer, number: &str) -> crate::support::response::ApiResponse {
    send(server.request_as(&ALICE, "POST", &format!("{}/keep", path(number)))).await
}

async fn deletes(server: &TestServer, number: &str) -> usize {
    let path = format!("/phone_number/{number}/");
    server.close.requests("DELETE", &path).await.len()
}

/// What an admin sees the desk know of the number.
async fn at_desk(server: &TestServer, number: &str) -> Value {
    server.get(&OLGA, &path(number)).await.expect(200)["desk"].clone()
}

async fn is_gone(server: &TestServer, number: &str) {
    eventually("the number is gone", || async {
        (server.get(&OLGA, &path(number)).await.status == 404).then_some(())
    })
    .await;
}

/// Action, outcome and actor of what was done to the number, newest first.
async fn trail(server: &TestServer, number: &str) -> Vec<(String, String, String)> {
    server
        .list(&OLGA, &format!("/v1/audit?phone_number_id={number}"))
        .await
        .iter()
        .filter(|row| row["action"] != "order.settle")
        .map(|row| {
            let said = |member: &Value| text(member);
            (
                said(&row["action"]),
                said(&row["outcome"]),
                said(&row["actor"]["subject"]),
            )
        })
        .collect()
}

async fn evidence(server: &TestServer, number: &str) -> Value {
    let rows = server
        .list(&LENA, &format!("/v1/audit?phone_number_id={number}"))
        .await;
    rows[0]["detail"]["evidence"].clone()
}

fn rows(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
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

async fn a_key_of_another_organization_proves_nothing_of_a_number(database: Database) {
    let config = TestConfig {
        timeout: "1s",
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    // Another organization answers where ours was, to a key of its own: it knows none of our numbers.
    let listen = server.stop_close().await;
    let options = close_sandbox::Options {
        listen,
        seed: 2,
        ..close_sandbox::Options::default()
    };
    server.close = FakeClose::start(options).await;
    std::fs::write(server.folder.path().join("close-api-key"), server.close.api_key())
        .expect("it can be written");
    // A desk that runs would not use it; one that starts has no other.
    server.stop().await;
    server.start().await;
    eventually("the new key is used", || async {
        let seen = server.close.requests("GET", "/me/").await;
        (seen.last()?["headers"]["authorization"] == "Basic (valid)").then_some(())
    })
    .await;
    let answer = server.release(&ALICE, &number).await.expect(202);
    assert_eq!(
        answer,
        json!({ "id": number, "state": "releasing", "release_at": null })
    );
    // Nor does asking again, by the desk or the team, or comparing the inventory.
    server.release(&ALICE, &number).await.expect(202);
    let me = server.close.requests("GET", "/me/").await.len();
    server
        .close
        .wait_for_requests("DELETE", &format!("/phone_number/{number}/"), 3)
        .await;
    server.close.wait_for_requests("GET", "/me/", me + 3).await;
    assert_eq!(at_desk(&server, &number).await["releasing"], true);
    assert_eq!(usage(&server).await["held"], 1);
}

async fn a_404_proves_nothing_while_nobody_can_say_whose_the_key_is(database: Database) {
    let config = TestConfig {
        timeout: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let stranger =
        json!({ "id": server.user(0), "organizations": [{ "id": format!("orga_{}", "x".repeat(43)) }] });
    let unknown = json!({ "status": 404, "body": { "error": "PhoneNumber matching query does not exist." } });
    for me in [
        json!({ "status": 200, "body": stranger }),
        json!({ "status": 503 }),
    ] {
        server
            .close
            .fault(json!({ "method": "DELETE", "answer": unknown }))
            .await;
        server.close.fault(json!({ "path": "/me/", "answer": me })).await;
        server.release(&ALICE, &number).await.expect(202);
        assert_eq!(at_desk(&server, &number).await["releasing"], true);
        server.close.clear_faults().await;
    }
    is_gone(&server, &number).await;
    assert_eq!(evidence(&server, &number).await, "close-200");
    assert!(server.close.held().await.is_empty());
}

async fn a_404_proves_nothing_when_the_key_was_replaced_meanwhile(database: Database) {
    let config = TestConfig {
        timeout: "40s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.close.person_releases(&number).await;
    server.close.set(json!({ "other_key": "api_another.key" })).await;
    // Longer than a changed key goes unnoticed.
    server
        .close
        .fault(json!({ "path": "/me/", "times": 1, "delay": "12s" }))
        .await;
    let looked = server.close.requests("GET", "/me/").await.len();
    let replace = async {
        server.close.wait_for_requests("GET", "/me/", looked + 1).await;
        std::fs::write(server.folder.path().join("close-api-key"), "api_another.key")
            .expect("it can be written");
    };
    let (answer, ()) = futures::join!(server.release(&ALICE, &number), replace);
    answer.expect(202);
    std::fs::write(server.folder.path().join("close-api-key"), server.close.api_key())
        .expect("it can be written");
    eventually("the number is gone", || async {
        // As long as the other key is in use, asking again is in vain.
        database
            .change("UPDATE numbers SET releasing_at = 1 WHERE releasing_at IS NOT NULL")
            .await;
        (server.get(&ALICE, &path(&number)).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(evidence(&server, &number).await, "close-404");
}

async fn an_attempt_that_did_nothing_says_nothing_of_the_one_before(database: Database) {
    let config = TestConfig {
        timeout: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let lost = json!({ "method": "DELETE", "answer": "drop_before_headers", "effect": true, "times": 1 });
    server.close.fault(lost).await;
    server.release(&ALICE, &number).await.expect(202);
    server.close.set(json!({ "key_valid": false })).await;
    server.release(&ALICE, &number).await.expect(202);
    assert_eq!(at_desk(&server, &number).await["releasing"], true);
    assert_eq!(usage(&server).await["held"], 1);
    server.close.set(json!({ "key_valid": true })).await;
    is_gone(&server, &number).await;
    assert_eq!(evidence(&server, &number).await, "close-404");
}

async fn a_number_that_others_released_is_released(database: Database) {
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

async fn a_number_found_gone_ends_the_release_that_was_under_way(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let lost = json!({ "method": "DELETE", "answer": "drop_before_headers", "effect": true, "times": 1 });
    server.close.fault(lost).await;
    server.release(&ALICE, &number).await.expect(202);
    // The desk asks again only after 40 s; a comparison with Close is quicker.
    is_gone(&server, &number).await;
    assert_eq!(evidence(&server, &number).await, "found-gone");
    assert_eq!(deletes(&server, &number).await, 1);
    assert_eq!(
        trail(&server, &number).await,
        rows(&[
            ("number.release", "released", "alice"),
            ("number.release", "releasing", "alice")
        ])
    );
    assert_eq!(usage(&server).await["held"], 0);
}
