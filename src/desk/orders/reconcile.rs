//! Finding out what became of calls whose outcome nobody knows. One way for a timeout, a crash and a restart: whoever
//! comes first looks at Close, as often as it takes, and believes only what is whole.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::desk::Desk;
use crate::desk::orders::evidence::Look;
use crate::desk::orders::verdict::{Verdict, judge};
use crate::domain::audit::Actor;
use crate::domain::country::Country;
use crate::domain::id::PhoneNumberId;
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Evidence, Order};
use crate::error::Error;
use crate::failpoint;

/// The shortest pause between two looks.
const SHORTEST: Duration = Duration::from_secs(1);

impl Desk {
    /// One step: looks once for all orders in doubt whose turn it is. May be run at any time, by any replica, any
    /// number of times.
    pub async fn reconcile(&self) -> Result<(), Error> {
        let now = self.now();
        let taken = self
            .0
            .store
            .take_due_unverified(now, |order| self.pause(order))
            .await?;
        let countries: BTreeSet<Country> = taken.iter().map(|order| order.request.country).collect();
        // Before the look: an order that is in doubt only afterwards may have been sent meanwhile.
        let mut doubts = Vec::new();
        for country in countries {
            doubts.push((country, self.0.store.unverified_orders(country).await?));
        }
        let sent = doubts
            .iter()
            .flat_map(|(_, orders)| orders)
            .filter_map(|order| order.sent_at);
        let Some(since) = sent.min() else {
            return Ok(());
        };
        let look = self.look(since).await?;
        failpoint::reached("reconcile.looked");
        // What can't be settled in one country must not keep the others from it.
        let mut outcome = Ok(());
        for (country, known) in doubts {
            outcome = outcome.and(self.settle_doubts(country, &known, &look).await);
        }
        outcome.and(self.name_late_arrivals(Some(&look.origins)).await)
    }

    /// How long after this look the next one is: a little at first, longer the longer the doubt lasts.
    fn pause(&self, order: &Order) -> Duration {
        let longest = self.0.settings.reconcile_every;
        let age = self.now().since(order.updated_at) / 2;
        age.clamp(SHORTEST.min(longest), longest)
    }

    async fn settle_doubts(&self, country: Country, known: &[Order], look: &Look) -> Result<(), Error> {
        let orders = self.0.store.unverified_orders(country).await?;
        let as_before = |order: &Order| {
            known
                .iter()
                .any(|before| before.id == order.id && before.attempt == order.attempt)
        };
        if !orders.iter().all(as_before) {
            return Ok(());
        }
        let candidates = self.candidates(&orders, look).await?;
        let verdicts = judge(&orders, &candidates, look.started, self.0.settings.settle_after);
        for (order, verdict) in orders.iter().zip(verdicts) {
            tracing::info!(order = %order.id, ?verdict, "looked at Close for an order in doubt");
            self.carry_out(order, verdict, look).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, order: &Order, verdict: Verdict, look: &Look) -> Result<(), Error> {
        let settlement = match verdict {
            Verdict::Open if order.absent_since.is_none() => return Ok(()),
            Verdict::Open => return self.0.store.set_absent_since(order, None).await,
            Verdict::Nothing { believed: false } => {
                self.0.store.set_absent_since(order, Some(look.started)).await?;
                failpoint::reached("reconcile.noted");
                return Ok(());
            }
            Verdict::Nothing { believed: true } => Settlement::Refused {
                close_status: None,
                reason: Some(
                    "Close gave no answer, and has shown no number for it since: nothing was rented"
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
                    "Close shows numbers that may be this order's, and more than can be told apart: {}",
                    named.join(", ")
                );
                tracing::error!(order = %order.id, reason, "an order needs a person to settle it");
                Settlement::Review { reason }
            }
        };
        let row = self.settlement_row(order, Actor::desk(), None);
        self.settle_once(order, settlement, None, row).await.map(drop)
    }
}
