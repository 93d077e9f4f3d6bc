//! Whatever happens in Close, and whatever becomes of its deliveries (lost, repeated, late, in any order), the inventory
//! ends equal to Close: by the event log alone where Close tells of everything, by a complete listing where it does not.
//! Each history follows from a seed; `NUMBERDESK_TEST_SEEDS` and `NUMBERDESK_TEST_SEED` choose, as for the model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use numberdesk::close::{self, CloseClient};
use numberdesk::desk::SignatureKeySource;
use numberdesk::domain::event::{Event, EventKind};
use numberdesk::domain::number::Facts;
use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores, with_postgres, with_sqlite};
use crate::support::desk::{TestDesk, caller, list, order, release, request};
use crate::support::history::{Dice, histories};
use crate::support::server::{WEBHOOK_KEY, text};
use crate::support::webhook::{delivery, key, signature};

/// Histories on each store in an ordinary run.
const ON_SQLITE: u64 = 50;
const ON_POSTGRES: u64 = 30;
/// What happens in one.
const EVENTS: usize = 30;

const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "US"]
assign_to = "anyone"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inventory_ends_equal_to_close_on_sqlite() {
    let count = histories(ON_SQLITE, |seed| {
        Box::pin(with_sqlite(move |database| history(database, seed)))
    })
    .await;
    tell("SQLite", count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inventory_ends_equal_to_close_on_postgres() {
    let count = histories(ON_POSTGRES, |seed| {
        Box::pin(with_postgres(move |database| history(database, seed)))
    })
    .await;
    tell("PostgreSQL", count);
}

fn tell(store: &str, count: usize) {
    println!(
        "convergence on {store}: {count} histories of {EVENTS} changes, 0 of them ended otherwise than Close"
    );
}

on_both_stores! {
    a_replica_that_was_told_nothing_for_longer_than_events_are_kept_reads_everything_anew,
}

async fn a_replica_that_was_told_nothing_for_longer_than_events_are_kept_reads_everything_anew(
    database: Database,
) {
    let test_desk = TestDesk::new(database, POLICY, 1).await;
    let sales = caller("sales");
    test_desk
        .run(|desk| async move { desk.events.assign_sequence().await })
        .await
        .unwrap();
    let before = test_desk.run(list(&sales)).await.unwrap().rows.len();
    // Another one learns of a number, and all that it told of it is forgotten before this one listens again.
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
    /// Versions of events whose fate was decided.
    told: BTreeSet<(String, String)>,
    /// What is still on its way.
    under_way: Vec<String>,
    /// Close changed something without telling.
    silent: bool,
}

async fn history(database: Database, seed: u64) {
    let mut test_desk = TestDesk::new(database.clone(), POLICY, seed + 1).await;
    test_desk.webhooks = SignatureKeySource::Configured;
    test_desk.crash();
    start(&mut test_desk).await;
    // What Close bills it tells, too; what it does not tell is `silent`.
    test_desk.close.set(json!({ "billing_emits_event": true })).await;
    // From here on the log is read.
    test_desk
        .run(|desk| async move { desk.sync.poll_event_log().await })
        .await
        .unwrap();
    let mut history = History {
        dice: Dice::new(seed ^ 0x51_7cc1),
        told: BTreeSet::new(),
        under_way: Vec::new(),
        silent: false,
    };
    for _ in 0..EVENTS {
        history.change(&test_desk).await;
        history.post(&test_desk).await;
        history.deliver(&test_desk).await;
        history.work(&mut test_desk).await;
    }
    test_desk
        .close
        .set(json!({ "listing_lag": "0s", "read_lag": "0s", "event_lag": "0s" }))
        .await;
    test_desk.advance_clock(Duration::from_secs(30));
    test_desk.wait_until_idle().await;
    // Without a listing: what the log tells is enough where Close tells of everything.
    test_desk
        .run(|desk| async move { desk.sync.poll_event_log().await })
        .await
        .unwrap();
    while database.ask("SELECT COUNT(*) FROM errands").await > 0 {
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
    equal(&test_desk, seed).await;
}

async fn start(test_desk: &mut TestDesk) {
    test_desk.start().await;
    let keys = vec![WEBHOOK_KEY.parse().unwrap()];
    test_desk.replica().desk.subscription.set_keys(keys);
}

impl History {
    /// Something happens in Close, or through the desk.
    async fn change(&mut self, test_desk: &TestDesk) {
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

    /// What Close has to tell goes out: once, several times, or not at all.
    async fn post(&mut self, test_desk: &TestDesk) {
        for event in test_desk.close.log().await {
            let version = (text(&event["id"]), text(&event["date_updated"]));
            if !self.told.insert(version) || self.dice.chance(25) {
                continue;
            }
            for _ in 0..=self.dice.below(3) {
                self.under_way.push(delivery(&event));
            }
        }
    }

    /// Some of what is under way arrives, in any order.
    async fn deliver(&mut self, test_desk: &TestDesk) {
        while !self.under_way.is_empty() && self.dice.chance(60) {
            let place = self.dice.below(self.under_way.len());
            let body = self.under_way.swap_remove(place);
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

    /// The desk does something of what it does all the time, or dies of it.
    async fn work(&mut self, test_desk: &mut TestDesk) {
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
                // Another replica takes what it finds, and dies with some of it.
                let (replica, process) = test_desk.another_replica().await;
                let _ = replica.desk.sync.refetch().await;
                drop(process);
            }
            15..17 => {
                // Cut off in the middle of a look.
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

/// The inventory, by the store and as it is listed, is what Close lists.
async fn equal(test_desk: &TestDesk, seed: u64) {
    let settings = close::Settings {
        base_url: test_desk.close.base_url().parse().unwrap(),
        timeout: Duration::from_secs(10),
    };
    let close = CloseClient::new(
        settings,
        test_desk.close.api_key().to_owned().into(),
        Clock::system(),
    )
    .unwrap();
    let by_id = |facts: Vec<Facts>| -> BTreeMap<_, _> {
        facts.into_iter().map(|facts| (facts.id.clone(), facts)).collect()
    };
    let theirs = by_id(close.numbers().await.unwrap());
    // Another replica may have had the last word: it comes by the feed.
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
