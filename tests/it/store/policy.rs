//! What is told of the policy: once for all replicas, and again only when it is news.

use numberdesk::domain::event::Event;

use super::*;
use numberdesk::domain::page::Limit;
use numberdesk::store::AuditFilter;
use serde_json::json;

on_both_stores! {
    a_policy_that_comes_into_force_is_told_once_however_many_say_so,
    a_broken_policy_is_told_once_and_again_when_it_was_mended_between,
}

/// All that is in the feed.
async fn told(store: &Store) -> Vec<Event> {
    while store.assign_sequence().await.unwrap() > 0 {}
    let events = store.events(&Scope::system("test"), &[], 0, 100).await.unwrap();
    events.into_iter().map(|placed| placed.event).collect()
}

/// The trail, oldest first: what was done and how it ended.
async fn trail(store: &Store) -> Vec<AuditRow> {
    let filter = AuditFilter::default();
    let limit = Limit::new(100).unwrap();
    let page = store
        .audit(&Scope::system("test"), &filter, limit, None)
        .await
        .unwrap();
    page.rows.into_iter().rev().collect()
}

async fn a_policy_that_comes_into_force_is_told_once_however_many_say_so(database: Database) {
    let store = database.store().await;
    // The first there ever was changes nothing.
    assert_eq!(store.record_policy_in_force("aa", None, NOW).await.unwrap(), None);
    assert!(told(&store).await.is_empty() && trail(&store).await.is_empty());
    let mut replicas = Vec::new();
    for _ in 0..8 {
        let replica = database.open().await;
        replicas.push(tokio::spawn(async move {
            replica
                .record_policy_in_force("bb", None, later(1))
                .await
                .unwrap()
        }));
    }
    let mut by = Vec::new();
    for replica in replicas {
        by.extend(replica.await.unwrap());
    }
    assert_eq!(by, ["aa"], "one told it, and what was before");
    // Whoever starts with the same has no news; with what was before, it has.
    assert_eq!(
        store.record_policy_in_force("bb", None, later(2)).await.unwrap(),
        None
    );
    assert_eq!(
        store.record_policy_in_force("aa", None, later(3)).await.unwrap(),
        Some("bb".to_owned())
    );
    let (events, rows) = (told(&store).await, trail(&store).await);
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

async fn a_broken_policy_is_told_once_and_again_when_it_was_mended_between(database: Database) {
    let store = database.store().await;
    let rejected = async |digest: &str, at| {
        let faults = [format!("policy.toml:1: {digest}")];
        store
            .record_policy_rejected(digest, &faults, "aa", at)
            .await
            .unwrap()
    };
    store.record_policy_in_force("aa", None, NOW).await.unwrap();
    assert!(rejected("one", later(1)).await);
    assert!(!rejected("one", later(2)).await, "another replica finds the same");
    assert!(rejected("two", later(3)).await, "it is broken in another way");
    // Who had not seen that yet mends nothing of it.
    store
        .record_policy_in_force("aa", Some("one"), later(4))
        .await
        .unwrap();
    assert!(!rejected("two", later(5)).await);
    store
        .record_policy_in_force("aa", Some("two"), later(6))
        .await
        .unwrap();
    assert!(rejected("two", later(7)).await, "it was mended in between");
    let (events, rows) = (told(&store).await, trail(&store).await);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["policy.rejected"; 3]);
    assert_eq!(
        json!(events[0].data),
        json!({ "in_force": "aa", "faults": ["policy.toml:1: one"] })
    );
    assert!(rows.iter().all(|row| row.action == Action::PolicyReject));
    assert_eq!(rows[2].detail, json!(events[2].data));
}
