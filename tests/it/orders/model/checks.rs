//! The guarantees that hold after each step of a history, and those that hold at its end.

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::desk::Period;
use numberdesk::domain::audit_chain::Verifier;
use numberdesk::domain::id::PhoneNumberId;
use numberdesk::domain::order::overlap::Footprint;
use numberdesk::domain::order::turn::{Open, Wait, blocked_by};
use numberdesk::domain::order::{Order, State};
use numberdesk::domain::scope::Scope;
use numberdesk::domain::time::Clock;
use serde_json::{Value, json};

use super::oddities::repair_records;
use super::restore::PaidCalls;
use super::{BUDGET, MAX_NUMBERS, Model};
use crate::support::books::assert_books_balance;
use crate::support::desk::{SETTLE_AFTER, TestDesk};

/// Later than any time that a history stores.
const A_YEAR: Duration = Duration::from_hours(24 * 365);

impl Model {
    /// Asserts what holds after each step.
    pub(super) async fn assert_invariants(&mut self, test_desk: &TestDesk) {
        self.assert_holds_are_right(test_desk).await;
        let orders = test_desk.orders().await;
        let numbers: Vec<&PhoneNumberId> = orders
            .iter()
            .filter_map(|order| order.phone_number_id.as_ref())
            .collect();
        let distinct: BTreeSet<&PhoneNumberId> = numbers.iter().copied().collect();
        assert_eq!(numbers.len(), distinct.len(), "two orders have the same number");
        let keys: BTreeSet<_> = orders
            .iter()
            .map(|order| (&order.team, order.idempotency_key.as_str()))
            .collect();
        assert_eq!(keys.len(), orders.len(), "one key has two orders");
        let now = Clock::system().now();
        for caller in &self.callers {
            let usage = test_desk
                .store()
                .usage(caller.sole_team().expect("one team"), now)
                .await
                .expect("usage can be read");
            if caller.sole_team().is_some_and(|team| team.as_str() == "sales") {
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
        let claims = test_desk
            .database
            .query_integer("SELECT COUNT(*) FROM audit WHERE action = 'order.send' AND outcome = 'renting'")
            .await;
        let rents = test_desk.close.rents().await.len() - self.forgotten.rents;
        assert!(
            i64::try_from(rents).expect("a count") <= claims,
            "{rents} rents for {claims} stored claims"
        );
        let gone = "SELECT id FROM numbers WHERE gone_at IS NOT NULL";
        let gone = test_desk.database.query_texts(gone, &[]).await;
        for id in held_numbers(test_desk).await {
            assert!(!gone.contains(&id), "{id} counts as gone, and Close has it");
        }
    }

    /// Asserts that the service holds orders only after a restore, and sends nothing meanwhile.
    async fn assert_holds_are_right(&mut self, test_desk: &TestDesk) {
        let store = test_desk.store();
        let holds = store.holds().await.expect("holds can be read");
        let calls = PaidCalls::of(test_desk).await;
        match self.held {
            Some(before) => {
                assert!(!holds.is_empty(), "a hold ended without a confirmation");
                assert_eq!(before, calls, "sent without a confirmation");
            }
            None if !holds.is_empty() => {
                let unknown = store.oldest_unknown_calls(200).await.expect("calls can be read");
                assert!(self.figures.restores > 0, "{holds:?}: {unknown:?}");
                self.held = Some(calls);
                self.figures.holds += 1;
            }
            None => {}
        }
    }

    /// Asserts that an order that overlaps at most one order in doubt is sent within a minute.
    ///
    /// While a wrong clock wrote the time, a lease may last five minutes longer.
    pub(super) async fn assert_queue_moves(&mut self, test_desk: &TestDesk) {
        let seconds = if self.clock_was_wrong { 360 } else { 60 };
        for _ in 0..seconds {
            self.assert_holds_are_right(test_desk).await;
            if self.held.is_some() || stuck_orders(test_desk).await.is_empty() {
                return;
            }
            test_desk.advance_clock(Duration::from_secs(1));
            let _ = test_desk
                .run(|desk| async move { desk.orders.recover().await })
                .await;
            test_desk.wait_until_idle().await;
        }
        let stuck = stuck_orders(test_desk).await;
        assert!(stuck.is_empty(), "not sent for {seconds} s: {stuck:?}");
    }

    /// Lets time pass without faults, and asserts what must hold at the end.
    pub(super) async fn assert_final_state(&mut self, test_desk: &TestDesk) {
        test_desk.wait_until_close_is_idle().await;
        test_desk.close.clear_faults().await;
        test_desk
            .close
            .set(json!({ "listing_lag": "0s", "event_lag": "0s" }))
            .await;
        repair_records(test_desk).await;
        test_desk.set_clock_wrong_by(0);
        test_desk.advance_clock(Duration::from_mins(1));
        self.settle(test_desk).await;
        self.settle_reviews_by_hand(test_desk).await;
        self.settle(test_desk).await;
        // Releases with an unknown outcome end, and the sync finds what people did in Close.
        for _ in 0..3 {
            test_desk.advance_clock(SETTLE_AFTER * 2);
            self.run_workers(test_desk).await;
            test_desk
                .run(|desk| async move { desk.sync.compare().await })
                .await
                .expect("Close answers");
        }
        self.assert_invariants(test_desk).await;
        self.confirm(test_desk).await;
        let orders = test_desk.orders().await;
        let open: Vec<&Order> = orders.iter().filter(|order| !order.state.is_final()).collect();
        assert!(open.is_empty(), "{open:?}");

        self.assert_every_number_is_accounted_for(test_desk, &orders)
            .await;
        let held = held_numbers(test_desk).await;
        let known = test_desk
            .store()
            .known_number_ids(Clock::system().now().plus(A_YEAR), Duration::ZERO)
            .await;
        let known: BTreeSet<String> = known
            .expect("numbers can be read")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(held, known, "numbers at Close, and numbers of the inventory");
        let missing_rows = test_desk
            .database
            .query_integer(
                "SELECT COUNT(*) FROM orders o WHERE NOT EXISTS \
                    (SELECT 1 FROM audit a WHERE a.order_id = o.id AND a.outcome = o.state)",
            )
            .await;
        assert_eq!(missing_rows, 0, "orders whose final state has no audit row");
        test_desk
            .run(|desk| async move { desk.audit.append().await })
            .await
            .expect("the audit chain can be extended");
        assert_audit_chain_is_valid(test_desk).await;
        assert_books_balance(&test_desk.database).await;
    }

    /// Asserts that each number that was rented with the API key belongs to an order, or is an orphan that is accounted
    /// for.
    async fn assert_every_number_is_accounted_for(&self, test_desk: &TestDesk, orders: &[Order]) {
        let (_, rented) = test_desk.rented_by_key().await;
        let fulfilled: BTreeSet<String> = orders
            .iter()
            .filter(|order| order.state == State::Fulfilled)
            .map(|order| order.phone_number_id.as_ref().expect("its number").to_string())
            .collect();
        assert_eq!(
            fulfilled.difference(&rented).next(),
            None,
            "a fulfilled order whose number was not rented with the API key"
        );
        let orphans: Vec<&String> = rented.difference(&fulfilled).collect();
        // Without a restore, no number is forgotten.
        let forgotten = &self.forgotten.numbers;
        assert!(orphans.len() <= forgotten.len(), "{orphans:?} of {forgotten:?}");
        let select = async |query| test_desk.database.query_texts(query, &[]).await;
        let confirmed =
            "SELECT number_id FROM unknown_calls WHERE kind = 'rent' AND confirmed_at IS NOT NULL";
        let named = "SELECT id FROM numbers WHERE team IS NULL AND order_id IS NOT NULL";
        let (confirmed, named) = (select(confirmed).await, select(named).await);
        let inventory = select("SELECT id FROM numbers").await;
        let held = held_numbers(test_desk).await;
        for orphan in orphans {
            let is_explained = confirmed.contains(orphan) || named.contains(orphan);
            // The hold leaves out a rent that an order in doubt explains, whichever number that order gets in the end.
            let is_known = inventory.contains(orphan) || !held.contains(orphan);
            assert!(
                is_explained || (forgotten.contains(orphan) && is_known),
                "{orphan} belongs to no order, and nobody knows why: known {is_known}, of {forgotten:?}, {orders:?}"
            );
        }
    }
}

/// The numbers that Close has.
async fn held_numbers(test_desk: &TestDesk) -> BTreeSet<String> {
    let id = |number: &Value| number["id"].as_str().expect("an id").to_owned();
    test_desk.close.held().await.iter().map(id).collect()
}

/// The queued orders that are due and overlap at most one order in doubt.
async fn stuck_orders(test_desk: &TestDesk) -> Vec<Order> {
    let now = test_desk.replica().desk.now();
    let open: Vec<Open> = test_desk
        .store()
        .unsettled_orders(&[])
        .await
        .expect("orders can be read")
        .iter()
        .filter_map(|order| order.as_open(now))
        .collect();
    let orders = test_desk.orders().await.into_iter();
    orders
        .filter(|order| order.state == State::Queued && order.not_before.is_none_or(|time| time <= now))
        .filter(|order| blocked_by(&Footprint::of(order), &open) != Some(Wait::Doubts))
        .collect()
}

/// Asserts that the audit trail is one valid chain from its first row to its head, and that each row is in it.
async fn assert_audit_chain_is_valid(test_desk: &TestDesk) {
    let head = test_desk
        .store()
        .audit_head()
        .await
        .expect("the head can be read")
        .expect("the chain has a head");
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
            verifier.check(link).expect("the row continues the chain");
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
