//! The small SQL engine below the tables: pools, transactions, rows, lists and migrations.

pub(super) mod commit_hooks;
pub(super) mod connect;
pub(super) mod connections;
pub(super) mod db;
pub(super) mod diagnose;
pub(super) mod error;
pub(super) mod migrate;
pub(super) mod param;
pub(super) mod pool;
pub(super) mod process_lock;
pub(super) mod read_only;
pub(super) mod row;
pub(super) mod select;
pub(super) mod server;
pub(super) mod session;
pub(super) mod statement;
pub(super) mod verdict;
