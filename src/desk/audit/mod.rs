//! The audit trail: listing it, exporting it, and appending rows to the hash chain.

mod append;
pub(in crate::desk) mod export;
mod list;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use crate::desk::core::Core;
use crate::desk::shares::Shares;

/// The audit trail.
#[derive(Clone)]
pub struct Audit {
    core: Core,
    /// The head of the chain as last logged.
    last_reported: Arc<LastReported>,
    /// Limits the running exports.
    exports: Shares,
}

impl Audit {
    pub(in crate::desk) fn new(core: Core) -> Self {
        let exports = core.settings.exports;
        Self {
            core,
            last_reported: Arc::default(),
            exports: Shares::new(
                exports,
                "Your team already has its share of this replica's exports of the audit trail.",
                "This replica already serves the maximum number of exports of the audit trail.",
            ),
        }
    }
}

/// The head of the chain as last logged.
#[derive(Default)]
struct LastReported {
    /// Hours since 1970.
    hour: AtomicI64,
    /// The sequence number of the row.
    seq: AtomicI64,
}
