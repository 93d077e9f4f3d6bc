//! Dispatches queued orders that are due, and recovers orders whose process died during the call.

use crate::desk::each::each;
use crate::desk::orders::Orders;
use crate::domain::audit::Actor;
use crate::domain::order::transition::Settlement;
use crate::error::Error;

/// Orders processed in one step. The next step continues with the next ones.
const BATCH: u32 = 64;
/// Lapsed orders that are written at the same time.
const AT_ONCE: usize = 4;

impl Orders {
    /// One step: marks orders with a lapsed lease as unverified, and starts the dispatch of due orders.
    ///
    /// A lapsed lease means that the process died during the call to Close, so the outcome is unknown. Idempotent: any
    /// replica can run it at any time.
    pub async fn recover(&self) -> Result<(), Error> {
        // A lapsed order that can't be written must not keep the queue waiting.
        let (lapsed, due) = tokio::join!(Box::pin(self.mark_lapsed()), Box::pin(self.dispatch_due()));
        lapsed.and(due)
    }

    async fn mark_lapsed(&self) -> Result<(), Error> {
        let now = self.core.now();
        let lease = self.core.settings.deadline + self.core.settings.lease_margin;
        let lapsed = self.core.store.lapsed_orders(now, lease, BATCH).await?;
        each(lapsed, AT_ONCE, |order| async move {
            let reason = "the service stopped during the call to Close".to_owned();
            let row = self.settlement_row(&order, Actor::desk(), None);
            self.record_settlement(&order, Settlement::Unverified { reason }, row)
                .await
                .map(drop)
        })
        .await
    }

    async fn dispatch_due(&self) -> Result<(), Error> {
        if self.key_refused.is_active(self.core.clock.steady())
            || self.core.close.circuit_open()
            || !self.holds.permits_calls().await?
        {
            return Ok(());
        }
        if let Some(until) = self.core.close.rent_limited_until() {
            self.wake_queue_at(until);
            return Ok(());
        }
        for (id, team) in self.core.store.due_orders(self.core.now(), BATCH).await? {
            self.start_dispatch(id, team);
        }
        Ok(())
    }
}
