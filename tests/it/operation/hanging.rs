//! One call to Close that hangs keeps no other work waiting.
//!
//! The call may take longer than a test waits for the other work.

use serde_json::json;

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::LENA;
use crate::support::server::{POLICY, TestConfig, TestServer};

on_both_stores! {
    a_number_that_close_does_not_show_keeps_the_changes_of_others_from_nobody,
    a_release_that_hangs_keeps_no_other_release_waiting,
}

/// Longer than a test waits for anything.
const TIMEOUT: &str = "120s";

fn hang(method: &str, number: &str) -> serde_json::Value {
    json!({ "method": method, "path": format!("/phone_number/{number}/"), "answer": "hang" })
}

async fn rent(server: &TestServer, count: usize) -> Vec<String> {
    let mut numbers = Vec::new();
    for nth in 0..count {
        numbers.push(server.rent(&LENA, &format!("key-{nth}"), "DE").await);
    }
    numbers
}

async fn a_number_that_close_does_not_show_keeps_the_changes_of_others_from_nobody(database: Database) {
    let config = TestConfig {
        subscribe: true,
        timeout: TIMEOUT,
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let numbers = rent(&server, 12).await;
    let (hanging, others) = numbers.split_first().expect("there are numbers");
    server.close.fault(hang("GET", hanging)).await;
    let change = json!({ "label": "changed in Close" });
    server.close.person_changes(hanging, change.clone()).await;
    let path = format!("/phone_number/{hanging}/");
    server.close.wait_for_requests("GET", &path, 1).await;
    for number in others {
        server.close.person_changes(number, change.clone()).await;
        // Each change arrives while the call hangs, also when it is the only one.
        eventually("the service shows the change of another number", || async {
            let path = format!("/v1/phone-numbers/{number}");
            let shown = server.get(&LENA, &path).await.expect(200);
            (shown["label"] == change["label"]).then_some(())
        })
        .await;
    }
}

async fn a_release_that_hangs_keeps_no_other_release_waiting(database: Database) {
    let config = TestConfig {
        policy: POLICY.replacen("[teams.sales]", "[teams.sales]\nrelease_delay = \"1h\"", 1),
        timeout: TIMEOUT,
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let numbers = rent(&server, 6).await;
    for number in &numbers {
        assert_eq!(server.release(&LENA, number).await.status, 202);
    }
    let hanging = &numbers[0];
    server.close.fault(hang("DELETE", hanging)).await;
    let due = "UPDATE numbers SET release_at = 1, release_try_at = 1 WHERE release_at IS NOT NULL";
    database.execute(due).await;
    eventually("the other numbers are released", || async {
        let held = server.close.held().await;
        let is_alone = held.len() == 1 && held[0]["id"] == hanging.as_str();
        is_alone.then_some(())
    })
    .await;
    let path = format!("/phone_number/{hanging}/");
    assert_eq!(server.close.requests("DELETE", &path).await.len(), 1);
}
