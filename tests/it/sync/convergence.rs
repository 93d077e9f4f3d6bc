//! Random histories of changes in Close, after which the inventory equals Close.
//!
//! Webhooks are lost, repeated, late and in any order. The event log alone is enough if Close logs every change. After
//! a change without an event, a complete listing is needed. A seed determines each history:
//! `NUMBERDESK_TEST_SEEDS=5000` runs more histories, `NUMBERDESK_TEST_SEED=17` runs only this one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use numberdesk::close::{self, CloseClient};
use numberdesk::desk::SignatureKeySource;
use numberdesk::domain::event::Event;
use numberdesk::domain::event_kind::EventKind;
use numberdesk::domain::number::Facts;
use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::{TestDesk, caller, list, order, release, request};
use crate::support::history::{Dice, random_histories};
use crate::support::server::{WEBHOOK_KEY, text};
use crate::support::webhook::{delivery, key, signature};

/// The number of histories on each store, unless the environment sets another.
const ON_SQLITE: u64 = 50;
const ON_POSTGRES: u64 = 30;
/// Changes in one history.
const EVENTS: usize = 30;

const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "US"]
assign_to = "anyone"
"#;

random_histories! {
    the_inventory_ends_equal_to_close: history, "inventory", on_sqlite: ON_SQLITE, on_postgres: ON_POSTGRES
}

on_both_stores! {
    a_replica_that_missed_deleted_events_reloads_the_whole_inventory,
}

async fn a_replica_that_missed_deleted_events_reloads_the_whole_inventory(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 1).await;
    let sales = caller("sales");
    test_desk
        .run(|desk| async move { desk.events.assign_sequence().await })
        .await
        .unwrap();
    let before = test_desk.run(list(&sales)).await.unwrap().rows.len();
    // Another replica learns of a number, and its events are deleted before this replica reads them.
    let (other, _process) = test_desk.another_replica().await;
    let id = text(&test_desk.close.person_rents(json!({ "country": "DE" })).await["id"]);
    other.desk.sync.compare().await.unwrap();
    let now = other.desk.now();
    while other.store.assign_sequence().await.unwrap() > 0 {}
    assert!(
        other
            .store
            .delete_events(now.plus(Duration::from_hours(1)), 1_000)
            .await
            .unwrap()
            > 0
    );
    let later = Event::new(now, EventKind::GroupChanged, None);
    other.store.write_event(&later).await.unwrap();
    test_desk
        .run(|desk| async move { desk.events.assign_sequence().await })
        .await
        .unwrap();
    let listed = test_desk.run(list(&sales)).await.unwrap().rows;
    assert_eq!(listed.len(), before + 1);
    assert!(listed.iter().any(|number| number.facts.id.as_str() == id));
}

struct History {
    dice: Dice,
    /// Versions of events for which the number of deliveries was chosen.
    decided: BTreeSet<(String, String)>,
    /// Deliveries that Close has sent and that have not arrived.
    in_flight: Vec<String>,
    /// Whether Close changed something without an event.
    silent: bool,
}

async fn history(database: Database, seed: u64) {
    let mut test_desk = TestDesk::new(database.clone(), POLICY, seed + 1).await;
    test_desk.webhooks = SignatureKeySource::Configured;
    test_desk.crash();
    start(&mut test_desk).await;
    // A bill also causes an event. The other changes without an event set `silent`.
    test_desk.close.set(json!({ "billing_emits_event": true })).await;
    // The event log is read from this moment on.
    test_desk
        .run(|desk| async move { desk.sync.poll_event_log().await })
        .await
        .unwrap();
    let mut history = History {
        dice: Dice::new(seed ^ 0x51_7cc1),
        decided: BTreeSet::new(),
        in_flight: Vec::new(),
        silent: false,
    };
    for _ in 0..EVENTS {
        history.change_close(&test_desk).await;
        history.send_deliveries(&test_desk).await;
        history.receive_deliveries(&test_desk).await;
        history.run_step(&mut test_desk).await;
    }
    test_desk
        .close
        .set(json!({ "listing_lag": "0s", "read_lag": "0s", "event_lag": "0s" }))
        .await;
    test_desk.advance_clock(Duration::from_secs(30));
    test_desk.wait_until_idle().await;
    // Without a listing: the event log is enough if Close logged every change.
    test_desk
        .run(|desk| async move { desk.sync.poll_event_log().await })
        .await
        .unwrap();
    while database.query_integer("SELECT COUNT(*) FROM errands").await > 0 {
        let _ = test_desk
            .run(|desk| async move { desk.sync.refetch().await })
            .await;
        test_desk.advance_clock(Duration::from_secs(30));
    }
    if history.silent {
        test_desk
            .run(|desk| async move { desk.sync.compare().await })
            .await
            .unwrap();
    }
    assert_inventory_equals_close(&test_desk, seed).await;
}

/// Starts a replica that knows the signature key of the webhooks.
async fn start(test_desk: &mut TestDesk) {
    test_desk.start().await;
    let keys = vec![WEBHOOK_KEY.parse().unwrap()];
    test_desk.replica().desk.subscription.set_keys(keys);
}

