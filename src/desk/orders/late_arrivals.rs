//! Numbers that turn up after the desk gave up on their order: each becomes an orphan that names the order. It is
//! offered to whoever administers, never released or given away by the desk.

use std::collections::BTreeSet;

use serde_json::json;

use crate::desk::Desk;
use crate::desk::orders::evidence::Origins;
use crate::desk::orders::verdict::Origin;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::country::Country;
use crate::domain::id::PhoneNumberId;
use crate::domain::order::Order;
use crate::error::Error;
use crate::telemetry::metrics::LATE_ARRIVALS_TOTAL;

impl Desk {
    /// Names the order on every number of nobody that came too late for it. `seen` is what a look has learnt of where
    /// numbers come from; without one, Close is asked when there is something to name.
    pub(in crate::desk) async fn name_late_arrivals(&self, seen: Option<&Origins>) -> Result<(), Error> {
        let orders = self.0.store.given_up_orders(self.now()).await?;
        let mut late = Vec::new();
        for order in orders {
            let Some(sent) = order.sent_at else { continue };
            let strays = self
                .0
                .store
                .unassigned_numbers(order.request.country, sent)
                .await?;
            late.extend(
                strays
                    .into_iter()
                    .filter(|stray| stray.number.team.is_none())
                    .filter(|stray| self.answers(&order, sent, &stray.number.facts))
                    .map(|stray| (order.clone(), stray.number.facts)),
            );
        }
        let Some(since) = late.iter().filter_map(|(order, _)| order.sent_at).min() else {
            return Ok(());
        };
        let asked;
        let origins = if let Some(origins) = seen {
            origins
        } else {
            asked = self.origins(since, self.ours().await?.user).await?;
            &asked
        };
        let mut named = BTreeSet::new();
        for (order, facts) in late {
            // Where Close does not say who it was, a number counts that was made before the order was given up.
            let before_the_end = || match (facts.created_at, order.finished_at) {
                (Some(created), Some(end)) => created <= self.at_close(end).0,
                _ => false,
            };
            let ours = match origins.of(&facts.id) {
                Origin::Desk => true,
                Origin::Other => false,
                Origin::Unclear | Origin::Unsaid => before_the_end(),
            };
            if ours
                && !named.contains(&order.id)
                && self
                    .name_late(&facts.id, &order, Some(order.request.country))
                    .await?
            {
                named.insert(order.id);
            }
        }
        Ok(())
    }

    /// Writes the order's name on the number, if nobody has it; with `quiet`, only if it can be no other order's.
    pub(in crate::desk) async fn name_late(
        &self,
        id: &PhoneNumberId,
        order: &Order,
        quiet: Option<Country>,
    ) -> Result<bool, Error> {
        let row = AuditRow::new(self.now(), Actor::desk(), Action::NumberLate, "orphan")
            .team(Some(&order.team))
            .order(&order.id)
            .number(id)
            .detail(json!({ "evidence": order.evidence, "sent_at": order.sent_at }));
        let named = self
            .0
            .store
            .record_late_arrival(id, &order.id, quiet, &row)
            .await?;
        if named {
            metrics::counter!(LATE_ARRIVALS_TOTAL).increment(1);
            tracing::error!(order = %order.id, number = %id, "a number turned up after its order was given up: adopt or release it");
        }
        Ok(named)
    }
}
