//! The event log: assigning sequence numbers to committed events, and streaming them to readers.

mod sequence;
pub(in crate::desk) mod stream;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use tokio::sync::{Mutex, broadcast};

use crate::desk::account::Account;
use crate::desk::core::Core;
use crate::desk::number_cache::NumberCache;
use crate::desk::orders::OrderChanges;
use crate::desk::resolve_caller::Access;
use crate::desk::shares::Shares;
use crate::store::SequencedEvent;

/// The event log.
#[derive(Clone)]
pub struct Events {
    core: Core,
    account: Account,
    cache: NumberCache,
    /// Checks the rights of a stream's reader. The stream ends when the policy changes them.
    access: Access,
    /// Notifies waiting requests of this process when another replica settles their order.
    order_changes: OrderChanges,
    /// The position of this process in the event log.
    position: Arc<Position>,
    /// Limits the open streams.
    streams: Shares,
}

impl Events {
    pub(in crate::desk) fn new(
        core: Core,
        account: Account,
        cache: NumberCache,
        access: Access,
        order_changes: OrderChanges,
    ) -> Self {
        let streams = core.settings.event_streams;
        Self {
            core,
            account,
            cache,
            access,
            order_changes,
            position: Arc::default(),
            streams: Shares::new(
                streams,
                "Your team already has its share of this replica's event streams.",
                "This replica already serves the maximum number of event streams.",
            ),
        }
    }
}

/// Events buffered for slow streams. A stream that is further behind reads from the store.
const LIVE: usize = 4_096;

/// The position of this process in the event log.
struct Position {
    /// The sequence number of the last applied event. `None` before the first step.
    at: Mutex<Option<i64>>,
    /// A lock-free copy of `at` for readers.
    applied: AtomicI64,
    /// Sends applied events to the streams of this process.
    live: broadcast::Sender<Arc<SequencedEvent>>,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            at: Mutex::default(),
            applied: AtomicI64::new(0),
            live: broadcast::channel(LIVE).0,
        }
    }
}
