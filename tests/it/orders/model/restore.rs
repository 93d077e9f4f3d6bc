//! Steps that copy the database and put a copy back, and the confirmation of a person afterwards.
//!
//! A restored database does not know what happened since its copy was made. So its client gets new orders for keys that
//! it has used, and numbers that were rented since belong to no order any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use numberdesk::desk::HoldAuthor;
use numberdesk::domain::hold::CallKind;
use numberdesk::domain::id::OrderId;
use numberdesk::domain::order::{Order, State};
use serde_json::Value;

use super::{Known, Model};
use crate::support::database::Database;
use crate::support::desk::{TestDesk, orders_in};

/// A copy of the database, and what was true when it was made.
#[derive(Clone)]
pub(super) struct Backup {
    database: Database,
    known: Known,
    /// How many rents the database knew of.
    rents: usize,
    calls: OwnCalls,
    held: bool,
}

/// What no database knows for certain, because it was forgotten in a restore.
#[derive(Default)]
pub(super) struct Forgotten {
    /// How many rents the database in use does not know of.
    pub(super) rents: usize,
    /// Numbers that were rented since the copy of a restore was made.
    pub(super) numbers: BTreeSet<String>,
    /// The number that an order got, for each order of a database that was given up.
    rented_for: BTreeMap<OrderId, String>,
}

/// How many calls that cost or destroy Close has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PaidCalls {
    rents: usize,
    releases: usize,
}

impl PaidCalls {
    pub(super) async fn of(test_desk: &TestDesk) -> Self {
        let releases = test_desk.close.requests("DELETE", "/phone_number/{id}/").await;
        Self {
            rents: test_desk.close.rents().await.len(),
            releases: releases.len(),
        }
    }
}

/// The numbers that Close rented and released for calls with the API key.
#[derive(Clone)]
struct OwnCalls {
    rented: BTreeSet<String>,
    released: BTreeSet<String>,
}

impl OwnCalls {
    async fn of(test_desk: &TestDesk) -> Self {
        let (_, rented) = test_desk.rented_by_key().await;
        let deletes = test_desk.close.requests("DELETE", "/phone_number/{id}/").await;
        let number = |delete: &Value| {
            let path = delete["path"].as_str().expect("a path").trim_end_matches('/');
            path.rsplit('/').next().expect("a segment").to_owned()
        };
        let released = deletes.iter().filter(|delete| delete["effect"] == true);
        Self {
            rented,
            released: released.map(number).collect(),
        }
    }
}

impl Model {
    /// Stops the replica as in a crash, copies the database, and starts the replica again.
    pub(super) async fn back_up(&mut self, test_desk: &mut TestDesk) {
        test_desk.crash();
        test_desk.wait_until_close_is_idle().await;
        self.copy_database(test_desk).await;
        test_desk.start().await;
    }

    /// Copies the database, which no replica uses.
    pub(super) async fn copy_database(&mut self, test_desk: &TestDesk) {
        let name = format!("copy_{}", self.backups.len());
        self.backups.push(Backup {
            database: test_desk.database.copy(&name).await,
            known: self.known.clone(),
            rents: PaidCalls::of(test_desk).await.rents - self.forgotten.rents,
            calls: OwnCalls::of(test_desk).await,
            held: self.held.is_some(),
        });
    }

    /// Puts back a copy of the database that was made at an earlier step.
    ///
    /// If Close shows calls that the copy does not explain, nothing is sent until a person has confirmed them.
    pub(super) async fn restore(&mut self, test_desk: &mut TestDesk) {
        if self.backups.is_empty() {
            return;
        }
        let backup = self.dice.one(&self.backups);
        test_desk.crash();
        test_desk.wait_until_close_is_idle().await;
        for order in stored_orders(&test_desk.database).await {
            if let Some(number) = order.phone_number_id {
                self.forgotten.rented_for.insert(order.id, number.to_string());
            }
        }
        let name = format!("restored_{}", self.figures.restores);
        self.figures.restores += 1;
        test_desk.database = backup.database.copy(&name).await;
        let (before, calls) = (PaidCalls::of(test_desk).await, OwnCalls::of(test_desk).await);
        self.known = backup.known.clone();
        self.forgotten.rents = before.rents - backup.rents;
        let rented: BTreeSet<String> = calls.rented.difference(&backup.calls.rented).cloned().collect();
        let released: BTreeSet<String> = calls
            .released
            .difference(&backup.calls.released)
            .cloned()
            .collect();
        let must_hold = backup.held || self.is_unexplained(test_desk, &rented, &released).await;
        let may_hold = must_hold || !rented.is_empty() || !released.is_empty();
        self.forgotten.numbers.extend(rented);
        // It takes longer than Close's event log lags.
        let seconds = self.dice.one(&[60, 600, 7_200]);
        test_desk.advance_clock(Duration::from_secs(seconds));
        test_desk.start().await;
        self.held = may_hold.then_some(before);
        self.place_order(test_desk).await;
        self.run_workers(test_desk).await;
        let holds = test_desk.store().holds().await.expect("holds can be read");
        assert!(
            !must_hold || !holds.is_empty(),
            "nothing is held after a restore: {:?}",
            self.forgotten.numbers
        );
        if holds.is_empty() {
            self.held = None;
        } else {
            self.figures.holds += 1;
        }
    }

