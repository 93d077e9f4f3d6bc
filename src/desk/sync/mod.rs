//! Keeps the inventory equal to Close: by webhooks, by Close's event log, and by complete comparisons.

mod compare;
pub(in crate::desk) mod ingest;
mod poll_event_log;
mod refetch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::desk::account::Account;
use crate::desk::core::Core;
use crate::desk::number_cache::NumberCache;
use crate::desk::orders::Orders;
use crate::desk::subscription::CloseSubscription;
use crate::domain::close_event::CloseEvent;

/// Keeps the inventory equal to Close.
#[derive(Clone)]
pub struct InventorySync {
    core: Core,
    account: Account,
    cache: NumberCache,
    /// A comparison may find numbers that came too late for their order.
    orders: Orders,
    /// Has the keys that verify webhooks.
    subscription: CloseSubscription,
    /// Webhooks that wait to be written together.
    inbox: Arc<Inbox>,
    /// Whether this process has compared the inventory since it started.
    compared: Arc<AtomicBool>,
}

impl InventorySync {
    pub(in crate::desk) fn new(
        core: Core,
        account: Account,
        cache: NumberCache,
        orders: Orders,
        subscription: CloseSubscription,
    ) -> Self {
        Self {
            core,
            account,
            cache,
            orders,
            subscription,
            inbox: Arc::default(),
            compared: Arc::default(),
        }
    }
}

/// Notices that wait to be written, each with the channel to the request that brought it.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<Vec<(CloseEvent, oneshot::Sender<bool>)>>,
    /// The request that holds the lock writes the notices of all.
    writer: tokio::sync::Mutex<()>,
}
