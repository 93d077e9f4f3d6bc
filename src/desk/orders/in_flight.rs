//! The orders that this process is dispatching: each order has at most one such task at a time.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::domain::id::OrderId;

/// The orders that a task of this process is dispatching. Clones share it.
#[derive(Clone, Default)]
pub(in crate::desk::orders) struct InFlight(Arc<Mutex<HashSet<OrderId>>>);

/// Marks one order as in flight until it is dropped.
pub(in crate::desk::orders) struct InFlightGuard {
    in_flight: InFlight,
    id: OrderId,
}

impl InFlight {
    /// Marks the order, unless a task is dispatching it already.
    pub(in crate::desk::orders) fn begin(&self, id: &OrderId) -> Option<InFlightGuard> {
        let new = self.lock().insert(id.clone());
        new.then(|| InFlightGuard {
            in_flight: self.clone(),
            id: id.clone(),
        })
    }

    /// Whether a task is dispatching the order.
    pub(in crate::desk::orders) fn contains(&self, id: &OrderId) -> bool {
        self.lock().contains(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<OrderId>> {
        self.0.lock()
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.id);
    }
}
