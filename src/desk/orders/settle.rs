//! Writes the outcome of an order, and notifies the requests that wait for the order.

use std::time::Duration;

use serde_json::json;

use crate::desk::orders::Orders;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::backoff::Backoff;
use crate::domain::id::RequestId;
use crate::domain::order::transition::Settlement;
use crate::domain::order::{Order, State};
use crate::domain::scope::Scope;
use crate::error::{Error, chain};
use crate::store::Observation;
use crate::telemetry::context;
use crate::telemetry::metrics::{ORDER_SETTLING_SECONDS, ORDERS_SETTLED_TOTAL};

/// How long the announcement of a settlement waits for the number's label to be set.
const LABEL_WAIT: Duration = Duration::from_secs(3);

/// Pauses between attempts to write an outcome to a database that does not answer.
pub(in crate::desk::orders) const WRITE_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Records how long an order took that has ended.
pub(in crate::desk::orders) fn record_settling_time(order: &Order) {
    if let Some(took) = order.settling_time() {
        metrics::histogram!(ORDER_SETTLING_SECONDS, "state" => order.state.as_str()).record(took);
    }
}

impl Orders {
    /// Writes the outcome of a call, and retries until the database accepts it: Close has already acted.
    ///
    /// Returns the order as it was written; `None` if another outcome was written before. The caller announces it, with
    /// [`Self::announce_settled`]. If the process dies meanwhile, the lease lapses and the order becomes unverified.
    pub(in crate::desk::orders) async fn record_outcome(
        &self,
        order: &Order,
        settlement: Settlement,
        found: Option<Observation>,
    ) -> Option<Order> {
        let mut backoff = WRITE_BACKOFF;
        loop {
            let error = match self
                .record_answer(order, settlement.clone(), found.as_ref())
                .await
            {
                Ok(settled) => return settled,
                Err(error) => error,
            };
            // An internal error would only repeat. The lease lapses, the order becomes unverified, and its reservation
            // stays.
            if matches!(error, Error::Internal(_)) {
                tracing::error!(
                    order_id = %order.id,
                    ?settlement,
                    error = chain(&error),
                    "order outcome not written; the order becomes unverified"
                );
                return None;
            }
            tracing::error!(
                order_id = %order.id,
                ?settlement,
                error = chain(&error),
                "order outcome not written to the database; retrying"
            );
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    async fn record_answer(
        &self,
        order: &Order,
        settlement: Settlement,
        found: Option<&Observation>,
    ) -> Result<Option<Order>, Error> {
        let row = self.settlement_row(order, Actor::desk(), None);
        let settled = self
            .write_settlement(order, settlement.clone(), found, row)
            .await?;
        if settled.is_none() {
            self.resolve_late_answer(order, &settlement, found).await?;
        }
        Ok(settled)
    }

    /// The audit row of a settlement. The outcome is added when it is written.
    pub(in crate::desk::orders) fn settlement_row(
        &self,
        order: &Order,
        actor: Actor,
        request: Option<&RequestId>,
    ) -> AuditRow {
        AuditRow::new(self.core.now(), actor, Action::OrderSettle, "")
            .team(Some(&order.team))
            .order(&order.id)
            .request(request)
    }

    /// Writes the outcome in one attempt, and announces it on a task of its own.
    ///
    /// Returns `false` if the order was settled before, or if its number belongs to another order.
    pub(in crate::desk::orders) async fn record_settlement(
        &self,
        order: &Order,
        settlement: Settlement,
        row: AuditRow,
    ) -> Result<bool, Error> {
        let settled = self.write_settlement(order, settlement, None, row).await?;
        let Some(order) = settled else {
            return Ok(false);
        };
        let orders = self.clone();
        let announced = async move { orders.announce_settled(&order).await };
        self.core.tasks.tracker.spawn(context::inherit(announced));
        Ok(true)
    }

    /// Notifies the requests that wait for the order, after a short wait for its label.
    ///
    /// Close is usually quick, so the first response can show the label. If not, a worker sets it later. Nothing else
    /// waits for this: neither the other orders of a step, nor the slot of a paid call.
    pub(in crate::desk::orders) async fn announce_settled(&self, order: &Order) {
        if order.phone_number_id.is_some() && order.request.label.is_some() {
            let _ = tokio::time::timeout(LABEL_WAIT, self.label_new_number(order)).await;
        }
        self.changes.notify(&order.id);
    }

    async fn write_settlement(
        &self,
        order: &Order,
        settlement: Settlement,
        found: Option<&Observation>,
        row: AuditRow,
    ) -> Result<Option<Order>, Error> {
        let order = order
            .clone()
            .settled(settlement, row.at)
            .map_err(|wrong| Error::Internal(wrong.into()))?;
        let detail =
            json!({ "evidence": order.evidence, "close_status": order.close_status, "reason": order.reason });
        let mut row = row.then(row.at, order.state.as_str()).detail(detail);
        if let Some(number) = &order.phone_number_id {
            row = row.number(number);
        }
        if !self.core.store.settle_order(&order, found, &row).await? {
            return Ok(None);
        }
        let country = order.request.country.to_string();
        metrics::counter!(ORDERS_SETTLED_TOTAL, "state" => order.state.as_str(), "country" => country)
            .increment(1);
        record_settling_time(&order);
        tracing::info!(order_id = %order.id, team = %order.team, state = order.state.as_str(), "order settled");
        if order.state == State::Unverified {
            self.core.signals.unverified.notify_one();
        } else {
            // Orders that overlap it may be free to be sent now.
            self.core.signals.queue.notify_one();
        }
        Ok(Some(order))
    }

    /// Handles Close's answer to an order that was settled before the answer could be written.
    ///
    /// Either an earlier attempt wrote this same outcome and its commit was not confirmed; or the lease lapsed and
    /// another process settled the order; or its number went to an interchangeable order.
    async fn resolve_late_answer(
        &self,
        order: &Order,
        settlement: &Settlement,
        found: Option<&Observation>,
    ) -> Result<(), Error> {
        let scope = Scope::system("late answer");
        let written = self.core.store.order(&scope, &order.id).await?;
        let Settlement::Fulfilled { phone_number_id, .. } = settlement else {
            tracing::warn!(
                order_id = %order.id,
                ?settlement,
                "order already settled; the late answer of Close is ignored"
            );
            return Ok(());
        };
        if written.is_some_and(|written| written.phone_number_id.as_ref() == Some(phone_number_id)) {
            return Ok(());
        }
        tracing::error!(
            order_id = %order.id,
            number_id = %phone_number_id,
            "order already settled; the number in the late answer of Close becomes an orphan"
        );
        if let Some(found) = found {
            self.core
                .store
                .insert_if_unknown(std::slice::from_ref(found))
                .await?;
        }
        self.name_late_arrival(phone_number_id, order).await.map(drop)
    }
}
