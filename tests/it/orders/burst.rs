//! A hundred thousand events within moments: each is durable when it is acknowledged, Close is asked by listings and not
//! a hundred thousand times, and the inventory ends equal to Close.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::{StreamExt as _, stream};
use numberdesk::desk::{Ingested, SignatureKeySource};
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::TestDesk;
use crate::support::server::{WEBHOOK_KEY, text};
use crate::support::webhook::{delivery, event, key, signature};

on_both_stores! {
    a_hundred_thousand_events_are_taken_in_and_answered_by_listings,
}

const EVENTS: usize = 100_000;
const NUMBERS: usize = 300;
/// Deliveries that are under way at once.
const AT_ONCE: usize = 200;

async fn a_hundred_thousand_events_are_taken_in_and_answered_by_listings(database: Database) {
    let mut test_desk = TestDesk::new(database.clone(), "", 7).await;
    test_desk.webhooks = SignatureKeySource::Configured;
    test_desk.crash();
    test_desk.start().await;
    test_desk
        .replica()
        .desk
        .subscription
        .set_keys(vec![WEBHOOK_KEY.parse().unwrap()]);
    let mut numbers = Vec::new();
    for nth in 0..NUMBERS {
        let fields = json!({ "country": "DE", "label": format!("n{nth}") });
        numbers.push(text(&test_desk.close.person_rents(fields).await["id"]));
    }
    let asked = |path: &'static str| async { test_desk.close.requests("GET", path).await.len() };
    let (pages, looks) = (asked("/phone_number/").await, asked("/phone_number/{id}/").await);
    // The step that reads back goes on all the while, as its worker does.
    let done = Arc::new(AtomicBool::new(false));
    let (told, began) = (done.clone(), Instant::now());
    let reading = test_desk.spawn(move |desk| async move {
        while !told.load(Ordering::Relaxed) {
            desk.sync.refetch().await.unwrap();
            tokio::task::yield_now().await;
        }
        desk.sync.refetch().await.unwrap();
    });
    let timestamp = test_desk.replica().desk.now().as_seconds().to_string();
    let signer = key();
    let fresh = stream::iter(0..EVENTS)
        .map(|nth| {
            let body = delivery(&event(&nth.to_string(), "updated", &numbers[nth % NUMBERS]));
            let hash = signature(&signer, &timestamp, &body);
            let timestamp = timestamp.clone();
            let delivered = test_desk.spawn(|desk| async move {
                desk.sync
                    .ingest(Some(&hash), Some(&timestamp), body.as_bytes())
                    .await
                    .unwrap()
            });
            async move { delivered.await.unwrap() }
        })
        .buffer_unordered(AT_ONCE)
        .filter(|received| std::future::ready(*received == Ingested::New))
        .count()
        .await;
    assert_eq!(fresh, EVENTS);
    let taken = began.elapsed();
    assert_eq!(
        database.ask("SELECT COUNT(*) FROM inbox").await,
        i64::try_from(EVENTS).unwrap()
    );
    done.store(true, Ordering::Relaxed);
    reading.await.unwrap();
    assert_eq!(database.ask("SELECT COUNT(*) FROM errands").await, 0);
    let (pages, looks) = (
        asked("/phone_number/").await - pages,
        asked("/phone_number/{id}/").await - looks,
    );
    assert!(pages + looks < EVENTS / 10, "{pages} pages and {looks} looks");
    let labels: BTreeMap<String, Value> = test_desk
        .store()
        .numbers_after(None, 1_000)
        .await
        .unwrap()
        .into_iter()
        .map(|number| (number.facts.id.to_string(), json!(number.facts.label)))
        .collect();
    for (nth, number) in numbers.iter().enumerate() {
        assert_eq!(labels[number], format!("n{nth}"));
    }
    println!(
        "burst on {}: {EVENTS} events taken in within {taken:.1?}, read back by {pages} pages of listings and {looks} \
         looks at one number, 0 lost",
        database.kind()
    );
}
