//! The event log: assigning sequence numbers to committed events, and streaming them to readers.

mod sequence;
pub(in crate::desk) mod stream;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::desk::account::Account;
use crate::desk::core::Core;
use crate::desk::events::sequence::Position;
use crate::desk::number_cache::NumberCache;
use crate::desk::orders::OrderChanges;
use crate::desk::resolve_caller::Access;

/// Streams that one process serves at the same time.
const STREAMS: usize = 1_000;

/// The event log.
#[derive(Clone)]
pub struct Events {
    core: Core,
    account: Account,
    cache: NumberCache,
    /// A stream ends when the policy takes rights from its reader.
    access: Access,
    /// Requests here wait for orders that another replica may settle.
    order_changes: OrderChanges,
    /// How far this process has followed the event log.
    position: Arc<Position>,
    /// Limits the open streams.
    streams: Arc<Semaphore>,
}

impl Events {
    pub(in crate::desk) fn new(
        core: Core,
        account: Account,
        cache: NumberCache,
        access: Access,
        order_changes: OrderChanges,
    ) -> Self {
        Self {
            core,
            account,
            cache,
            access,
            order_changes,
            position: Arc::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}
