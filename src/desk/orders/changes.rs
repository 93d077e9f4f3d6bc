//! Notifies the requests that wait for an order when it changes.

use tokio::sync::broadcast;

use crate::desk::orders::in_flight::InFlight;
use crate::domain::id::OrderId;

/// Changes buffered for a slow request. A request that is further behind reads its order again.
const CAPACITY: usize = 1_024;

/// Notifies waiting requests when their order changes. Clones share it.
#[derive(Clone)]
pub(in crate::desk) struct OrderChanges {
    /// The orders that a task of this process is dispatching.
    pub(in crate::desk::orders) in_flight: InFlight,
    sender: broadcast::Sender<OrderId>,
}

impl Default for OrderChanges {
    fn default() -> Self {
        Self {
            in_flight: InFlight::default(),
            sender: broadcast::channel(CAPACITY).0,
        }
    }
}

impl OrderChanges {
    /// Subscribes to all later changes.
    pub(in crate::desk::orders) fn subscribe(&self) -> broadcast::Receiver<OrderId> {
        self.sender.subscribe()
    }

    /// Notifies waiting requests that the order changed.
    pub(in crate::desk::orders) fn notify(&self, id: &OrderId) {
        // An error means that no request waits.
        let _ = self.sender.send(id.clone());
    }

    /// Notifies waiting requests of a change, unless a task of this process is dispatching the order.
    ///
    /// That task notifies the requests at its end, when the number has its label too.
    pub(in crate::desk) fn notify_unless_in_flight(&self, id: &OrderId) {
        if !self.in_flight.contains(id) {
            self.notify(id);
        }
    }
}
