//! The feed: what is committed gets one place, and a reader who goes on from a place misses nothing.

use std::collections::BTreeSet;

use numberdesk::domain::event::{Event, EventKind};

use super::*;

on_both_stores! {
    an_event_is_in_the_feed_with_what_it_tells_and_not_without,
    writers_and_placers_at_once_give_every_event_one_place_and_readers_miss_none,
    a_change_is_told_to_this_process_before_it_is_read_elsewhere,
    what_is_old_is_forgotten_and_no_place_to_go_on_from,
}

fn event(team_name: &str, at: Timestamp) -> Event {
    Event::new(at, EventKind::OrderQueued, Some(&team(team_name)))
}

async fn kinds(store: &Store, scope: &Scope) -> Vec<String> {
    while store.assign_sequence().await.unwrap() > 0 {}
    let events = store.events(scope, &[], 0, 1_000).await.unwrap();
    events.into_iter().map(|placed| placed.event.kind).collect()
}

async fn an_event_is_in_the_feed_with_what_it_tells_and_not_without(database: Database) {
    let store = database.store().await;
    let sent = renting(&store, &order("sales", "one", "DE")).await;
    let refused_order = renting(&store, &order("support", "two", "FR")).await;
    let found = seen("a", NOW);
    assert!(settle(&store, &sent, fulfilled("a"), Some(&found)).await);
    assert!(settle(&store, &refused_order, refused(), None).await);
    // Settled twice, it is told once.
    assert!(!settle(&store, &sent, fulfilled("a"), Some(&found)).await);
    let of_sales = [
        "order.queued",
        "order.renting",
        "phone_number.assigned",
        "order.fulfilled",
    ];
    assert_eq!(kinds(&store, &scope("sales")).await, of_sales);
    let of_support = ["order.queued", "order.renting", "order.refused"];
    assert_eq!(kinds(&store, &scope("support")).await, of_support);
    // What belongs to nobody is for who sees everything.
    let all = kinds(&store, &Scope::system("test")).await;
    assert_eq!(all.len(), 8);
    assert!(all.contains(&"phone_number.added".to_owned()), "{all:?}");
    assert!(kinds(&store, &Scope::system("test").only(&[])).await.is_empty());
}

async fn writers_and_placers_at_once_give_every_event_one_place_and_readers_miss_none(database: Database) {
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
    // Goes on from place to place while they write, as a follower does.
    let (mut at, mut read) = (0, BTreeSet::new());
    while read.len() < WRITERS * EACH {
        store.assign_sequence().await.unwrap();
        for placed in store.events_after(at, 7).await.unwrap() {
            assert_eq!(placed.seq, at + 1, "places have no gap");
            at = placed.seq;
            assert!(read.insert(placed.event.id), "an event has one place");
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

async fn a_change_is_told_to_this_process_before_it_is_read_elsewhere(database: Database) {
    let store = database.store().await;
    let (news, before) = (store.new_events(), store.dirty_count());
    store.observe(&[seen("a", NOW)]).await.unwrap();
    news.notified().await;
    assert!(store.dirty_count() > before);
    let (count, touched) = store.take_dirty();
    assert_eq!(count, store.dirty_count());
    assert_eq!(touched.into_iter().collect::<Vec<_>>(), [number_id("a")]);
    // Taken is taken, and what could not be read is given back.
    assert!(store.take_dirty().1.is_empty());
    store.mark_dirty([number_id("b")]);
    assert!(store.dirty_count() > count);
    assert_eq!(store.take_dirty().1.len(), 1);
}

async fn what_is_old_is_forgotten_and_no_place_to_go_on_from(database: Database) {
    let store = database.store().await;
    let (old, new) = (event("sales", NOW), event("sales", later(100)));
    for event in [&old, &new] {
        store.write_event(event).await.unwrap();
    }
    // What has no place yet stays: nobody has been told of it.
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
