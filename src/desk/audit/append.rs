//! Sealing the audit trail: rows get their places in the chain soon after they were written, and the end of the chain
//! is told in the log, so that a copy of it exists outside the database.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::desk::Desk;
use crate::error::Error;
use crate::telemetry::metrics::{AUDIT_SEALED_TOTAL, AUDIT_UNSEALED_AGE_SECONDS};

/// Rows a transaction: long enough to be quick, short enough to let others in between.
const BATCH: u32 = 200;
const HOUR: i64 = 3_600;

/// What was told of the head last: in which hour since 1970, and of which row.
#[derive(Default)]
pub(in crate::desk) struct Told {
    hour: AtomicI64,
    seq: AtomicI64,
}

impl Desk {
    /// One step: may be run at any time, by any replica, any number of times.
    pub async fn seal(&self) -> Result<(), Error> {
        let sealed = self.seal_all().await;
        // Also where sealing fails: that is when it matters.
        let oldest = self.0.store.oldest_unchained().await?;
        let age = oldest.map_or(0.0, |oldest| self.now().since(oldest).as_secs_f64());
        metrics::gauge!(AUDIT_UNSEALED_AGE_SECONDS).set(age);
        sealed?;
        self.tell_head().await
    }

    /// Seals every row that was written before, and waits for a replica that is at it.
    pub(in crate::desk) async fn seal_in_turn(&self) -> Result<(), Error> {
        while counted(self.0.store.append_to_chain_waiting(BATCH).await?) == u64::from(BATCH) {}
        Ok(())
    }

    async fn seal_all(&self) -> Result<(), Error> {
        while counted(self.0.store.append_to_chain(BATCH).await?) == u64::from(BATCH) {}
        Ok(())
    }

    /// Tells the head once an hour by the clock, and so at the end of every day, if it has moved.
    async fn tell_head(&self) -> Result<(), Error> {
        let (told, hour) = (&self.0.head_told, self.now().as_seconds().div_euclid(HOUR));
        if told.hour.load(Ordering::Relaxed) == hour {
            return Ok(());
        }
        if let Some(head) = self.0.store.audit_head().await?
            && head.seq != told.seq.load(Ordering::Relaxed)
        {
            tracing::info!(seq = head.seq, hash = head.hash, %head, "the audit chain is sealed up to here");
            told.seq.store(head.seq, Ordering::Relaxed);
        }
        told.hour.store(hour, Ordering::Relaxed);
        Ok(())
    }
}

fn counted(sealed: u64) -> u64 {
    metrics::counter!(AUDIT_SEALED_TOTAL).increment(sealed);
    sealed
}
