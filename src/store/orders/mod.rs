//! Orders as rows.

pub(super) mod approval;
pub(super) mod claim;
pub(super) mod insert;
pub(super) mod list;
pub(super) mod unverified;
