//! Who is at which order in this process: each order has one task at a time that tries to send it.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::domain::id::OrderId;

/// The orders that a task of this process is at. Clones share it.
#[derive(Clone, Default)]
pub(in crate::desk) struct Turns(Arc<Mutex<HashSet<OrderId>>>);

/// An order's turn; it is over when this is dropped.
pub(in crate::desk) struct Turn {
    turns: Turns,
    id: OrderId,
}

impl Turns {
    /// The order's turn, unless a task is at it already.
    pub(in crate::desk) fn take(&self, id: &OrderId) -> Option<Turn> {
        let fresh = self.lock().insert(id.clone());
        fresh.then(|| Turn {
            turns: self.clone(),
            id: id.clone(),
        })
    }

    /// Whether a task is at the order.
    pub(in crate::desk) fn taken(&self, id: &OrderId) -> bool {
        self.lock().contains(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<OrderId>> {
        self.0.lock()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.id);
    }
}
