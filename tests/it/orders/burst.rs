//! A burst of a hundred thousand webhooks: each is stored before it is acknowledged, the service refetches by listings
//! instead of once for each webhook, and the inventory ends equal to Close.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::{StreamExt as _, stream};
use numberdesk::desk::{Ingested, SignatureKeySource};
use numberdesk::error::Error;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::TestDesk;
use crate::support::server::{WEBHOOK_KEY, text};
use crate::support::webhook::{delivery, event, key, signature};

on_both_stores! {
    a_hundred_thousand_webhooks_are_stored_and_refetched_by_listings,
}

const EVENTS: usize = 100_000;
const NUMBERS: usize = 300;
/// Deliveries in progress at the same time.
const CONCURRENCY: usize = 200;

async fn a_hundred_thousand_webhooks_are_stored_and_refetched_by_listings(database: Database) {
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
    let request_count = |path: &'static str| async { test_desk.close.requests("GET", path).await.len() };
    let (pages, single_reads) = (
        request_count("/phone_number/").await,
        request_count("/phone_number/{id}/").await,
    );
    // The refetch step runs all the time, as its worker does.
    let done = Arc::new(AtomicBool::new(false));
    let (stop, started) = (done.clone(), Instant::now());
    let refetching = test_desk.spawn(move |desk| async move {
        while !stop.load(Ordering::Relaxed) {
            // The worker repeats a step that fails because Close answers slowly.
            match desk.sync.refetch().await {
                Ok(()) | Err(Error::CloseUnavailable { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
        desk.sync.refetch().await.unwrap();
    });
    let timestamp = test_desk.replica().desk.now().as_seconds().to_string();
    let signer = key();
    let new_count = stream::iter(0..EVENTS)
        .map(|index| {
            let body = delivery(&event(&index.to_string(), "updated", &numbers[index % NUMBERS]));
            let hash = signature(&signer, &timestamp, &body);
            let timestamp = timestamp.clone();
            let ingesting = test_desk.spawn(|desk| async move {
                desk.sync
                    .ingest(Some(&hash), Some(&timestamp), body.as_bytes())
                    .await
                    .unwrap()
            });
            async move { ingesting.await.unwrap() }
        })
        .buffer_unordered(CONCURRENCY)
        .filter(|received| std::future::ready(*received == Ingested::New))
        .count()
        .await;
    assert_eq!(new_count, EVENTS);
    let ingest_time = started.elapsed();
    assert_eq!(
        database.query_integer("SELECT COUNT(*) FROM inbox").await,
        i64::try_from(EVENTS).unwrap()
    );
    done.store(true, Ordering::Relaxed);
    refetching.await.unwrap();
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM errands").await, 0);
    let (pages, single_reads) = (
        request_count("/phone_number/").await - pages,
        request_count("/phone_number/{id}/").await - single_reads,
    );
    assert!(
        pages + single_reads < EVENTS / 10,
        "{pages} pages and {single_reads} single reads"
    );
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
        "burst on {}: {EVENTS} webhooks stored within {ingest_time:.1?}, refetched by {pages} pages of listings and \
         {single_reads} reads of one number, 0 lost",
        database.kind()
    );
}
