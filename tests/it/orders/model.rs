//! Random histories that are checked against a model: after each step and at the end, every guarantee holds.
//!
//! The steps are orders, repeated requests, cancellations, releases, rents and releases by people in Close, faults,
//! lags, records that can't be read, time that passes, clocks that are set to a wrong time, crashes at any point, and
//! restores of the database. A seed determines each history, and a failure prints its seed.
//! `NUMBERDESK_TEST_SEEDS=5000` runs more histories, `NUMBERDESK_TEST_SEED=17` runs only this one.

mod checks;
mod oddities;
mod restore;
mod settle;

use std::collections::BTreeMap;
use std::time::Duration;

use numberdesk::desk::Desk;
use numberdesk::domain::caller::Caller;
use numberdesk::domain::id::{OrderId, PhoneNumberId};
use numberdesk::domain::order::Request;
use numberdesk::error::Error;
use serde_json::{Value, json};

use crate::support::close::RENT;
use crate::support::database::Database;
use crate::support::desk::{TestDesk, caller, cancel, order, release, request};
use crate::support::history::{Dice, random_histories};

/// The number of histories on each store, unless the environment sets another.
const ON_SQLITE: u64 = 150;
const ON_POSTGRES: u64 = 100;
/// Steps of one history.
const EVENTS: usize = 30;

/// Prices above what the simulated Close bills, so that no bill can exceed a budget.
const POLICY: &str = r#"
[teams.sales]
countries = ["DE", "US"]
assign_to = "anyone"
max_numbers = 4

[teams.support]
countries = ["DE", "US"]
assign_to = "anyone"
monthly_budget = "19.00"
release_delay = "2m"

[prices]
default = "6.00"
"#;
const MAX_NUMBERS: i64 = 4;
const BUDGET: i64 = 1_900;

random_histories! {
    random_histories_keep_every_guarantee: history, "orders", on_sqlite: ON_SQLITE, on_postgres: ON_POSTGRES
}

/// The order that each key of each team led to.
type Known = BTreeMap<(usize, String), OrderId>;

/// The state of one history: what its client and its operator know.
struct Model {
    dice: Dice,
    callers: [Caller; 2],
    known: Known,
    /// The copies of the database.
    backups: Vec<restore::Backup>,
    /// What the database can't know any more, because it was restored.
    forgotten: restore::Forgotten,
    /// The calls that Close had received when the service began to hold orders, while it does.
    held: Option<restore::PaidCalls>,
    /// Whether a clock has been wrong, so that the database may have wrong times.
    clock_was_wrong: bool,
    figures: Figures,
}

/// What happened in one history.
#[derive(Debug, Default)]
struct Figures {
    crashes: usize,
    restores: usize,
    holds: usize,
    clocks: usize,
    odd_records: usize,
    reviews: usize,
}

async fn history(database: Database, seed: u64) {
    let mut test_desk = TestDesk::new(database, POLICY, seed + 1).await;
    let mut model = Model {
        dice: Dice::new(seed),
        callers: [caller("sales"), caller("support")],
        known: Known::new(),
        backups: Vec::new(),
        forgotten: restore::Forgotten::default(),
        held: None,
        clock_was_wrong: false,
        figures: Figures::default(),
    };
    // From now on, the database knows every call.
    model.run_workers(&test_desk).await;
    test_desk.advance_clock(Duration::from_mins(1));
    for _ in 0..EVENTS {
        model.step(&mut test_desk).await;
        model.assert_invariants(&test_desk).await;
    }
    model.assert_final_state(&test_desk).await;
    let rents = test_desk.close.rents().await.len();
    println!(
        "history {seed}: {EVENTS} steps, {rents} rents, {:?}",
        model.figures
    );
}

