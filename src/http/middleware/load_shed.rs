//! Room for requests: so many are at work at once, so many wait for the end of an order, so many send their body. What
//! comes on top is turned away before anything is done for it. It does not know what any of them wants.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::close_event::WEBHOOK_PATH;
use crate::http::Limits;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::Kind;
use crate::telemetry::metrics::REQUESTS_SHED_TOTAL;

/// Deliveries of Close that are at work at once: room of their own, which nobody else fills.
const DELIVERIES: usize = 64;
/// For each request that may be at work, as many may be sending their body: that costs little but memory.
const SENDERS: usize = 2;
/// When to come back, in seconds.
const LATER: u64 = 1;

/// All the room there is.
pub(in crate::http) struct Room {
    apps: Arc<Hall>,
    close: Arc<Hall>,
    waiting: Arc<Semaphore>,
}

/// Room for requests of one kind.
struct Hall {
    at_work: Arc<Semaphore>,
    sending: Semaphore,
}

/// A request's place; given back with the last of its clones. Without one where nothing is bounded.
#[derive(Clone, Default)]
pub(in crate::http) struct Place(Option<Arc<Held>>);

struct Held {
    hall: Arc<Hall>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Room {
    pub(in crate::http) fn new(limits: &Limits) -> Self {
        Self {
            apps: Hall::new(limits.in_flight),
            close: Hall::new(DELIVERIES),
            waiting: Arc::new(Semaphore::new(limits.waiting_orders)),
        }
    }

    /// A place at work, or a problem at once.
    pub(in crate::http) fn enter(&self, path: &str) -> Result<Place, Problem> {
        let hall = if path == WEBHOOK_PATH {
            &self.close
        } else {
            &self.apps
        };
        let held = Held {
            hall: hall.clone(),
            permit: Mutex::new(Some(hall.begin()?)),
        };
        Ok(Place(Some(Arc::new(held))))
    }

    /// A place to wait for the end of an order, if there is one.
    pub(in crate::http) fn wait(&self) -> Option<OwnedSemaphorePermit> {
        self.waiting.clone().try_acquire_owned().ok()
    }
}

impl Hall {
    fn new(at_work: usize) -> Arc<Self> {
        Arc::new(Self {
            at_work: Arc::new(Semaphore::new(at_work)),
            sending: Semaphore::new(at_work.saturating_mul(SENDERS)),
        })
    }

    fn begin(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.at_work.clone().try_acquire_owned().map_err(|_| shed())
    }
}

impl Place {
    /// Lets others work while a body arrives: who sends slowly keeps nobody out.
    pub(in crate::http) async fn aside<T>(&self, arrival: impl Future<Output = T>) -> Result<T, Problem> {
        let Some(held) = &self.0 else {
            return Ok(arrival.await);
        };
        let _sending = held.hall.sending.try_acquire().map_err(|_| shed())?;
        held.put(None);
        let arrived = arrival.await;
        held.put(Some(held.hall.begin()?));
        Ok(arrived)
    }

    /// The work is done, although the answer may still be on its way.
    pub(in crate::http) fn leave(&self) {
        if let Some(held) = &self.0 {
            held.put(None);
        }
    }
}

impl Held {
    fn put(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.permit.lock() = permit;
    }
}

fn shed() -> Problem {
    metrics::counter!(REQUESTS_SHED_TOTAL).increment(1);
    Problem::new(Kind::Busy).retry_after(LATER)
}
