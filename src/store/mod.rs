//! The store: orders, numbers, ledger, events, webhooks and audit trail, on SQLite or PostgreSQL.
//!
//! It is the only code that knows SQL, and one set of statements serves both databases. It knows neither Close nor
//! HTTP, nor why something is stored.
//!
//! A change and its audit row are one transaction. All transactions lock in one order, so that no two wait for each
//! other: orders, then lanes of countries, then numbers by id, then usage rows by team.

mod audit;
mod close_drift;
mod close_groups;
mod copy;
mod due_times;
mod events;
mod gauges;
mod handle;
mod hold;
mod inbox;
mod inspect;
mod ledger;
mod notifications;
mod numbers;
mod odd_records;
mod orders;
mod own_keys;
mod policy;
mod refetch_queue;
mod schedule;
mod settings;
mod spend;
mod sql;
mod webhooks;

pub use crate::store::audit::read_chain::Period;
pub use crate::store::audit::rows::AuditFilter;
pub use crate::store::copy::{Copied, CopyError, Progress};
pub use crate::store::events::row::SequencedEvent;
pub use crate::store::gauges::OpenOrders;
pub use crate::store::handle::Store;
pub use crate::store::hold::confirm::Confirmed;
pub use crate::store::inspect::Inspection;
pub use crate::store::ledger::Cap;
pub use crate::store::numbers::find::NumberRecord;
pub use crate::store::numbers::transfer::Transferred;
pub use crate::store::numbers::unassigned::UnassignedNumber;
pub use crate::store::numbers::upsert::Observation;
pub use crate::store::orders::claim::{Claim, SendTime};
pub use crate::store::orders::find::OrderFilter;
pub use crate::store::orders::insert::Inserted;
pub use crate::store::orders::open::UnsettledOrder;
pub use crate::store::policy::{LastPolicy, PolicyInForce};
pub use crate::store::refetch_queue::RefetchJob;
pub use crate::store::sql::process_lock::{ProcessLock, ProcessLockError};
pub use crate::store::webhooks::deliveries::AttemptResult;
pub use crate::store::webhooks::endpoints::DisableEndpoint;
