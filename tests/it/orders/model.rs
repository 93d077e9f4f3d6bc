//! Random histories that are checked against a model: after each step and at the end, every guarantee holds.
//!
//! The steps are orders, repeated requests, cancellations, releases, rents and releases by people in Close, faults,
//! lags, time that passes, and crashes at any point. A seed determines each history, and a failure prints its seed.
//! `NUMBERDESK_TEST_SEEDS=5000` runs more histories, `NUMBERDESK_TEST_SEED=17` runs only this one.

mod checks;

use std::collections::BTreeMap;
use std::time::Duration;

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
const EVENTS: usize = 25;

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

[prices]
default = "6.00"
"#;
const MAX_NUMBERS: i64 = 4;
const BUDGET: i64 = 1_900;

random_histories! {
    random_histories_keep_every_guarantee: history, "orders", on_sqlite: ON_SQLITE, on_postgres: ON_POSTGRES
}

/// The state of one history: what its client knows.
struct Model {
    dice: Dice,
    callers: [Caller; 2],
    /// The order that each key of each team led to.
    known: BTreeMap<(usize, String), OrderId>,
}

async fn history(database: Database, seed: u64) {
    let mut test_desk = TestDesk::new(database, POLICY, seed + 1).await;
    let mut model = Model {
        dice: Dice::new(seed),
        callers: [caller("sales"), caller("support")],
        known: BTreeMap::new(),
    };
    for _ in 0..EVENTS {
        model.step(&mut test_desk).await;
        model.assert_invariants(&test_desk).await;
    }
    model.assert_final_state(&test_desk).await;
}

impl Model {
    async fn step(&mut self, test_desk: &mut TestDesk) {
        match self.dice.below(100) {
            0..40 => self.place_order(test_desk).await,
            40..46 => self.cancel_order(test_desk).await,
            46..56 => self.release_number(test_desk).await,
            56..64 => self.crash(test_desk).await,
            64..68 => self.run_second_replica(test_desk).await,
            68..72 => {
                let body = json!({ "country": self.dice.one(&["DE", "US"]), "carrier_type": "local" });
                test_desk.close.person_rents(body).await;
            }
            72..75 => {
                let held = test_desk.close.held().await;
                if !held.is_empty() {
                    let id = self.dice.one(&held)["id"].as_str().expect("an id").to_owned();
                    test_desk.close.person_releases(&id).await;
                }
            }
            75..80 => {
                let (listing, events) = (self.dice.one(&["0s", "20s"]), self.dice.one(&["0s", "20s"]));
                test_desk
                    .close
                    .set(json!({ "listing_lag": listing, "event_lag": events }))
                    .await;
            }
            80..84 => {
                let _ = test_desk
                    .run(|desk| async move { desk.sync.compare().await })
                    .await;
            }
            84..88 => test_desk.close.clear_faults().await,
            _ => {
                test_desk.wait_until_close_is_idle().await;
                let seconds = self.dice.one(&[1, 10, 40, 120, 301]);
                test_desk.advance_clock(Duration::from_secs(seconds));
                test_desk.run_steps().await;
                self.assert_queue_moves(test_desk).await;
            }
        }
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
        // The crash comes anywhere between the first statement and the end.
        let polls = self.dice.below(400);
        for _ in 0..polls {
            if ordering.is_finished() && steps.is_finished() {
                break;
            }
            tokio::task::yield_now().await;
        }
        test_desk.crash();
        drop((ordering, steps));
        test_desk.wait_until_close_is_idle().await;
        test_desk.close.set(json!({ "rent_latency": "0s" })).await;
        test_desk.start().await;
        // A client without an answer repeats the request.
        let answer = test_desk.order(&self.callers[team], &key, &body).await;
        self.record(team, key, answer.map(|created| created.order.id));
    }

    /// Runs the workers' steps on two replicas at the same time.
    async fn run_second_replica(&mut self, test_desk: &TestDesk) {
        let (other, _process) = test_desk.another_replica().await;
        let other_steps = async {
            let _ = other.desk.orders.recover().await;
            let _ = other.desk.orders.reconcile().await;
            let _ = other.desk.numbers.finish_releases().await;
        };
        tokio::join!(test_desk.run_steps(), other_steps);
        other.wait_until_idle().await;
        test_desk.wait_until_close_is_idle().await;
    }
}
