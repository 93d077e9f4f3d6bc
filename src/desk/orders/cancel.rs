//! Cancels orders that were not sent to Close: on request, or because they do not match an approval.

use serde_json::json;

use crate::desk::orders::Orders;
use crate::desk::orders::order_with_number::OrderWithNumber;
use crate::desk::orders::settle::record_settling_time;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::authority::CallContext;
use crate::domain::id::OrderId;
use crate::domain::order::Order;
use crate::domain::order::transition::WrongState;
use crate::domain::permission::needs;
use crate::error::Error;
use crate::telemetry::metrics::ORDERS_ALTERED_TOTAL;

impl Orders {
    /// Cancels an order that is queued or awaits approval, and frees its reservation.
    pub async fn cancel(
        &self,
        ctx: CallContext<'_, needs::NumbersRent>,
        id: &OrderId,
    ) -> Result<OrderWithNumber, Error> {
        let (order, authority) = self.find_authorized(ctx, id).await?;
        let now = self.core.now();
        let team = order.team.clone();
        let order = order
            .cancelled(now)
            .map_err(|WrongState(state)| Error::OrderNotCancellable { state })?;
        let row = authority
            .row(now, Action::OrderCancel, "cancelled", Some(&team))
            .order(id);
        let done = self.core.store.cancel_order(&order, &row).await?;
        let current = self.with_number(authority.scope(), id).await?;
        if !done {
            // It was sent between the read and the write.
            return Err(Error::OrderNotCancellable {
                state: current.order.state,
            });
        }
        record_settling_time(&order);
        self.changes.notify(id);
        Ok(current)
    }

    /// Cancels a stored order that does not match its approval.
    ///
    /// Somebody changed it in the database. Only an approved request is ever sent.
    pub(in crate::desk::orders) async fn cancel_altered(&self, order: Order) -> Result<(), Error> {
        tracing::error!(
            order_id = %order.id,
            team = %order.team,
            "order cancelled: the stored order does not match an approval"
        );
        metrics::counter!(ORDERS_ALTERED_TOTAL).increment(1);
        let now = self.core.now();
        let mut order = order
            .cancelled(now)
            .map_err(|wrong| Error::Internal(wrong.into()))?;
        order.reason = Some("the stored order does not match an approval, so it was not sent".to_owned());
        let row = AuditRow::new(now, Actor::desk(), Action::OrderCancel, "altered")
            .team(Some(&order.team))
            .order(&order.id)
            .detail(json!({
                "request": order.request,
                "fingerprint": order.request.fingerprint(),
                "approved": order.approval.as_ref().map(|approval| &approval.fingerprint),
            }));
        if self.core.store.cancel_order(&order, &row).await? {
            record_settling_time(&order);
            self.changes.notify(&order.id);
        }
        Ok(())
    }
}
