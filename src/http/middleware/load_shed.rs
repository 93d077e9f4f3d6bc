//! Load shedding: bounds the requests that run, send their body, or wait for an order at the same time.
//!
//! A request above a bound gets a 503 before the service does any work for it. Webhooks from Close have a pool of their
//! own, so that requests of apps cannot displace them. Anybody can send such a webhook, so it gets a permit to run only
//! after its signature was verified, and then it waits for one.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::domain::close_event::WEBHOOK_PATH;
use crate::http::limits::Limits;
use crate::http::middleware::receiving::Receiving;
use crate::http::problem::Problem;
use crate::http::problem::problem_type::ProblemType;
use crate::telemetry::metrics::REQUESTS_SHED_TOTAL;

/// Maximum number of webhooks from Close that run at the same time.
const CLOSE_WEBHOOKS: usize = 64;
/// Requests that may send their body, for each request that may run.
///
/// A request that sends its body slowly costs only memory, so more of them are allowed. Beyond them, the slowest ends.
const SENDING_PER_RUNNING: usize = 2;
/// `Retry-After` of a refused request, in seconds.
const RETRY_AFTER: u64 = 1;

/// The concurrency limits of this replica.
pub(in crate::http) struct LoadShed {
    apps: Arc<Pool>,
    close: Arc<Pool>,
    waiting: Arc<Semaphore>,
}

/// The limits for one kind of request.
struct Pool {
    running: Arc<Semaphore>,
    receiving: Receiving,
}

/// A request's permit to run. The last clone returns the permit to its pool when dropped.
///
/// The default permit belongs to no pool and has no limit.
#[derive(Clone, Default)]
pub(in crate::http) struct Permit(Option<Arc<Held>>);

struct Held {
    pool: Arc<Pool>,
    /// Empty while the request's body arrives, and after the handler has finished.
    running: Mutex<Option<OwnedSemaphorePermit>>,
}

impl LoadShed {
    pub(in crate::http) fn new(limits: &Limits) -> Self {
        Self {
            apps: Pool::new(limits.in_flight),
            close: Pool::new(CLOSE_WEBHOOKS),
            waiting: Arc::new(Semaphore::new(limits.waiting_orders)),
        }
    }

    /// Takes a permit to run from the pool for the path, or returns the problem `busy`.
    pub(in crate::http) fn acquire(&self, path: &str) -> Result<Permit, Problem> {
        let (pool, running) = if path == WEBHOOK_PATH {
            (&self.close, None)
        } else {
            (&self.apps, Some(self.apps.acquire()?))
        };
        let held = Held {
            pool: pool.clone(),
            running: Mutex::new(running),
        };
        Ok(Permit(Some(Arc::new(held))))
    }

    /// Takes a permit to wait for the end of an order, if one is free.
    pub(in crate::http) fn acquire_wait(&self) -> Option<OwnedSemaphorePermit> {
        self.waiting.clone().try_acquire_owned().ok()
    }
}

impl Pool {
    fn new(running: usize) -> Arc<Self> {
        Arc::new(Self {
            running: Arc::new(Semaphore::new(running)),
            receiving: Receiving::new(running.saturating_mul(SENDING_PER_RUNNING)),
        })
    }

    fn acquire(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.running.clone().try_acquire_owned().map_err(|_| overloaded())
    }
}

impl Permit {
    /// Waits for `body` without the permit to run, then takes a new permit.
    ///
    /// So a client that sends its body slowly does not prevent other requests from running.
    pub(in crate::http) async fn without_permit<T>(
        &self,
        body: impl Future<Output = T>,
    ) -> Result<T, Problem> {
        let received = self.receive(body).await?;
        if let Some(held) = &self.0 {
            held.replace(Some(held.pool.acquire()?));
        }
        Ok(received)
    }

    /// Waits for `body` without a permit to run. Fails if too many bodies arrive, of which this one is the slowest.
    pub(in crate::http) async fn receive<T>(&self, body: impl Future<Output = T>) -> Result<T, Problem> {
        let Some(held) = &self.0 else {
            return Ok(body.await);
        };
        held.replace(None);
        held.pool.receiving.receive(body).await.map_err(|_| {
            metrics::counter!(REQUESTS_SHED_TOTAL).increment(1);
            Problem::new(ProblemType::BodyTooSlow).header(CONNECTION, HeaderValue::from_static("close"))
        })
    }

    /// Takes a permit to run. Waits at most `limit` for one.
    pub(in crate::http) async fn wait(&self, limit: Duration) -> Result<(), Problem> {
        let Some(held) = &self.0 else { return Ok(()) };
        let permit = timeout(limit, held.pool.running.clone().acquire_owned()).await;
        held.replace(Some(permit.ok().and_then(Result::ok).ok_or_else(overloaded)?));
        Ok(())
    }

    /// Returns the permit to its pool when the work is done, before the response has been sent.
    pub(in crate::http) fn release(&self) {
        if let Some(held) = &self.0 {
            held.replace(None);
        }
    }
}

impl Held {
    fn replace(&self, running: Option<OwnedSemaphorePermit>) {
        *self.running.lock() = running;
    }
}

fn overloaded() -> Problem {
    metrics::counter!(REQUESTS_SHED_TOTAL).increment(1);
    Problem::new(ProblemType::Busy).retry_after(RETRY_AFTER)
}
