//! Resuming what waits or was left behind: queued orders whose time has come, and calls whose process died.

use crate::desk::Desk;
use crate::domain::audit::Actor;
use crate::domain::order::transition::Settlement;
use crate::error::Error;

/// Orders taken up in one step; the next step takes the next ones.
const BATCH: u32 = 64;

impl Desk {
    /// One step: may be run at any time, by any replica, any number of times.
    pub async fn resume(&self) -> Result<(), Error> {
        let now = self.now();
        for order in self.0.store.lapsed_orders(now, BATCH).await? {
            let reason = "the desk stopped while the call to Close was under way".to_owned();
            let row = self.settlement_row(&order, Actor::desk(), None);
            self.settle_once(&order, Settlement::Unverified { reason }, None, row)
                .await?;
        }
        if self.0.key_refused.hold(now) || self.0.close.is_away() {
            return Ok(());
        }
        for (id, team) in self.0.store.due_orders(now, BATCH).await? {
            self.start(id, team);
        }
        Ok(())
    }
}
