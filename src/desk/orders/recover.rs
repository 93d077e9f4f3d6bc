//! Takes up what waits or was left behind: queued orders that are due, and calls whose process died.

use crate::desk::orders::Orders;
use crate::domain::audit::Actor;
use crate::domain::order::transition::Settlement;
use crate::error::Error;

/// Orders taken up in one step. The next step takes the next ones.
const BATCH: u32 = 64;

impl Orders {
    /// One step. Safe to run at any time, on any replica, any number of times.
    ///
    /// A lapsed lease means that its process died with a call under way, so the outcome is unknown.
    pub async fn recover(&self) -> Result<(), Error> {
        let now = self.core.now();
        for order in self.core.store.lapsed_orders(now, BATCH).await? {
            let reason = "the desk stopped while the call to Close was under way".to_owned();
            let row = self.settlement_row(&order, Actor::desk(), None);
            self.record_settlement(&order, Settlement::Unverified { reason }, None, row)
                .await?;
        }
        if self.key_refused.is_active(now) || self.core.close.circuit_open() {
            return Ok(());
        }
        for (id, team) in self.core.store.due_orders(now, BATCH).await? {
            self.start_dispatch(id, team);
        }
        Ok(())
    }
}
