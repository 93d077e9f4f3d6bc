//! Records of policy changes: one for all replicas, and another one only after the next change.

use numberdesk::domain::event::Event;
use numberdesk::domain::page::Limit;
use numberdesk::store::{AuditFilter, PolicyInForce};
use serde_json::json;

use super::*;

on_both_stores! {
    a_policy_change_is_recorded_once_by_many_replicas,
    a_rejected_policy_is_recorded_once_and_again_after_a_repair,
}

/// The policy with this fingerprint, whose text is not kept.
fn policy(fingerprint: &str) -> PolicyInForce<'_> {
    PolicyInForce {
        fingerprint,
        text: None,
    }
}

/// Assigns all sequence numbers and returns all events.
async fn all_events(store: &Store) -> Vec<Event> {
    while store.assign_sequence().await.unwrap() > 0 {}
    let events = store.events(&Scope::system("test"), &[], 0, 100).await.unwrap();
    events.into_iter().map(|sequenced| sequenced.event).collect()
}

/// Returns all rows of the audit trail, oldest first.
async fn audit_rows(store: &Store) -> Vec<AuditRow> {
    let filter = AuditFilter::default();
    let limit = Limit::new(100).unwrap();
    let page = store
        .audit(&Scope::system("test"), &filter, limit, None)
        .await
        .unwrap();
    page.rows.into_iter().rev().collect()
}

async fn a_policy_change_is_recorded_once_by_many_replicas(database: Database) {
    let store = database.store().await;
    // The first policy is not a change.
    assert_eq!(
        store
            .record_policy_in_force(policy("aa"), None, NOW)
            .await
            .unwrap(),
        None
    );
    assert!(all_events(&store).await.is_empty() && audit_rows(&store).await.is_empty());
    let mut replicas = Vec::new();
    for _ in 0..8 {
        let replica = database.open().await;
        replicas.push(tokio::spawn(async move {
            replica
                .record_policy_in_force(policy("bb"), None, later(1))
                .await
                .unwrap()
        }));
    }
    let mut previous = Vec::new();
    for replica in replicas {
        previous.extend(replica.await.unwrap());
    }
    assert_eq!(
        previous,
        ["aa"],
        "exactly one replica recorded the change, and got the previous fingerprint"
    );
    // The same fingerprint is no change. A return to the previous one is a change.
    assert_eq!(
        store
            .record_policy_in_force(policy("bb"), None, later(2))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store
            .record_policy_in_force(policy("aa"), None, later(3))
            .await
            .unwrap(),
        Some("bb".to_owned())
    );
    let (events, rows) = (all_events(&store).await, audit_rows(&store).await);
    let changes = [
        json!({ "old": "aa", "new": "bb" }),
        json!({ "old": "bb", "new": "aa" }),
    ];
    assert_eq!((events.len(), rows.len()), (2, 2));
    for ((event, row), change) in events.iter().zip(&rows).zip(&changes) {
        assert_eq!(
            (event.kind.as_str(), &event.team, &json!(event.data)),
            ("policy.changed", &None, change)
        );
        assert_eq!((row.action, &row.team), (Action::PolicyChange, &None));
        assert_eq!(
            (&row.actor, row.outcome.as_str(), &row.detail),
            (&Actor::desk(), "changed", change)
        );
    }
}

async fn a_rejected_policy_is_recorded_once_and_again_after_a_repair(database: Database) {
    let store = database.store().await;
    let rejected = async |digest: &str, at| {
        let faults = [format!("policy.toml:1: {digest}")];
        store
            .record_policy_rejected(digest, &faults, "aa", at)
            .await
            .unwrap()
    };
    store
        .record_policy_in_force(policy("aa"), None, NOW)
        .await
        .unwrap();
    assert!(rejected("one", later(1)).await);
    assert!(
        !rejected("one", later(2)).await,
        "another replica rejects the same policy"
    );
    assert!(rejected("two", later(3)).await, "the policy has other faults");
    // A replica that knew only an older rejection does not clear this one.
    store
        .record_policy_in_force(policy("aa"), Some("one"), later(4))
        .await
        .unwrap();
    assert!(!rejected("two", later(5)).await);
    store
        .record_policy_in_force(policy("aa"), Some("two"), later(6))
        .await
        .unwrap();
    assert!(
        rejected("two", later(7)).await,
        "the policy was repaired in between"
    );
    let (events, rows) = (all_events(&store).await, audit_rows(&store).await);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["policy.rejected"; 3]);
    assert_eq!(
        json!(events[0].data),
        json!({ "in_force": "aa", "faults": ["policy.toml:1: one"] })
    );
    assert!(rows.iter().all(|row| row.action == Action::PolicyReject));
    assert_eq!(rows[2].detail, json!(events[2].data));
}
