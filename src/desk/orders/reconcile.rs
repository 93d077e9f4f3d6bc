//! Reconciles unverified orders with Close: determines the outcome of calls that had no clear answer.
//!
//! A timeout, a crash and a restart all take this path. Any replica can run it, as often as needed. It decides only on
//! complete evidence, and only about countries whose unverified orders did not change meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::desk::orders::Orders;
use crate::desk::orders::evidence::{CloseView, first_send};
use crate::desk::orders::verdict::{Verdict, decide_all};
use crate::domain::audit::Actor;
use crate::domain::country::Country;
use crate::domain::id::PhoneNumberId;
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Evidence, Order};
use crate::error::Error;
use crate::failpoint;

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
        let countries: BTreeSet<Country> = taken.iter().map(|order| order.request.country).collect();
        // Read before the evidence is collected: an order that becomes unverified later may have been sent meanwhile.
        let mut unverified = Vec::new();
        for country in countries {
            unverified.push((country, self.core.store.unverified_orders(country).await?));
        }
        let sent = unverified.iter().filter_map(|(_, orders)| first_send(orders));
        let Some(since) = sent.min() else {
            return Ok(());
        };
        let view = self.collect_evidence(since).await?;
        failpoint::reached("reconcile.looked");
        // A failure in one country must not stop the decisions about the others.
        let mut outcome = Ok(());
        for (country, known) in unverified {
            outcome = outcome.and(self.decide_country(country, &known, &view).await);
        }
        outcome.and(self.name_late_arrivals(Some(&view.origins)).await)
    }

    /// The pause before the next check. It grows with the age of the order.
    fn pause(&self, order: &Order) -> Duration {
        let longest = self.core.settings.reconcile_every;
        let age = self.core.now().since(order.updated_at) / 2;
        age.clamp(SHORTEST.min(longest), longest)
    }

    /// Decides about the unverified orders of one country, unless one was added since `known` was read.
    async fn decide_country(&self, country: Country, known: &[Order], view: &CloseView) -> Result<(), Error> {
        let orders = self.core.store.unverified_orders(country).await?;
        let unchanged = |order: &Order| {
            known
                .iter()
                .any(|before| before.id == order.id && before.attempt == order.attempt)
        };
        if !orders.iter().all(unchanged) {
            return Ok(());
        }
        let candidates = self.candidates(&orders, view).await?;
        let verdicts = decide_all(&orders, &candidates, view.as_of, self.core.settings.settle_after);
        for (order, verdict) in orders.iter().zip(verdicts) {
            tracing::info!(order_id = %order.id, ?verdict, "unverified order checked against Close");
            self.apply_verdict(order, verdict, view).await?;
        }
        Ok(())
    }

    async fn apply_verdict(&self, order: &Order, verdict: Verdict, view: &CloseView) -> Result<(), Error> {
        let settlement = match verdict {
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
                let named: Vec<&str> = candidates.iter().map(PhoneNumberId::as_str).collect();
                let reason = format!(
                    "Close shows numbers that may belong to this order, and the evidence does not decide: {}",
                    named.join(", ")
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
        self.record_settlement(order, settlement, None, row)
            .await
            .map(drop)
    }
}
