//! Orders as rows of the table `orders`: inserted, read, claimed, settled, cancelled and approved.

pub(super) mod approval;
pub(super) mod cancel;
pub(super) mod claim;
pub(super) mod find;
pub(super) mod insert;
pub(super) mod label;
pub(super) mod open;
pub(super) mod queue;
pub(super) mod row;
pub(super) mod settle;
pub(super) mod unverified;