impl Model {
    async fn step(&mut self, test_desk: &mut TestDesk) {
        if self.held.is_some() && self.dice.chance(15) {
            self.confirm(test_desk).await;
        }
        match self.dice.below(100) {
            0..36 => self.place_order(test_desk).await,
            36..41 => self.cancel_order(test_desk).await,
            41..49 => self.release_number(test_desk).await,
            49..56 => self.crash(test_desk).await,
            56..60 => self.run_second_replica(test_desk).await,
            60..63 => {
                let body = json!({ "country": self.dice.one(&["DE", "US"]), "carrier_type": "local" });
                test_desk.close.person_rents(body).await;
            }
            63..66 => {
                let held = test_desk.close.held().await;
                if !held.is_empty() {
                    let id = self.dice.one(&held)["id"].as_str().expect("an id").to_owned();
                    test_desk.close.person_releases(&id).await;
                }
            }
            66..70 => {
                let (listing, events) = (self.dice.one(&["0s", "20s"]), self.dice.one(&["0s", "20s"]));
                test_desk
                    .close
                    .set(json!({ "listing_lag": listing, "event_lag": events }))
                    .await;
            }
            70..74 => self.synchronize(test_desk).await,
            74..77 => test_desk.close.clear_faults().await,
            77..81 => self.set_clock(test_desk),
            81..85 => self.make_record_odd(test_desk).await,
            85..88 => self.back_up(test_desk).await,
            88..91 => self.restore(test_desk).await,
            _ => {
                test_desk.wait_until_close_is_idle().await;
                let seconds = self.dice.one(&[1, 10, 40, 120, 301]);
                test_desk.advance_clock(Duration::from_secs(seconds));
                self.run_workers(test_desk).await;
                self.assert_queue_moves(test_desk).await;
            }
        }
    }

    /// Runs the workers' steps for orders, releases and holds once each.
    async fn run_workers(&self, test_desk: &TestDesk) {
        test_desk.run_steps().await;
        // Errors are ignored: a replica logs a failed step and repeats it.
        let steps = |desk: Desk| async move {
            let _ = desk.numbers.release_due().await;
            let _ = desk.holds.search_when_due().await;
        };
        test_desk.run(steps).await;
    }

    /// Synchronizes the inventory with Close, by its listing or by its event log.
    async fn synchronize(&mut self, test_desk: &TestDesk) {
        if self.dice.chance(50) {
            let _ = test_desk
                .run(|desk| async move { desk.sync.compare().await })
                .await;
            return;
        }
        let steps = |desk: Desk| async move {
            let _ = desk.sync.poll_event_log().await;
            let _ = desk.sync.refetch().await;
            let _ = desk.orders.explain_orphans().await;
        };
        test_desk.run(steps).await;
    }

    /// Chooses a team, a key and the request that belongs to the key.
    fn choose_order(&mut self) -> (usize, String, Request) {
        let (team, index) = (self.dice.below(2), self.dice.below(8));
        let country = if index % 2 == 0 { "DE" } else { "US" };
        let mut body = json!({ "country": country, "carrier_type": "local" });
        // Orders that overlap others of their country, and orders that overlap few.
        match index {
            3 => body["prefix"] = json!("415"),
            4 => body["prefix"] = json!("30"),
            6 => body["prefix"] = json!("89"),
            7 => body["prefix"] = json!("41"),
            _ => {}
        }
        (team, format!("key-{index}"), request(&body))
    }

    /// Perhaps adds a fault to the next call of this path at Close.
    async fn arm_fault(&mut self, test_desk: &TestDesk, path: &str) {
        if !self.dice.chance(55) {
            return;
        }
        let status = |status: u16, body: Value| json!({ "status": status, "body": body });
        let inconclusive = [
            json!("drop_before_headers"),
            json!("drop_in_body"),
            json!("garbage"),
            json!("truncate"),
            status(500, Value::Null),
            status(503, json!("<html>")),
            status(408, json!("timeout")),
            status(404, json!("<html>")),
        ];
        let conclusive = [
            status(400, json!({ "status": "billing-error" })),
            status(403, json!({ "error": "Not allowed." })),
            json!({ "status": 429, "headers": { "retry-after": "1" } }),
        ];
        let (answer, effect) = if self.dice.chance(75) {
            (self.dice.one(&inconclusive), self.dice.chance(50))
        } else {
            (self.dice.one(&conclusive), false)
        };
        let fault = json!({ "path": path, "method": if path == RENT { "POST" } else { "DELETE" },
            "times": 1, "answer": answer, "effect": effect });
        test_desk.close.fault(fault).await;
    }

    async fn place_order(&mut self, test_desk: &TestDesk) {
        self.arm_fault(test_desk, RENT).await;
        let (team, key, body) = self.choose_order();
        let answer = test_desk.order(&self.callers[team], &key, &body).await;
        self.record(team, key, answer.map(|created| created.order.id));
    }

