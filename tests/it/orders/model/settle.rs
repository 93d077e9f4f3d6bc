//! Lets orders end: by time that passes, and by the decisions of a person.

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::desk::Finding;
use numberdesk::domain::order::{Order, State};
use numberdesk::error::Error;

use super::Model;
use super::restore::is_number_of;
use crate::support::desk::{SETTLE_AFTER, TestDesk, settle_review};

/// The time for settling an order beyond twice the settling period.
const SLACK: Duration = Duration::from_mins(3);
/// How much longer it takes if a wrong clock has written the end of a lease and of a pause.
const WRONG_CLOCK: Duration = Duration::from_mins(10);
/// How long an order waits at most if a wrong clock has written when it is sent again.
const WRONG_PAUSE: Duration = Duration::from_mins(65);

impl Model {
    /// Lets time pass until each order is final or needs a review, and confirms what the service found after restores.
    ///
    /// Asserts that no order is in doubt for too long.
    pub(super) async fn settle(&mut self, test_desk: &TestDesk) {
        let mut longest = SETTLE_AFTER * 2 + SLACK;
        let mut longest_queued = longest;
        if self.clock_was_wrong {
            longest += WRONG_CLOCK;
            longest_queued = longest + WRONG_PAUSE;
        }
        let mut passed = Duration::ZERO;
        loop {
            self.run_workers(test_desk).await;
            self.assert_invariants(test_desk).await;
            self.confirm(test_desk).await;
            let mut open = test_desk.orders().await;
            open.retain(|order| !order.state.is_final() && order.state != State::NeedsReview);
            if open.is_empty() {
                return;
            }
            let in_doubt = open.iter().any(|order| order.state != State::Queued);
            let allowed = if in_doubt { longest } else { longest_queued };
            assert!(passed <= allowed, "not settled after {passed:?}: {open:?}");
            let pause = if passed <= longest { 15 } else { 60 };
            test_desk.advance_clock(Duration::from_secs(pause));
            passed += Duration::from_secs(pause);
        }
    }

    /// Settles the orders in review as an operator who sees in Close which numbers belong to no order.
    pub(super) async fn settle_reviews_by_hand(&mut self, test_desk: &TestDesk) {
        loop {
            let orders = test_desk.orders().await;
            let taken: BTreeSet<String> = orders
                .iter()
                .filter_map(|order| Some(order.phone_number_id.as_ref()?.to_string()))
                .collect();
            // Orders for an area first: their numbers suit orders without an area, too. And those that were sent.
            let in_review = orders.iter().filter(|order| order.state == State::NeedsReview);
            let Some(order) = in_review.max_by_key(|order| {
                let prefix = order.request.prefix.as_ref().map_or(0, String::len);
                (prefix, order.attempt > 0)
            }) else {
                return;
            };
            let numbers = test_desk.close.numbers().await;
            let mut ids: Vec<&str> = numbers
                .iter()
                .filter(|number| number["_control"]["made_by"] == "api" && is_number_of(order, number))
                .map(|number| number["id"].as_str().expect("an id"))
                .filter(|id| !taken.contains(*id))
                .collect();
            // A number that a restore made the database forget was not rented for an order that it knows as sent.
            ids.sort_by_key(|id| self.forgotten.numbers.contains(*id) == (order.attempt > 0));
            self.settle_review_by_hand(test_desk, order, &ids).await;
            self.figures.reviews += 1;
        }
    }

    /// Tries one finding after another. The first one is the truth, unless the database was restored.
    async fn settle_review_by_hand(&self, test_desk: &TestDesk, order: &Order, numbers: &[&str]) {
        let findings = numbers
            .iter()
            .map(|id| Finding::Number(id.parse().expect("an id")))
            .chain([Finding::Absent]);
        for finding in findings {
            match test_desk
                .run(settle_review(&self.callers[0], &order.id, finding.clone()))
                .await
            {
                Ok(_) => return,
                Err(Error::SettleContradicted { .. }) if self.figures.restores > 0 => {}
                Err(error) => panic!("{finding:?} of {order:?}: {error:?}"),
            }
        }
        panic!("no finding is accepted, of {numbers:?}: {order:?}");
    }
}
