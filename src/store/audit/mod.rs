//! The audit trail as rows, and its hash chain.

pub(super) mod append;
pub(super) mod read_chain;
pub(super) mod rows;
