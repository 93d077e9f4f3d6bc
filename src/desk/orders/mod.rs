//! Orders: from the request for a number to a settled outcome.
//!
//! A request becomes a durable order ([`create`]). The order is claimed and sent to Close once ([`dispatch`]), and its
//! outcome is written ([`settle`]). An order whose outcome is unknown is unverified: it is never sent again, and
//! [`reconcile`] collects [`evidence`] from Close until a [`verdict`] is possible, or until a person must decide
//! ([`manual_review`]).

mod approve;
mod cancel;
mod changes;
pub(in crate::desk) mod create;
mod dispatch;
mod evidence;
mod fair_queue;
mod in_flight;
mod late_arrivals;
mod list;
pub(in crate::desk) mod manual_review;
mod obscuring;
pub(in crate::desk) mod order_with_number;
mod origin;
mod provenance;
mod queue_status;
mod reconcile;
mod recover;
mod set_label;
mod settle;
pub(in crate::desk) mod validate;
mod verdict;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::desk::account::Account;
use crate::desk::cooldown::Cooldown;
use crate::desk::core::Core;
use crate::desk::hold::Holds;
use crate::desk::number_cache::NumberCache;
use crate::desk::number_claims::NumberClaims;
pub(in crate::desk) use crate::desk::orders::changes::OrderChanges;
use crate::desk::orders::fair_queue::FairQueue;
use crate::domain::id::PhoneNumberId;

/// Paid calls that one process makes at the same time. More would only exceed Close's rate limit.
const PARALLEL_CALLS: usize = 8;

/// Orders for numbers.
#[derive(Clone)]
pub struct Orders {
    core: Core,
    account: Account,
    cache: NumberCache,
    claims: NumberClaims,
    /// Nothing is sent while one is in force.
    holds: Holds,
    /// Shares the paid calls fairly between teams.
    queue: FairQueue,
    /// Notifies waiting requests when their order changes.
    changes: OrderChanges,
    /// No order is sent for a while after Close refused the API key.
    key_refused: Cooldown,
    /// The queue is woken at its end: the reset of Close's rate limit.
    wake: Cooldown,
    /// No provenance is looked up for a while after Close refused its event log.
    log_refused: Cooldown,
    /// The last orphan whose provenance was looked up; the next step goes on after it.
    explained_to: Arc<Mutex<Option<PhoneNumberId>>>,
}

impl Orders {
    pub(in crate::desk) fn new(
        core: Core,
        account: Account,
        cache: NumberCache,
        claims: NumberClaims,
        holds: Holds,
    ) -> Self {
        Self {
            core,
            account,
            cache,
            claims,
            holds,
            queue: FairQueue::new(PARALLEL_CALLS),
            changes: OrderChanges::default(),
            key_refused: Cooldown::default(),
            wake: Cooldown::default(),
            log_refused: Cooldown::default(),
            explained_to: Arc::default(),
        }
    }

    /// The channel through which other parts report changes of orders.
    pub(in crate::desk) fn changes(&self) -> OrderChanges {
        self.changes.clone()
    }
}
