//! The audit trail: listing it, exporting it, and appending rows to the hash chain.

pub(super) mod append;
pub(super) mod export;
