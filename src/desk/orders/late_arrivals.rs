//! Finds numbers that turn up after the desk gave up on their order, and notes the order on each of them.
//!
//! Such a number is an orphan. The desk never releases it or gives it away: an admin decides.

use std::collections::BTreeSet;

use serde_json::json;

use crate::desk::orders::Orders;
use crate::desk::orders::evidence::Origins;
use crate::desk::orders::verdict::Origin;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::country::Country;
use crate::domain::id::PhoneNumberId;
use crate::domain::order::Order;
use crate::error::Error;
use crate::telemetry::metrics::LATE_ARRIVALS_TOTAL;

impl Orders {
    /// Notes the order on every unassigned number that came too late for it.
    ///
    /// `known` is what an earlier query of the event log found. Without it, Close is asked once there is a candidate.
    pub(in crate::desk) async fn name_late_arrivals(&self, known: Option<&Origins>) -> Result<(), Error> {
        let orders = self.core.store.given_up_orders(self.core.now()).await?;
        let mut late = Vec::new();
        for order in orders {
            let Some(sent) = order.sent_at else { continue };
            let unassigned = self
                .core
                .store
                .unassigned_numbers(order.request.country, sent)
                .await?;
            late.extend(
                unassigned
                    .into_iter()
                    .filter(|one| one.number.team.is_none())
                    .filter(|one| self.could_answer(&order, sent, &one.number.facts))
                    .map(|one| (order.clone(), one.number.facts)),
            );
        }
        let Some(since) = late.iter().filter_map(|(order, _)| order.sent_at).min() else {
            return Ok(());
        };
        let asked;
        let origins = if let Some(origins) = known {
            origins
        } else {
            let owner = self.account.verify_organization().await?;
            asked = self.origins(since, owner.user).await?;
            &asked
        };
        let mut named = BTreeSet::new();
        for (order, facts) in late {
            // Where the event log does not name the renter, a number counts if it was made before the order was given up.
            let before_the_end = || match (facts.created_at, order.finished_at) {
                (Some(created), Some(end)) => created <= self.account.to_close_clock(end).0,
                _ => false,
            };
            let ours = match origins.of(&facts.id) {
                Origin::Desk => true,
                Origin::Other => false,
                Origin::Unclear | Origin::Unlogged => before_the_end(),
            };
            if ours
                && !named.contains(&order.id)
                && self
                    .name_late_arrival(&facts.id, &order, Some(order.request.country))
                    .await?
            {
                named.insert(order.id);
            }
        }
        Ok(())
    }

    /// Notes the order on the number, unless a team has it.
    ///
    /// With `only_if_quiet`, it is noted only while no other order of that country is open, so that the number can be no
    /// other order's.
    pub(in crate::desk::orders) async fn name_late_arrival(
        &self,
        id: &PhoneNumberId,
        order: &Order,
        only_if_quiet: Option<Country>,
    ) -> Result<bool, Error> {
        let row = AuditRow::new(self.core.now(), Actor::desk(), Action::NumberLate, "orphan")
            .team(Some(&order.team))
            .order(&order.id)
            .number(id)
            .detail(json!({ "evidence": order.evidence, "sent_at": order.sent_at }));
        let named = self
            .core
            .store
            .record_late_arrival(id, &order.id, only_if_quiet, &row)
            .await?;
        if named {
            metrics::counter!(LATE_ARRIVALS_TOTAL).increment(1);
            tracing::error!(order_id = %order.id, number_id = %id, "number turned up after its order was given up: adopt or release it");
        }
        Ok(named)
    }
}
