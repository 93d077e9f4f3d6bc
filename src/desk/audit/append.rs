//! Appends audit rows to the hash chain soon after they were written, and logs the head of the chain.
//!
//! The logged head is a copy outside the database. Comparing it later shows whether the chain was rewritten.

use std::sync::atomic::Ordering;

use crate::desk::audit::Audit;
use crate::error::Error;
use crate::telemetry::metrics::{AUDIT_SEALED_TOTAL, AUDIT_UNSEALED_AGE_SECONDS};

/// Rows appended in one transaction: few enough that other transactions run in between.
const BATCH: u32 = 200;
const HOUR: i64 = 3_600;

impl Audit {
    /// One step: appends all waiting rows, sets the gauge of their age, and logs the head.
    ///
    /// Idempotent: any replica can run it at any time.
    pub async fn append(&self) -> Result<(), Error> {
        let appended = self.append_all().await;
        // Set after a failure too, because then the age rises.
        let oldest = self.core.store.oldest_unchained().await?;
        let age = oldest.map_or(0.0, |oldest| self.core.now().since(oldest).as_secs_f64());
        metrics::gauge!(AUDIT_UNSEALED_AGE_SECONDS).set(age);
        appended?;
        self.log_head().await
    }

    /// Appends every row written so far, after waiting for another replica that is appending.
    pub(in crate::desk::audit) async fn append_after_others(&self) -> Result<(), Error> {
        while counted(self.core.store.append_to_chain_waiting(BATCH).await?) == u64::from(BATCH) {}
        Ok(())
    }

    async fn append_all(&self) -> Result<(), Error> {
        while counted(self.core.store.append_to_chain(BATCH).await?) == u64::from(BATCH) {}
        Ok(())
    }

    /// Logs the head once in each hour of the clock, if it has changed.
    async fn log_head(&self) -> Result<(), Error> {
        let (last, hour) = (&self.last_reported, self.core.now().as_seconds().div_euclid(HOUR));
        if last.hour.load(Ordering::Relaxed) == hour {
            return Ok(());
        }
        if let Some(head) = self.core.store.audit_head().await?
            && head.seq != last.seq.load(Ordering::Relaxed)
        {
            tracing::info!(seq = head.seq, hash = head.hash, %head, "audit chain head recorded");
            last.seq.store(head.seq, Ordering::Relaxed);
        }
        last.hour.store(hour, Ordering::Relaxed);
        Ok(())
    }
}

fn counted(appended: u64) -> u64 {
    metrics::counter!(AUDIT_SEALED_TOTAL).increment(appended);
    appended
}
