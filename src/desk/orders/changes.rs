//! Tells the requests that wait for an order when it changes.

use tokio::sync::broadcast;

use crate::desk::orders::in_flight::InFlight;
use crate::domain::id::OrderId;

/// Changes that a slow request may fall behind before it simply reads its order again.
const CAPACITY: usize = 1_024;

/// Tells waiting requests that their order changed. Clones share it.
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
    /// All changes from now on.
    pub(in crate::desk::orders) fn subscribe(&self) -> broadcast::Receiver<OrderId> {
        self.sender.subscribe()
    }

    /// Tells waiting requests that the order changed.
    pub(in crate::desk::orders) fn notify(&self, id: &OrderId) {
        // An error means that no request waits.
        let _ = self.sender.send(id.clone());
    }

    /// Tells waiting requests that the order changed, unless a task of this process is dispatching it.
    ///
    /// That task notifies at its end, when the number has its label too.
    pub(in crate::desk) fn notify_unless_in_flight(&self, id: &OrderId) {
        if !self.in_flight.contains(id) {
            self.notify(id);
        }
    }
}