impl History {
    /// Changes something in Close, directly or through the service.
    async fn change_close(&mut self, test_desk: &TestDesk) {
        let held: Vec<String> = test_desk
            .close
            .held()
            .await
            .iter()
            .map(|number| text(&number["id"]))
            .collect();
        let country = self.dice.one(&["DE", "US"]);
        let silent = self.dice.chance(4);
        self.silent |= silent;
        match self.dice.below(10) {
            0..3 => {
                let fields = json!({ "country": country, "carrier_type": "local", "silent": silent });
                test_desk.close.person_rents(fields).await;
            }
            3..6 if !held.is_empty() => {
                let label = format!("label {}", self.dice.below(1_000));
                let fields = json!({ "label": label, "silent": silent });
                test_desk
                    .close
                    .person_changes(&self.dice.one(&held), fields)
                    .await;
            }
            6..8 if !held.is_empty() => {
                self.silent |= silent;
                test_desk.close.person_releases(&self.dice.one(&held)).await;
            }
            8 => {
                let wanted = request(&json!({ "country": country, "carrier_type": "local" }));
                let key = format!("key-{}", self.dice.below(1_000_000));
                test_desk
                    .run(order(&caller("sales"), &key, &wanted))
                    .await
                    .unwrap();
                test_desk.wait_until_idle().await;
            }
            9 if !held.is_empty() => {
                let number = self.dice.one(&held).parse().unwrap();
                let _ = test_desk.run(release(&caller("sales"), &number)).await;
            }
            _ => {}
        }
        test_desk.advance_clock(Duration::from_secs([0, 1, 7][self.dice.below(3)]));
    }

    /// Sends each new event of Close: once, several times, or not at all.
    async fn send_deliveries(&mut self, test_desk: &TestDesk) {
        for event in test_desk.close.log().await {
            let version = (text(&event["id"]), text(&event["date_updated"]));
            if !self.decided.insert(version) || self.dice.chance(25) {
                continue;
            }
            for _ in 0..=self.dice.below(3) {
                self.in_flight.push(delivery(&event));
            }
        }
    }

    /// Delivers some of the deliveries in flight, in any order.
    async fn receive_deliveries(&mut self, test_desk: &TestDesk) {
        while !self.in_flight.is_empty() && self.dice.chance(60) {
            let index = self.dice.below(self.in_flight.len());
            let body = self.in_flight.swap_remove(index);
            let timestamp = test_desk.replica().desk.now().as_seconds().to_string();
            let hash = signature(&key(), &timestamp, &body);
            test_desk
                .run(|desk| async move {
                    desk.sync
                        .ingest(Some(&hash), Some(&timestamp), body.as_bytes())
                        .await
                })
                .await
                .unwrap();
        }
    }

    /// Runs a step of a worker, lets time pass, or crashes the replica.
    async fn run_step(&mut self, test_desk: &mut TestDesk) {
        match self.dice.below(20) {
            0..9 => {
                let _ = test_desk
                    .run(|desk| async move { desk.sync.refetch().await })
                    .await;
            }
            9..11 => test_desk.advance_clock(Duration::from_mins(2)),
            11..13 => {
                let (listing, reading) = (self.dice.one(&["0s", "20s"]), self.dice.one(&["0s", "20s"]));
                test_desk
                    .close
                    .set(json!({ "listing_lag": listing, "read_lag": reading }))
                    .await;
            }
            13 => {
                let _ = test_desk
                    .run(|desk| async move { desk.sync.poll_event_log().await })
                    .await;
            }
            14 => {
                // Another replica claims refetch jobs and stops, perhaps before all of them are done.
                let (replica, process) = test_desk.another_replica().await;
                let _ = replica.desk.sync.refetch().await;
                drop(process);
            }
            15..17 => {
                // A crash in the middle of a refetch.
                let work = test_desk.spawn(|desk| async move { desk.sync.refetch().await });
                tokio::task::yield_now().await;
                test_desk.crash();
                drop(work);
                start(test_desk).await;
            }
            _ => {}
        }
    }
}

/// Asserts that the stored inventory and the inventory in memory equal Close's listing.
async fn assert_inventory_equals_close(test_desk: &TestDesk, seed: u64) {
    let base_url = test_desk.close.base_url().parse().unwrap();
    let settings = close::Settings::new(base_url, Duration::from_secs(10));
    let close = CloseClient::new(
        settings,
        test_desk.close.api_key().to_owned().into(),
        Clock::system(),
    )
    .unwrap();
    let by_id = |facts: Vec<Facts>| -> BTreeMap<_, _> {
        facts.into_iter().map(|facts| (facts.id.clone(), facts)).collect()
    };
    let theirs = by_id(close.numbers().await.unwrap().items);
    // The last change may be from another replica. It arrives by the event feed.
    test_desk
        .run(|desk| async move { desk.events.assign_sequence().await })
        .await
        .unwrap();
    let page = test_desk.run(list(&caller("sales"))).await.unwrap();
    assert!(page.next.is_none());
    let listed = by_id(page.rows.iter().map(|number| number.facts.clone()).collect());
    let stored = test_desk.store().numbers_after(None, 1_000).await.unwrap();
    let ours = by_id(stored.into_iter().map(|number| number.facts).collect());
    let ids = |map: &BTreeMap<_, Facts>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&listed), ids(&theirs), "history {seed}");
    assert_eq!(ids(&ours), ids(&theirs), "history {seed}");
    for (id, facts) in &theirs {
        assert_eq!(listed[id], ours[id], "history {seed}: {id}");
        assert_eq!(
            Value::from(ours[id].object.members()),
            Value::from(facts.object.members()),
            "history {seed}: {id}"
        );
    }
}
