//! The event log: each committed event gets one sequence number, and a reader that resumes from one misses no event.

use std::collections::BTreeSet;

use numberdesk::domain::event::Event;
use numberdesk::domain::event_kind::EventKind;

use super::*;

on_both_stores! {
    an_event_is_stored_together_with_its_change,
    concurrent_writers_give_every_event_one_sequence_and_readers_miss_none,
    a_change_signals_its_own_process_and_marks_the_number_dirty,
    old_events_are_deleted_and_can_not_be_resumed_from,
}

fn event(team_name: &str, time: Timestamp) -> Event {
    Event::new(time, EventKind::OrderQueued, Some(&team(team_name)))
}

/// Assigns all sequence numbers and returns the kinds of the events in scope.
async fn kinds(store: &Store, scope: &Scope) -> Vec<String> {
    while store.assign_sequence().await.unwrap() > 0 {}
    let events = store.events(scope, &[], 0, 1_000).await.unwrap();
    events.into_iter().map(|sequenced| sequenced.event.kind).collect()
}

async fn an_event_is_stored_together_with_its_change(database: Database) {
    let store = database.store().await;
    let sent = renting(&store, &order("sales", "one", "DE")).await;
    let refused_order = renting(&store, &order("support", "two", "FR")).await;
    let found = observation("a", NOW);
    assert!(settle(&store, &sent, fulfilled("a"), Some(&found)).await);
    assert!(settle(&store, &refused_order, refused(), None).await);
    // A second settlement has no effect and no event.
    assert!(!settle(&store, &sent, fulfilled("a"), Some(&found)).await);
    let sales_kinds = [
        "order.queued",
        "order.renting",
        "phone_number.assigned",
        "order.fulfilled",
    ];
    assert_eq!(kinds(&store, &scope("sales")).await, sales_kinds);
    let support_kinds = ["order.queued", "order.renting", "order.refused"];
    assert_eq!(kinds(&store, &scope("support")).await, support_kinds);
    // Events without a team are only in the scope of the system.
    let all = kinds(&store, &Scope::system("test")).await;
    assert_eq!(all.len(), 8);
    assert!(all.contains(&"phone_number.added".to_owned()), "{all:?}");
    assert!(kinds(&store, &Scope::system("test").only(&[])).await.is_empty());
}

async fn concurrent_writers_give_every_event_one_sequence_and_readers_miss_none(database: Database) {
    const WRITERS: usize = 6;
    const EACH: usize = 30;
    let store = database.store().await;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            for nth in 0..EACH {
                store
                    .write_event(&event("sales", later((writer * EACH + nth) as u64)))
                    .await
                    .unwrap();
                if nth % 3 == writer % 3 {
                    store.assign_sequence().await.unwrap();
                }
            }
        }));
    }
    // Reads from position to position while the writers run, as a follower does.
    let (mut position, mut read) = (0, BTreeSet::new());
    while read.len() < WRITERS * EACH {
        store.assign_sequence().await.unwrap();
        for sequenced in store.events_after(position, 7).await.unwrap() {
            assert_eq!(sequenced.seq, position + 1, "sequence numbers have no gap");
            position = sequenced.seq;
            assert!(
                read.insert(sequenced.event.id),
                "an event has one sequence number"
            );
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.assign_sequence().await.unwrap(), 0);
    assert_eq!(
        store.last_sequence().await.unwrap(),
        i64::try_from(WRITERS * EACH).unwrap()
    );
}

async fn a_change_signals_its_own_process_and_marks_the_number_dirty(database: Database) {
    let store = database.store().await;
    let (new_events, before) = (store.new_events(), store.dirty_count());
    store.observe(&[observation("a", NOW)]).await.unwrap();
    new_events.notified().await;
    assert!(store.dirty_count() > before);
    let (count, dirty) = store.take_dirty();
    assert_eq!(count, store.dirty_count());
    assert_eq!(dirty.into_iter().collect::<Vec<_>>(), [number_id("a")]);
    // Taking clears the set. A number that could not be read is marked again.
    assert!(store.take_dirty().1.is_empty());
    store.mark_dirty([number_id("b")]);
    assert!(store.dirty_count() > count);
    assert_eq!(store.take_dirty().1.len(), 1);
}

async fn old_events_are_deleted_and_can_not_be_resumed_from(database: Database) {
    let store = database.store().await;
    let (old, new) = (event("sales", NOW), event("sales", later(100)));
    for event in [&old, &new] {
        store.write_event(event).await.unwrap();
    }
    // An event without a sequence number is kept, because no reader has seen it.
    assert_eq!(store.delete_events(later(50), 10).await.unwrap(), 0);
    store.assign_sequence().await.unwrap();
    assert_eq!(
        store.sequence_of(&scope("sales"), &old.id).await.unwrap(),
        Some(1)
    );
    assert_eq!(store.sequence_of(&scope("support"), &old.id).await.unwrap(), None);
    assert_eq!(store.delete_events(later(50), 10).await.unwrap(), 1);
    assert_eq!(store.sequence_of(&scope("sales"), &old.id).await.unwrap(), None);
    assert_eq!(
        store.sequence_of(&scope("sales"), &new.id).await.unwrap(),
        Some(2)
    );
}
