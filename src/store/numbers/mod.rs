//! Numbers as rows of the table `numbers`: upserted, assigned, transferred and released.

pub(super) mod assign;
pub(super) mod cache_source;
pub(super) mod claim;
pub(super) mod find;
pub(super) mod release;
pub(super) mod row;
pub(super) mod transfer;
pub(super) mod unassigned;
pub(super) mod upsert;
