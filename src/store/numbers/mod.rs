//! Numbers as rows.

pub(super) mod assign;
pub(super) mod cache_source;
pub(super) mod release;
pub(super) mod upsert;