    /// Records the order that a key led to, and asserts that it is always the same.
    fn record(&mut self, team: usize, key: String, answer: Result<OrderId, Error>) {
        match answer {
            Ok(id) => {
                let known = self.known.entry((team, key)).or_insert_with(|| id.clone());
                assert_eq!(*known, id, "a key led to two orders");
            }
            // Only a cap may deny an order.
            Err(Error::Denied { .. }) => {}
            Err(error) => panic!("an order failed: {error:?}"),
        }
    }

    async fn cancel_order(&mut self, test_desk: &TestDesk) {
        let known: Vec<_> = self
            .known
            .iter()
            .map(|((team, _), id)| (*team, id.clone()))
            .collect();
        if known.is_empty() {
            return;
        }
        let (team, id) = self.dice.one(&known);
        match test_desk.run(cancel(&self.callers[team], &id)).await {
            Ok(_) | Err(Error::OrderNotCancellable { .. }) => {}
            Err(error) => panic!("a cancellation failed: {error:?}"),
        }
    }

    async fn release_number(&mut self, test_desk: &TestDesk) {
        self.arm_fault(test_desk, "/phone_number/{id}/").await;
        let numbers: Vec<PhoneNumberId> = test_desk
            .orders()
            .await
            .into_iter()
            .filter_map(|order| order.phone_number_id)
            .collect();
        if numbers.is_empty() {
            return;
        }
        let number = self.dice.one(&numbers);
        // The callers are administrators, so each may release the numbers of both teams.
        match test_desk.run(release(&self.callers[0], &number)).await {
            Ok(_) | Err(Error::NotFound | Error::CloseRefused { .. } | Error::CloseUnavailable { .. }) => {}
            Err(Error::OrdersOnHold { .. }) if self.held.is_some() => {}
            Err(error) => panic!("a release failed: {error:?}"),
        }
    }

    /// Crashes the replica at a random point of an order and of the workers' steps, and starts it again.
    async fn crash(&mut self, test_desk: &mut TestDesk) {
        let slow = self.dice.chance(50);
        if slow {
            test_desk.close.set(json!({ "rent_latency": "15ms" })).await;
        }
        self.arm_fault(test_desk, RENT).await;
        let (team, key, body) = self.choose_order();
        let ordering = test_desk.spawn(order(&self.callers[team], &key, &body));
        let steps = test_desk.spawn(|desk| async move {
            let _ = desk.orders.recover().await;
            let _ = desk.orders.reconcile().await;
            let _ = desk.numbers.finish_releases().await;
            let _ = desk.audit.append().await;
        });
        // The crash comes anywhere between the first statement and the end, and so does a change of the clock.
        let polls = self.dice.below(400);
        let clock_changes_at = self.dice.chance(20).then(|| self.dice.below(400));
        for poll in 0..polls {
            if Some(poll) == clock_changes_at {
                self.set_clock(test_desk);
            }
            if ordering.is_finished() && steps.is_finished() {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.figures.crashes += 1;
        test_desk.crash();
        drop((ordering, steps));
        test_desk.wait_until_close_is_idle().await;
        test_desk.close.set(json!({ "rent_latency": "0s" })).await;
        if self.dice.chance(25) {
            self.copy_database(test_desk).await;
        }
        test_desk.start().await;
        // A client without an answer repeats the request.
        let answer = test_desk.order(&self.callers[team], &key, &body).await;
        self.record(team, key, answer.map(|created| created.order.id));
    }

    /// Runs the workers' steps on two replicas at the same time.
    async fn run_second_replica(&mut self, test_desk: &TestDesk) {
        let seconds = if self.dice.chance(50) {
            self.choose_clock()
        } else {
            0
        };
        let (other, _process) = test_desk.replica_with_a_clock_wrong_by(seconds).await;
        let other_steps = async {
            let _ = other.desk.orders.recover().await;
            let _ = other.desk.orders.reconcile().await;
            let _ = other.desk.numbers.finish_releases().await;
            let _ = other.desk.numbers.release_due().await;
        };
        tokio::join!(test_desk.run_steps(), other_steps);
        other.wait_until_idle().await;
        test_desk.wait_until_close_is_idle().await;
    }
}
