//! Finds numbers that turn up after the service gave up on their order, and links each to that order.
//!
//! Such a number is an orphan. The service never releases it and never assigns it to a team: an admin decides.

use std::collections::BTreeSet;

use serde_json::json;

use crate::desk::account::MEASURED_SKEW;
use crate::desk::orders::Orders;
use crate::desk::orders::evidence::{Origins, could_answer, first_send};
use crate::desk::orders::origin::Origin;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::id::PhoneNumberId;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::telemetry::metrics::LATE_ARRIVALS_TOTAL;

impl Orders {
    /// Links every unassigned number that arrived too late to its order.
    ///
    /// `known` is the result of an earlier query of the event log. Without it, the event log is queried if there is a
    /// candidate.
    pub(in crate::desk) async fn name_late_arrivals(&self, known: Option<&Origins>) -> Result<(), Error> {
        let orders = self.core.store.given_up_orders(self.core.now()).await?;
        let mut late = Vec::new();
        for order in orders {
            let unassigned = self.possible_answers(std::slice::from_ref(&order)).await?;
            late.extend(
                unassigned
                    .into_iter()
                    .filter(|orphan| orphan.number.team.is_none())
                    .filter(|orphan| could_answer(&order, orphan))
                    .map(|orphan| (order.clone(), orphan)),
            );
        }
        let sent = late
            .iter()
            .filter_map(|(order, _)| first_send(std::slice::from_ref(order)));
        let Some(since) = sent.min() else {
            return Ok(());
        };
        let queried;
        let origins = if let Some(origins) = known {
            origins
        } else {
            let owner = self.account.verify_organization().await?;
            queried = self.origins(since, owner.user).await?;
            &queried
        };
        if origins.missing {
            // A later look has the evidence.
            return Ok(());
        }
        let mut named = BTreeSet::new();
        for (order, orphan) in late {
            let facts = &orphan.number.facts;
            // If the event log does not name the renter, the number counts if it was created before the order ended.
            let created_before_end = || {
                facts
                    .created_at
                    .is_some_and(|created| end(&order).is_some_and(|end| created <= end))
            };
            let ours = match origins.of(&facts.id) {
                Origin::Desk => true,
                Origin::Other => false,
                Origin::Unclear | Origin::Unlogged => created_before_end(),
            };
            if ours
                && !named.contains(&order.id)
                // An order that is sent from now on did not rent it.
                && !self.may_be_of_open_order(&orphan, order.request.country).await?
                && self.name_late_arrival(&facts.id, &order).await?
            {
                named.insert(order.id);
            }
        }
        Ok(())
    }

    /// Links the number to the order, unless a team has the number.
    pub(in crate::desk::orders) async fn name_late_arrival(
        &self,
        id: &PhoneNumberId,
        order: &Order,
    ) -> Result<bool, Error> {
        let row = AuditRow::new(self.core.now(), Actor::desk(), Action::NumberLate, "orphan")
            .team(Some(&order.team))
            .order(&order.id)
            .number(id)
            .detail(json!({ "evidence": order.evidence, "sent_at": order.sent_at }));
        let named = self.core.store.record_late_arrival(id, &order.id, &row).await?;
        if named {
            metrics::counter!(LATE_ARRIVALS_TOTAL).increment(1);
            tracing::error!(
                order_id = %order.id,
                number_id = %id,
                "number turned up after its order was given up; adopt or release the number"
            );
        }
        Ok(named)
    }
}

/// When the order ended, by Close's clock: as long after the send as our clock has counted.
fn end(order: &Order) -> Option<Timestamp> {
    let sent = first_send(std::slice::from_ref(order))?.plus(MEASURED_SKEW);
    Some(sent.plus(order.finished_at?.since(order.sent_at?)))
}
