//! The guarantees that hold after each step of a history, and those that hold at its end.

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::desk::{Finding, Period};
use numberdesk::domain::audit_chain::Verifier;
use numberdesk::domain::id::PhoneNumberId;
use numberdesk::domain::order::overlap::Footprint;
use numberdesk::domain::order::turn::{Open, Wait, blocked_by};
use numberdesk::domain::order::{Order, State};
use numberdesk::domain::scope::Scope;
use numberdesk::domain::time::Clock;
use serde_json::json;

use super::{BUDGET, MAX_NUMBERS, Model};
use crate::support::books::assert_books_balance;
use crate::support::desk::{SETTLE_AFTER, TestDesk, settle_review};

/// The time for settling an order beyond twice the settling period.
const SLACK: Duration = Duration::from_mins(3);

impl Model {
    /// Asserts what holds after each step.
    pub(super) async fn assert_invariants(&self, test_desk: &TestDesk) {
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
        let rents = test_desk.close.rents().await.len();
        assert!(
            i64::try_from(rents).expect("a count") <= claims,
            "{rents} rents for {claims} stored claims"
        );
    }

    /// Asserts that an order that overlaps at most one order in doubt is sent within a minute.
    pub(super) async fn assert_queue_moves(&self, test_desk: &TestDesk) {
        for _ in 0..60 {
            if stuck_orders(test_desk).await.is_empty() {
                return;
            }
            test_desk.advance_clock(Duration::from_secs(1));
            let _ = test_desk
                .run(|desk| async move { desk.orders.recover().await })
                .await;
            test_desk.wait_until_idle().await;
        }
        let stuck = stuck_orders(test_desk).await;
        assert!(stuck.is_empty(), "not sent for a minute: {stuck:?}");
    }

    /// Lets time pass without faults, and asserts what must hold at the end.
    pub(super) async fn assert_final_state(&self, test_desk: &TestDesk) {
        test_desk.wait_until_close_is_idle().await;
        test_desk.close.clear_faults().await;
        test_desk
            .close
            .set(json!({ "listing_lag": "0s", "event_lag": "0s" }))
            .await;
        test_desk.advance_clock(Duration::from_mins(1));
        let took = test_desk.settle().await;
        assert!(took <= SETTLE_AFTER * 2 + SLACK, "unsettled for {took:?}");
        self.settle_reviews_by_hand(test_desk).await;
        test_desk.settle().await;
        // Releases with an unknown outcome end, and the sync finds what people did in Close.
        for _ in 0..3 {
            test_desk.advance_clock(SETTLE_AFTER * 2);
            test_desk.run_steps().await;
            test_desk
                .run(|desk| async move { desk.sync.compare().await })
                .await
                .expect("Close answers");
        }
        self.assert_invariants(test_desk).await;
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
            "numbers rented with the API key, and numbers of fulfilled orders"
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

    /// Settles the orders in review as an operator who sees in Close which numbers belong to no order.
    async fn settle_reviews_by_hand(&self, test_desk: &TestDesk) {
        loop {
            let orders = test_desk.orders().await;
            let taken: BTreeSet<String> = orders
                .iter()
                .filter_map(|order| Some(order.phone_number_id.as_ref()?.to_string()))
                .collect();
            // Orders for an area first: their numbers suit orders without an area, too.
            let in_review = orders.iter().filter(|order| order.state == State::NeedsReview);
            let Some(order) = in_review.max_by_key(|order| order.request.prefix.is_some()) else {
                return;
            };
            let code = if order.request.country.as_str() == "DE" {
                "49"
            } else {
                "1"
            };
            let start = format!("+{code}{}", order.request.prefix.as_deref().unwrap_or_default());
            let numbers = test_desk.close.numbers().await;
            let number = numbers.iter().find(|number| {
                number["_control"]["made_by"] == "api"
                    && number["country"] == order.request.country.as_str()
                    && number["number"]
                        .as_str()
                        .is_some_and(|digits| digits.starts_with(&start))
                    && !taken.contains(number["id"].as_str().expect("an id"))
            });
            let finding = number.map_or(Finding::Absent, |number| {
                Finding::Number(number["id"].as_str().expect("an id").parse().expect("an id"))
            });
            test_desk
                .run(settle_review(&self.callers[0], &order.id, finding.clone()))
                .await
                .unwrap_or_else(|error| panic!("{finding:?} of {order:?}: {error:?}"));
        }
    }
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
