//! The policy file while desks serve: what changes is told to administrators, once, whoever starts and however often.

use serde_json::{Value, json};

use crate::support::binary::ServerProcess;
use crate::support::database::{Database, on_both_stores, with_postgres};
use crate::support::personas::{BOB, LENA, OLGA};
use crate::support::server::{POLICY, TestConfig, TestServer, text};
use crate::support::{eventually, eventually_or};

on_both_stores! {
    a_policy_that_changes_or_breaks_is_told_once_to_administrators_alone,
}

fn write(server: &TestServer, policy: &str) {
    // By a rename, so that nobody reads the half of it.
    let file = server.folder.path().join("policy.toml");
    let new = server.folder.path().join("policy.new");
    std::fs::write(&new, policy).expect("it can be written");
    std::fs::rename(new, file).expect("it can be put in place");
}

async fn fingerprint(server: &TestServer) -> String {
    text(&server.at_ops("/readyz").await.json()["policy"])
}

/// Events about the policy, once there are so many.
async fn told(server: &TestServer, count: usize) -> Vec<Value> {
    let path = "/v1/events?type=policy.changed,policy.rejected";
    let look = || async {
        let events = server.list(&OLGA, path).await;
        (events.len() >= count).then_some(events)
    };
    eventually_or(|| format!("{count} events are told"), look).await
}

async fn a_policy_that_changes_or_breaks_is_told_once_to_administrators_alone(database: Database) {
    let mut server = TestServer::new(database).await;
    let first = fingerprint(&server).await;
    // It was looked at: what the desk starts with is no change.
    file_is(&server, "policy", true).await;
    let changed = format!("{POLICY}\n# secret-canary\n");
    write(&server, &changed);
    let event = told(&server, 1).await.remove(0);
    let second = fingerprint(&server).await;
    assert_eq!(event["type"], "policy.changed");
    assert_eq!(event["team"], Value::Null);
    assert_eq!(event["data"], json!({ "old": first, "new": second }));

    write(&server, &format!("{changed}[teams.sales2]\nmax_numbrs = 5\n"));
    let event = told(&server, 2).await.remove(1);
    assert_eq!(event["type"], "policy.rejected");
    assert_eq!(event["data"]["in_force"], json!(second));
    let faults = event["data"]["faults"].as_array().expect("a list");
    let named = faults.iter().any(|fault| {
        let fault = fault.as_str().expect("a text");
        fault.contains("policy.toml:") && fault.contains("did you mean `max_numbers`?")
    });
    assert!(named, "{event}");
    assert!(!event.to_string().contains("secret-canary"), "{event}");
    let broken = file_is(&server, "policy", false).await;
    assert!(text(&broken["wrong"]).contains("the last valid policy stays in force"));

    // As many looks as it takes to see that it is good again: nothing new is told of what is in force already.
    write(&server, &changed);
    file_is(&server, "policy", true).await;
    server.stop().await;
    server.start().await;
    server.wait_until_ready().await;
    file_is(&server, "policy", true).await;
    assert_eq!(
        told(&server, 2).await.len(),
        2,
        "a restart with the same is no news"
    );
    // What changed while nobody ran is told by whoever starts.
    server.stop().await;
    write(&server, POLICY);
    server.start().await;
    server.wait_until_ready().await;
    let events = told(&server, 3).await;
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

/// What `/readyz?verbose` says of a file, once it says that.
async fn file_is(server: &TestServer, name: &str, good: bool) -> Value {
    eventually("the file is looked at", || async {
        let file = server.at_ops("/readyz?verbose").await.json()["files"][name].clone();
        (file["good"] == good).then_some(file)
    })
    .await
}

mod three_replicas_tell_a_change_once {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() {
        super::with_postgres(super::three_replicas_tell_a_change_once).await;
    }
}

async fn three_replicas_tell_a_change_once(database: Database) {
    let mut server = TestServer::with(database, TestConfig::default()).await;
    server.stop().await;
    let mut replicas: Vec<ServerProcess> = Vec::new();
    for _ in 0..3 {
        replicas.push(server.start_process().await);
    }
    let before = fingerprint(&server).await;
    write(&server, &format!("{POLICY}\n"));
    for replica in &replicas {
        server.ops.clone_from(&replica.ops);
        eventually("every replica has it in force", || async {
            (fingerprint(&server).await != before).then_some(())
        })
        .await;
    }
    write(&server, "[teams");
    for replica in &replicas {
        server.ops.clone_from(&replica.ops);
        file_is(&server, "policy", false).await;
    }
    let after = fingerprint(&server).await;
    let events = told(&server, 2).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0]["data"], json!({ "old": before, "new": after }));
    assert_eq!(events[1]["type"], "policy.rejected");
}
