//! Random histories against a reference model: orders, repeats, cancellations, releases, people who rent and release in
//! Close, faults, lags, the passing of time, and crashes in the middle of anything. Each history follows from a seed,
//! which is named when one fails. `NUMBERDESK_TEST_SEEDS=5000` runs more of them, `NUMBERDESK_TEST_SEED=17` one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use numberdesk::desk::{Finding, Period};
use numberdesk::domain::audit_chain::Verifier;
use numberdesk::domain::authority::Scope;
use numberdesk::domain::caller::Caller;
use numberdesk::domain::id::{OrderId, PhoneNumberId};
use numberdesk::domain::order::{Order, Request, State};
use numberdesk::domain::time::Clock;
use numberdesk::error::Error;
use serde_json::{Value, json};

use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, with_postgres, with_sqlite};
use crate::support::desk::{SETTLE_AFTER, TestDesk, caller, cancel, order, release, request, settle_review};
use crate::support::history::{Dice, histories};

/// Histories on each store in an ordinary run.
const ON_SQLITE: u64 = 150;
const ON_POSTGRES: u64 = 100;
/// What happens in one.
const EVENTS: usize = 25;
/// How much longer than the settling period, and the time in which it is waited for the event log, anything may take.
const SLACK: Duration = Duration::from_mins(3);

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_keep_every_promise_on_sqlite() {
    let count = histories(ON_SQLITE, |seed| {
        Box::pin(with_sqlite(move |database| history(database, seed)))
    })
    .await;
    tell("SQLite", count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_keep_every_promise_on_postgres() {
    let count = histories(ON_POSTGRES, |seed| {
        Box::pin(with_postgres(move |database| history(database, seed)))
    })
    .await;
    tell("PostgreSQL", count);
}

fn tell(store: &str, count: usize) {
    println!(
        "model on {store}: {count} histories of {EVENTS} events, 0 double rents, 0 forgotten numbers, 0 caps exceeded, \
         0 wrong final states"
    );
}

/// What an app knows: which key led to which order.
struct Model {
    dice: Dice,
    callers: [Caller; 2],
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
        model.event(&mut test_desk).await;
        model.always_true(&test_desk).await;
    }
    model.in_the_end(&test_desk).await;
}

impl Model {
    async fn event(&mut self, test_desk: &mut TestDesk) {
        match self.dice.below(100) {
            0..40 => self.orders(test_desk).await,
            40..46 => self.cancels(test_desk).await,
            46..56 => self.releases(test_desk).await,
            56..64 => self.crashes(test_desk).await,
            64..68 => self.looks_from_elsewhere(test_desk).await,
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
            }
        }
    }

    /// A key always asks for the same.
    fn wish(&mut self) -> (usize, String, Request) {
        let (team, nth) = (self.dice.below(2), self.dice.below(8));
        let country = if nth % 2 == 0 { "DE" } else { "US" };
        let mut body = json!({ "country": country, "carrier_type": "local" });
        if nth % 4 == 3 {
            body["prefix"] = json!("415");
        }
        (team, format!("key-{nth}"), request(&body))
    }

    async fn arms(&mut self, test_desk: &TestDesk, path: &str) {
        if !self.dice.chance(55) {
            return;
        }
        let status = |status: u16, body: Value| json!({ "status": status, "body": body });
        let broken = [
            json!("drop_before_headers"),
            json!("drop_in_body"),
            json!("garbage"),
            json!("truncate"),
            status(500, Value::Null),
            status(503, json!("<html>")),
            status(408, json!("timeout")),
            status(404, json!("<html>")),
        ];
        let certain = [
            status(400, json!({ "status": "billing-error" })),
            status(403, json!({ "error": "Not allowed." })),
            json!({ "status": 429, "headers": { "retry-after": "1" } }),
        ];
        let (answer, effect) = if self.dice.chance(75) {
            (self.dice.one(&broken), self.dice.chance(50))
        } else {
            (self.dice.one(&certain), false)
        };
        let fault = json!({ "path": path, "method": if path == RENT { "POST" } else { "DELETE" },
            "times": 1, "answer": answer, "effect": effect });
        test_desk.close.fault(fault).await;
    }

    async fn orders(&mut self, test_desk: &TestDesk) {
        self.arms(test_desk, RENT).await;
        let (team, key, body) = self.wish();
        let answer = test_desk.order(&self.callers[team], &key, &body).await;
        self.learn(team, key, answer.map(|placed| placed.order.id));
    }

    fn learn(&mut self, team: usize, key: String, answer: Result<OrderId, Error>) {
        match answer {
            Ok(id) => {
                let known = self.known.entry((team, key)).or_insert_with(|| id.clone());
                assert_eq!(*known, id, "a key led to two orders");
            }
            // Caps are allowed to say no; nothing else is.
            Err(Error::Denied { .. }) => {}
            Err(error) => panic!("an order was answered {error:?}"),
        }
    }

    async fn cancels(&mut self, test_desk: &TestDesk) {
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
            Err(error) => panic!("a cancellation was answered {error:?}"),
        }
    }

    async fn releases(&mut self, test_desk: &TestDesk) {
        self.arms(test_desk, "/phone_number/{id}/").await;
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
        // All callers here administer, so whose it is does not matter.
        match test_desk.run(release(&self.callers[0], &number)).await {
            Ok(_) | Err(Error::NotFound | Error::CloseRefused { .. } | Error::CloseUnavailable { .. }) => {}
            Err(error) => panic!("a release was answered {error:?}"),
        }
    }

    /// The process dies at some point of an order, a release or a step.
    async fn crashes(&mut self, test_desk: &mut TestDesk) {
        let slow = self.dice.chance(50);
        if slow {
            test_desk.close.set(json!({ "rent_latency": "15ms" })).await;
        }
        self.arms(test_desk, RENT).await;
        let (team, key, body) = self.wish();
        let ordered = test_desk.spawn(order(&self.callers[team], &key, &body));
        let other = test_desk.spawn(|desk| async move {
            let _ = desk.orders.recover().await;
            let _ = desk.orders.reconcile().await;
            let _ = desk.numbers.finish_releases().await;
            let _ = desk.audit.append().await;
        });
        // Anywhere between the first statement and the end.
        let polls = self.dice.below(400);
        for _ in 0..polls {
            if ordered.is_finished() && other.is_finished() {
                break;
            }
            tokio::task::yield_now().await;
        }
        test_desk.crash();
        drop((ordered, other));
        test_desk.wait_until_close_is_idle().await;
        test_desk.close.set(json!({ "rent_latency": "0s" })).await;
        test_desk.start().await;
        // An app that has no answer asks again.
        let answer = test_desk.order(&self.callers[team], &key, &body).await;
        self.learn(team, key, answer.map(|placed| placed.order.id));
    }

    /// Another replica does its steps at the same time.
    async fn looks_from_elsewhere(&mut self, test_desk: &TestDesk) {
        let (other, _process) = test_desk.another_replica().await;
        let elsewhere = async {
            let _ = other.desk.orders.recover().await;
            let _ = other.desk.orders.reconcile().await;
            let _ = other.desk.numbers.finish_releases().await;
        };
        tokio::join!(test_desk.run_steps(), elsewhere);
        other.wait_until_idle().await;
        test_desk.wait_until_close_is_idle().await;
    }

    /// What no moment may break.
    async fn always_true(&self, test_desk: &TestDesk) {
        let orders = test_desk.orders().await;
        let numbers: Vec<&PhoneNumberId> = orders
            .iter()
            .filter_map(|order| order.phone_number_id.as_ref())
            .collect();
        let distinct: BTreeSet<&PhoneNumberId> = numbers.iter().copied().collect();
        assert_eq!(numbers.len(), distinct.len(), "a number is two orders'");
        let keys: BTreeSet<_> = orders
            .iter()
            .map(|order| (&order.team, order.idempotency_key.as_str()))
            .collect();
        assert_eq!(keys.len(), orders.len(), "a key has two orders");
        let now = Clock::system().now();
        for caller in &self.callers {
            let usage = test_desk
                .store()
                .usage(&caller.teams[0], now)
                .await
                .expect("usage can be read");
            if caller.teams[0].as_str() == "sales" {
                assert!(
                    usage.numbers_held + usage.numbers_reserved <= MAX_NUMBERS,
                    "{usage:?}"
                );
            } else {
                assert!(
                    usage.monthly_held.plus(usage.monthly_reserved).cents() <= BUDGET,
                    "{usage:?}"
                );
            }
        }
        let begun = test_desk
            .database
            .ask("SELECT COUNT(*) FROM audit WHERE action = 'order.send' AND outcome = 'renting'")
            .await;
        let sent = test_desk.close.rents().await.len();
        assert!(
            i64::try_from(sent).expect("a count") <= begun,
            "{sent} calls for {begun} claims on disk"
        );
    }

    /// What must be true once Close is well and time has passed.
    async fn in_the_end(&self, test_desk: &TestDesk) {
        test_desk.wait_until_close_is_idle().await;
        test_desk.close.clear_faults().await;
        test_desk
            .close
            .set(json!({ "listing_lag": "0s", "event_lag": "0s" }))
            .await;
        test_desk.advance_clock(Duration::from_mins(1));
        let took = test_desk.settle().await;
        assert!(took <= SETTLE_AFTER * 2 + SLACK, "unsettled for {took:?}");
        self.a_person_settles_what_is_left(test_desk).await;
        test_desk.settle().await;
        // Releases whose outcome is not known are ended, and what people did in Close is found out.
        for _ in 0..3 {
            test_desk.advance_clock(SETTLE_AFTER * 2);
            test_desk.run_steps().await;
            test_desk
                .run(|desk| async move { desk.sync.compare().await })
                .await
                .expect("Close is well");
        }
        self.always_true(test_desk).await;
        let orders = test_desk.orders().await;
        let open: Vec<&Order> = orders.iter().filter(|order| !order.state.is_final()).collect();
        assert!(open.is_empty(), "{open:?}");

        let (_, rented) = test_desk.rented_by_key().await;
        let fulfilled: BTreeSet<String> = orders
            .iter()
            .filter(|order| order.state == State::Fulfilled)
            .map(|order| order.phone_number_id.as_ref().expect("its number").to_string())
            .collect();
        assert_eq!(
            rented, fulfilled,
            "numbers rented by the desk's key, and orders fulfilled"
        );
        let held: BTreeSet<String> = test_desk
            .close
            .held()
            .await
            .iter()
            .map(|number| number["id"].as_str().expect("an id").to_owned())
            .collect();
        let known = test_desk
            .store()
            .known_number_ids(Clock::system().now().plus(Duration::from_hours(48)))
            .await;
        let known: BTreeSet<String> = known
            .expect("numbers can be read")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            held, known,
            "numbers that Close has, and numbers of the inventory"
        );
        let untold = test_desk
            .database
            .ask(
                "SELECT COUNT(*) FROM orders o WHERE NOT EXISTS \
                    (SELECT 1 FROM audit a WHERE a.order_id = o.id AND a.outcome = o.state)",
            )
            .await;
        assert_eq!(untold, 0, "orders whose end has no audit row");
        test_desk
            .run(|desk| async move { desk.audit.append().await })
            .await
            .expect("the trail can be sealed");
        chain_holds(test_desk).await;
        assert_books_balance(&test_desk.database).await;
    }

    /// An operator knows what Close rented for the desk's key, and which of it no order has.
    async fn a_person_settles_what_is_left(&self, test_desk: &TestDesk) {
        loop {
            let orders = test_desk.orders().await;
            let taken: BTreeSet<String> = orders
                .iter()
                .filter_map(|order| Some(order.phone_number_id.as_ref()?.to_string()))
                .collect();
            let Some(order) = orders.iter().find(|order| order.state == State::NeedsReview) else {
                return;
            };
            let numbers = test_desk.close.numbers().await;
            let its = numbers.iter().find(|number| {
                number["_control"]["made_by"] == "api"
                    && number["country"] == order.request.country.as_str()
                    && !taken.contains(number["id"].as_str().expect("an id"))
            });
            let finding = its.map_or(Finding::Absent, |number| {
                Finding::Number(number["id"].as_str().expect("an id").parse().expect("an id"))
            });
            test_desk
                .run(settle_review(&self.callers[0], &order.id, finding.clone()))
                .await
                .unwrap_or_else(|error| panic!("{finding:?} of {order:?}: {error:?}"));
        }
    }
}

/// The audit trail is one chain from its first row to its head, and nothing is left out.
async fn chain_holds(test_desk: &TestDesk) {
    let head = test_desk
        .store()
        .audit_head()
        .await
        .expect("a head can be read")
        .expect("a head");
    let mut verifier = Verifier::whole(Vec::new());
    loop {
        let links = test_desk
            .store()
            .chain_links(
                &Scope::system("test"),
                &Period::default(),
                verifier.at(),
                head.seq,
                500,
            )
            .await
            .expect("the chain can be read");
        if links.is_empty() {
            break;
        }
        for link in &links {
            verifier.check(link).expect("every row holds");
        }
    }
    verifier.finish(Some(&head)).expect("the chain ends at its head");
    assert_eq!(
        test_desk
            .store()
            .unchained_count()
            .await
            .expect("rows can be counted"),
        0
    );
}