    /// Whether nothing in the restored database can explain one of these rents or releases.
    async fn is_unexplained(
        &self,
        test_desk: &TestDesk,
        rented: &BTreeSet<String>,
        released: &BTreeSet<String>,
    ) -> bool {
        // Close may have rented a number for these orders, as far as this database knows.
        let orders = stored_orders(&test_desk.database).await;
        let possible: Vec<&Order> = orders
            .iter()
            .filter(|order| match order.state {
                State::Renting | State::Unverified | State::NeedsReview => true,
                State::Refused => order.attempt > 0,
                _ => false,
            })
            .collect();
        let numbers = test_desk.close.numbers().await;
        let mut rents = numbers
            .iter()
            .filter(|number| rented.contains(number["id"].as_str().expect("an id")));
        let known = "SELECT phone_number_id FROM audit WHERE action = 'number.release' \
            AND outcome IN ('releasing', 'released')";
        let known = test_desk.database.query_texts(known, &[]).await;
        rented.len() > possible.len()
            || rents.any(|number| !possible.iter().any(|order| is_number_of(order, number)))
            || released.iter().any(|id| !known.contains(id))
    }

    /// Confirms the calls that the database does not know, as a person does. Then orders are sent again.
    ///
    /// Asserts that no order is sent that has got a number in the forgotten time, as far as Close shows that.
    pub(super) async fn confirm(&mut self, test_desk: &TestDesk) {
        let Some(before) = self.held.take() else {
            return;
        };
        assert_eq!(
            before,
            PaidCalls::of(test_desk).await,
            "sent without a confirmation"
        );
        let control = test_desk.replica().desk.hold_control.clone();
        let confirmed = control.confirm(&HoldAuthor::Operator).await;
        let confirmed = confirmed
            .expect("the calls can be confirmed")
            .expect("there is a hold");
        let holds = test_desk.store().holds().await.expect("holds can be read");
        assert!(holds.is_empty(), "{holds:?}");
        let rented: Vec<String> = confirmed
            .calls
            .iter()
            .filter(|call| call.kind == CallKind::Rent)
            .map(|call| call.number_id.to_string())
            .collect();
        for order in test_desk.orders().await {
            let number = self.forgotten.rented_for.get(&order.id);
            let is_rented = number.is_some_and(|number| rented.contains(number));
            assert!(
                !(is_rented && matches!(order.state, State::Queued | State::AwaitingApproval)),
                "{number:?} was rented for it before the restore, and it is sent again: {order:?}"
            );
        }
        let inventory = test_desk
            .database
            .query_texts("SELECT id FROM numbers", &[])
            .await;
        for number in &rented {
            assert!(inventory.contains(number), "{number} is in no inventory");
        }
        let scheduled = "SELECT COUNT(*) FROM numbers WHERE release_try_at IS NOT NULL AND releasing_at IS NULL \
            AND gone_at IS NULL";
        assert_eq!(
            test_desk.database.query_integer(scheduled).await,
            0,
            "scheduled releases are still to be executed"
        );
    }
}

/// Returns the orders of a database that no replica uses.
async fn stored_orders(database: &Database) -> Vec<Order> {
    let store = database.open().await;
    let orders = orders_in(&store).await;
    store.close().await;
    orders
}

/// Whether a number as Close has it suits the order.
pub(super) fn is_number_of(order: &Order, number: &Value) -> bool {
    let code = if order.request.country.as_str() == "DE" {
        "49"
    } else {
        "1"
    };
    let start = format!("+{code}{}", order.request.prefix.as_deref().unwrap_or_default());
    number["country"] == order.request.country.as_str()
        && number["number"]
            .as_str()
            .is_some_and(|digits| digits.starts_with(&start))
}
