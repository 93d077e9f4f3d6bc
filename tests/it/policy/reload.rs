//! The policy file while desks serve: what changes is told to administrators, once, whoever starts and however often.

use serde_json::{Value, json};

use crate::support::binary::Serving;
use crate::support::database::{Database, on_both_stores, on_postgres};
use crate::support::people::{BOB, LENA, OLGA};
use crate::support::server::{POLICY, Setup, Stage, text};
use crate::support::{eventually, eventually_or};

on_both_stores! {
    a_policy_that_changes_or_breaks_is_told_once_to_administrators_alone,
}

fn write(stage: &Stage, policy: &str) {
    // By a rename, so that nobody reads the half of it.
    let file = stage.folder.path().join("policy.toml");
    let new = stage.folder.path().join("policy.new");
    std::fs::write(&new, policy).expect("it can be written");
    std::fs::rename(new, file).expect("it can be put in place");
}

async fn fingerprint(stage: &Stage) -> String {
    text(&stage.at_ops("/readyz").await.json()["policy"])
}

/// Events about the policy, once there are so many.
async fn told(stage: &Stage, count: usize) -> Vec<Value> {
    let path = "/v1/events?type=policy.changed,policy.rejected";
    let look = || async {
        let events = stage.list(&OLGA, path).await;
        (events.len() >= count).then_some(events)
    };
    eventually_or(|| format!("{count} events are told"), look).await
}

async fn a_policy_that_changes_or_breaks_is_told_once_to_administrators_alone(database: Database) {
    let mut stage = Stage::new(database).await;
    let first = fingerprint(&stage).await;
    // It was looked at: what the desk starts with is no change.
    file_is(&stage, "policy", true).await;
    let changed = format!("{POLICY}\n# secret-canary\n");
    write(&stage, &changed);
    let event = told(&stage, 1).await.remove(0);
    let second = fingerprint(&stage).await;
    assert_eq!(event["type"], "policy.changed");
    assert_eq!(event["team"], Value::Null);
    assert_eq!(event["data"], json!({ "old": first, "new": second }));

    write(&stage, &format!("{changed}[teams.sales2]\nmax_numbrs = 5\n"));
    let event = told(&stage, 2).await.remove(1);
    assert_eq!(event["type"], "policy.rejected");
    assert_eq!(event["data"]["in_force"], json!(second));
    let faults = event["data"]["faults"].as_array().expect("a list");
    let named = faults.iter().any(|fault| {
        let fault = fault.as_str().expect("a text");
        fault.contains("policy.toml:") && fault.contains("did you mean `max_numbers`?")
    });
    assert!(named, "{event}");
    assert!(!event.to_string().contains("secret-canary"), "{event}");
    let broken = file_is(&stage, "policy", false).await;
    assert!(text(&broken["wrong"]).contains("the last good one stays in force"));

    // As many looks as it takes to see that it is good again: nothing new is told of what is in force already.
    write(&stage, &changed);
    file_is(&stage, "policy", true).await;
    stage.stop().await;
    stage.start().await;
    stage.is_ready().await;
    file_is(&stage, "policy", true).await;
    assert_eq!(
        told(&stage, 2).await.len(),
        2,
        "a restart with the same is no news"
    );
    // What changed while nobody ran is told by whoever starts.
    stage.stop().await;
    write(&stage, POLICY);
    stage.start().await;
    stage.is_ready().await;
    let events = told(&stage, 3).await;
    assert_eq!(events[2]["data"], json!({ "old": second, "new": first }));

    let rows = stage.list(&OLGA, "/v1/audit").await;
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
        assert!(stage.list(person, "/v1/audit").await.is_empty());
        assert!(stage.list(person, "/v1/events").await.is_empty());
    }
}

/// What `/readyz?verbose` says of a file, once it says that.
async fn file_is(stage: &Stage, name: &str, good: bool) -> Value {
    eventually("the file is looked at", || async {
        let file = stage.at_ops("/readyz?verbose").await.json()["files"][name].clone();
        (file["good"] == good).then_some(file)
    })
    .await
}

mod three_replicas_tell_a_change_once {
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn on_postgres() {
        super::on_postgres(super::three_replicas_tell_a_change_once).await;
    }
}

async fn three_replicas_tell_a_change_once(database: Database) {
    let mut stage = Stage::with(database, Setup::default()).await;
    stage.stop().await;
    let mut replicas: Vec<Serving> = Vec::new();
    for _ in 0..3 {
        replicas.push(stage.serve().await);
    }
    let before = fingerprint(&stage).await;
    write(&stage, &format!("{POLICY}\n"));
    for replica in &replicas {
        stage.ops.clone_from(&replica.ops);
        eventually("every replica has it in force", || async {
            (fingerprint(&stage).await != before).then_some(())
        })
        .await;
    }
    write(&stage, "[teams");
    for replica in &replicas {
        stage.ops.clone_from(&replica.ops);
        file_is(&stage, "policy", false).await;
    }
    let after = fingerprint(&stage).await;
    let events = told(&stage, 2).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0]["data"], json!({ "old": before, "new": after }));
    assert_eq!(events[1]["type"], "policy.rejected");
}
