//! Keeps the differences that the client of Close has met, and reports them to administrators.

use crate::desk::core::Core;
use crate::error::Error;

/// Changes of Close's API.
#[derive(Clone)]
pub struct CloseDrift {
    core: Core,
}

impl CloseDrift {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self { core }
    }

    /// One step: stores what this process has met since the last step, and writes the daily event if it is due.
    pub async fn record(&self) -> Result<(), Error> {
        let seen = self.core.close.drifts();
        self.core
            .store
            .record_close_drifts(&seen, self.core.now())
            .await?;
        self.core.close.forget_drifts(&seen);
        Ok(())
    }
}
