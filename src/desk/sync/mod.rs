//! Keeps the inventory equal to Close: by webhooks, by Close's event log, and by complete comparisons.

mod compare;
pub(in crate::desk) mod ingest;
mod missing;
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
use crate::domain::id::PhoneNumberId;

/// Keeps the inventory equal to Close.
#[derive(Clone)]
pub struct InventorySync {
    core: Core,
    account: Account,
    cache: NumberCache,
    /// Handles the numbers that arrived too late for their order, which a comparison may find.
    orders: Orders,
    /// Has the keys that verify Close's webhooks.
    subscription: CloseSubscription,
    /// Events of webhooks that wait to be stored together.
    inbox: Arc<Inbox>,
    /// Whether this process has compared the inventory since it started.
    compared: Arc<AtomicBool>,
    /// The last missing number that this process asked Close for; the next comparison goes on after it.
    asked_to: Arc<Mutex<Option<PhoneNumberId>>>,
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
            asked_to: Arc::default(),
        }
    }
}

/// Events that wait to be stored, each with the channel to the request that received it.
#[derive(Default)]
struct Inbox {
    waiting: Mutex<Vec<(CloseEvent, oneshot::Sender<bool>)>>,
    /// The request that holds the lock stores the events of all requests.
    writer: tokio::sync::Mutex<()>,
}
