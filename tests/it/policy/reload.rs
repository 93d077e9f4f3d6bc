//! Reloads of the policy file: each change or fault is one event, which only administrators see, also after restarts.

use serde_json::{Value, json};

use crate::support::binary::ServerProcess;
use crate::support::database::{Database, on_both_stores, with_postgres};
use crate::support::personas::{BOB, LENA, OLGA};
use crate::support::server::{POLICY, TestConfig, TestServer, text};
use crate::support::{eventually, eventually_or};

on_both_stores! {
    a_changed_or_invalid_policy_is_one_event_that_only_administrators_see,
}

/// Replaces the policy file by a rename, so that no process reads a part of it.
fn replace_policy(server: &TestServer, policy: &str) {
    let file = server.folder.path().join("policy.toml");
    let new = server.folder.path().join("policy.new");
    std::fs::write(&new, policy).expect("the file can be written");
    std::fs::rename(new, file).expect("the file can be renamed");
}

/// The fingerprint of the policy in force.
async fn fingerprint(server: &TestServer) -> String {
    text(&server.at_ops("/readyz").await.json()["policy"])
}

/// Waits for at least this many events about the policy.
async fn policy_events(server: &TestServer, count: usize) -> Vec<Value> {
    let path = "/v1/events?type=policy.changed,policy.rejected";
    let poll = || async {
        let events = server.list(&OLGA, path).await;
        (events.len() >= count).then_some(events)
    };
    eventually_or(|| format!("{count} events about the policy"), poll).await
}

async fn a_changed_or_invalid_policy_is_one_event_that_only_administrators_see(database: Database) {
    let mut server = TestServer::new(database).await;
    let first = fingerprint(&server).await;
    // The first read of the file is no change.
    wait_for_file_state(&server, "policy", true).await;
    let changed = format!("{POLICY}\n# secret-canary\n");
    replace_policy(&server, &changed);
    let event = policy_events(&server, 1).await.remove(0);
    let second = fingerprint(&server).await;
    assert_eq!(event["type"], "policy.changed");
    assert_eq!(event["team"], Value::Null);
    assert_eq!(event["data"], json!({ "old": first, "new": second }));

    replace_policy(&server, &format!("{changed}[teams.sales2]\nmax_numbrs = 5\n"));
    let event = policy_events(&server, 2).await.remove(1);
    assert_eq!(event["type"], "policy.rejected");
    assert_eq!(event["data"]["in_force"], json!(second));
    let faults = event["data"]["faults"].as_array().expect("a list");
    let named = faults.iter().any(|fault| {
        let fault = fault.as_str().expect("a text");
        fault.contains("policy.toml:") && fault.contains("did you mean `max_numbers`?")
    });
    assert!(named, "{event}");
    assert!(!event.to_string().contains("secret-canary"), "{event}");
    let broken = wait_for_file_state(&server, "policy", false).await;
    assert!(text(&broken["wrong"]).contains("the last valid policy stays in force"));

    // The file is valid again and equals the policy in force, so there is no new event.
    replace_policy(&server, &changed);
    wait_for_file_state(&server, "policy", true).await;
    server.stop().await;
    server.start().await;
    server.wait_until_ready().await;
    wait_for_file_state(&server, "policy", true).await;
    assert_eq!(
        policy_events(&server, 2).await.len(),
        2,
        "a restart with the same policy is no event"
    );
    // A change while the service is stopped is reported by the next start.
    server.stop().await;
    replace_policy(&server, POLICY);
    server.start().await;
    server.wait_until_ready().await;
    let events = policy_events(&server, 3).await;
    assert_eq!(events[2]["data"], json!({ "old": second, "new": first }));

    let rows = server.list(&OLGA, "/v1/audit").await;
    let rows: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| {
            (
                text(&row["action"]),
                text(&row["actor"]["subject"]),
                row["detail"].clone(),
            )
        })
        .collect();
    let expected: Vec<_> = events
        .iter()
        .map(|event| {
            let action = match event["type"].as_str() {
                Some("policy.changed") => "policy.change",
                _ => "policy.reject",
            };
            (action.to_owned(), "numberdesk".to_owned(), event["data"].clone())
        })
        .collect();
    assert_eq!(rows, expected);
    for person in [&LENA, &BOB] {
        assert!(server.list(person, "/v1/audit").await.is_empty());
        assert!(server.list(person, "/v1/events").await.is_empty());
    }
}

/// Waits until `/readyz?verbose` shows the file as valid or invalid, and returns its entry.
async fn wait_for_file_state(server: &TestServer, name: &str, good: bool) -> Value {
    eventually("the file has the expected state", || async {
        let file = server.at_ops("/readyz?verbose").await.json()["files"][name].clone();
        (file["good"] == good).then_some(file)
    })
    .await
}

mod three_replicas_report_a_policy_change_once {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() {
        super::with_postgres(super::three_replicas_report_a_policy_change_once).await;
    }
}

async fn three_replicas_report_a_policy_change_once(database: Database) {
    let mut server = TestServer::with(database, TestConfig::default()).await;
    server.stop().await;
    let mut replicas: Vec<ServerProcess> = Vec::new();
    for _ in 0..3 {
        replicas.push(server.start_process().await);
    }
    let before = fingerprint(&server).await;
    replace_policy(&server, &format!("{POLICY}\n"));
    for replica in &replicas {
        server.ops.clone_from(&replica.ops);
        eventually("every replica has the new policy in force", || async {
            (fingerprint(&server).await != before).then_some(())
        })
        .await;
    }
    replace_policy(&server, "[teams");
    for replica in &replicas {
        server.ops.clone_from(&replica.ops);
        wait_for_file_state(&server, "policy", false).await;
    }
    let after = fingerprint(&server).await;
    let events = policy_events(&server, 2).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0]["data"], json!({ "old": before, "new": after }));
    assert_eq!(events[1]["type"], "policy.rejected");
}
