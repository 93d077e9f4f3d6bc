//! Reconciles unverified orders with Close: determines the outcome of calls that had no clear answer.
//!
//! A timeout, a crash and a restart all take this path. Any replica can run it, as often as needed. It decides only on
//! complete evidence, and only about orders whose calls had ended before the evidence was collected. A number that may
//! belong to a call in progress proves nothing; then no overlapping call begins until the next look.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::desk::orders::Orders;
use crate::desk::orders::evidence::{CloseView, first_send};
use crate::desk::orders::verdict::{Look, Verdict, decide_all};
use crate::domain::audit::Actor;
use crate::domain::country::Country;
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Evidence, Order, State};
use crate::domain::phone::{main_country, sharing_calling_code};
use crate::error::Error;
use crate::failpoint;
use crate::store::UnsettledOrder;

/// The shortest pause between two checks of an order.
const SHORTEST: Duration = Duration::from_secs(1);

impl Orders {
    /// One step: checks Close once for all unverified orders that are due.
    ///
    /// Idempotent: any replica can run it at any time.
    pub async fn reconcile(&self) -> Result<(), Error> {
        let now = self.core.now();
        let taken = self
            .core
            .store
            .take_due_unverified(now, self.core.settings.reconcile_every, |order| self.pause(order))
            .await?;
        let lanes: BTreeSet<Country> = taken
            .iter()
            .map(|order| main_country(order.request.country))
            .collect();
        // Read before the evidence is collected: an order that becomes unverified later may have been sent meanwhile.
        let mut unverified = Vec::new();
        for lane in lanes {
            let countries = sharing_calling_code(lane);
            let open = self.core.store.unsettled_orders(&countries).await?;
            let orders = open.into_iter().map(|open| open.order);
            let known = orders.filter(|order| order.state == State::Unverified && !order.is_later());
            let known: Vec<Order> = known.collect();
            unverified.push((countries, known));
        }
        let sent = unverified.iter().filter_map(|(_, orders)| first_send(orders));
        let Some(since) = sent.min() else {
            return Ok(());
        };
        let view = self.collect_evidence(since).await?;
        failpoint::reached("reconcile.looked");
        // A failure in one lane must not stop the decisions about the others.
        let mut outcome = Ok(());
        for (countries, known) in unverified {
            outcome = outcome.and(self.decide_lane(&countries, &known, &view).await);
        }
        outcome.and(self.name_late_arrivals(Some(&view.origins)).await)
    }

    /// The pause before the next check. It grows with the age of the order.
    fn pause(&self, order: &Order) -> Duration {
        let longest = self.core.settings.reconcile_every;
        let age = self.core.now().since(order.updated_at) / 2;
        age.clamp(SHORTEST.min(longest), longest)
    }

    /// Decides about the unverified orders of a lane that were known before the evidence was collected.
    async fn decide_lane(
        &self,
        countries: &[Country],
        known: &[Order],
        view: &CloseView,
    ) -> Result<(), Error> {
        if known.is_empty() {
            return Ok(());
        }
        // The numbers first: an order that rented one of them is then read as open, or has been settled with it.
        let unassigned = self.possible_answers(known).await?;
        let open = self.core.store.unsettled_orders(countries).await?;
        let is_known = |open: &&UnsettledOrder| {
            let order = &open.order;
            let same = |before: &Order| before.id == order.id && before.attempt == order.attempt;
            order.state == State::Unverified && known.iter().any(same)
        };
        let (decidable, rivals): (Vec<_>, Vec<_>) = open.iter().partition(is_known);
        let mut groups: BTreeMap<String, Vec<&UnsettledOrder>> = BTreeMap::new();
        for open in decidable {
            groups.entry(open.order.shape()).or_default().push(open);
        }
        let mut groups: Vec<Vec<&UnsettledOrder>> = groups.into_values().collect();
        for group in &mut groups {
            group.sort_by_key(|open| open.turn);
        }
        let candidates = self.candidates(&groups, &rivals, &unassigned, view);
        let orders: Vec<Vec<Order>> = groups
            .iter()
            .map(|group| group.iter().map(|open| open.order.clone()).collect())
            .collect();
        let mut obscuring = Vec::with_capacity(orders.len());
        for group in &orders {
            obscuring.push(self.obscuring(group, view).await?);
        }
        let look = Look {
            as_of: view.as_of,
            settle_after: self.core.settings.settle_after,
            obscuring,
            log_missing: view.origins.missing,
        };
        let verdicts = decide_all(&orders, &candidates, &look);
        let (mut contested, mut proven) = (Vec::new(), Vec::new());
        // A verdict that can't be written must not keep the other orders waiting.
        let mut outcome = Ok(());
        for (order, verdict) in orders.iter().flatten().zip(verdicts.into_iter().flatten()) {
            tracing::info!(order_id = %order.id, ?verdict, "unverified order checked against Close");
            let is_contested = verdict == Verdict::Contested;
            match self.apply_verdict(order, verdict, view).await {
                Ok(()) if is_contested => contested.push(order),
                Ok(()) => proven.push(order),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        self.core.store.end_quiet(&proven).await?;
        self.core.store.keep_quiet(&contested, self.core.now()).await?;
        outcome
    }

    async fn apply_verdict(&self, order: &Order, verdict: Verdict, view: &CloseView) -> Result<(), Error> {
        let settlement = match verdict {
            // The earlier absence stays on record: only a look that proves something changes it.
            Verdict::Contested => return Ok(()),
            Verdict::Undecided if order.absent_since.is_none() => return Ok(()),
            Verdict::Undecided => return self.core.store.set_absent_since(order, None).await,
            Verdict::Absent { confirmed: false } => {
                // Close's clock was set back: the time of the first look is not comparable any more.
                if order.absent_since.is_some_and(|since| since > view.as_of) {
                    self.core.store.set_absent_since(order, None).await?;
                }
                self.core.store.set_absent_since(order, Some(view.as_of)).await?;
                failpoint::reached("reconcile.noted");
                return Ok(());
            }
            Verdict::Absent { confirmed: true } => Settlement::Refused {
                close_status: None,
                reason: Some(
                    "Close did not answer, and has shown no matching number since: no number was rented"
                        .to_owned(),
                ),
                close_errors: None,
                evidence: Evidence::AbsentAfterReconciliation,
            },
            Verdict::Found(phone_number_id) => Settlement::Fulfilled {
                phone_number_id,
                evidence: Evidence::FoundByReconciliation,
            },
            Verdict::Review(candidates) => {
                let reason = format!(
                    "Close shows numbers that may belong to this order, and the evidence does not decide: {}",
                    candidates.join(", ")
                );
                tracing::error!(
                    order_id = %order.id,
                    team = %order.team,
                    reason,
                    "order needs manual review; a person must settle the order"
                );
                Settlement::Review { reason }
            }
        };
        let row = self.settlement_row(order, Actor::desk(), None);
        self.record_settlement(order, settlement, row).await.map(drop)
    }
}
