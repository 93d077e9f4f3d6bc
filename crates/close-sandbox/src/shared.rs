//! The state and the clients that all connections and deliveries share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::options::Options;
use crate::seed::seed;
use crate::state::State;
use crate::webhooks::queue::QueuedEvent;

/// What all connections and deliveries share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Notified whenever a request, a response or a delivery is recorded.
    pub(crate) activity: Notify,
    next_seq: AtomicU64,
    pub(crate) address: SocketAddr,
    verifying_client: reqwest::Client,
    /// For subscriptions with `verify_ssl: false`.
    lenient_client: reqwest::Client,
}

impl Shared {
    /// Creates the initial state, and the queue of events to deliver.
    pub(crate) fn new(
        options: Options,
        address: SocketAddr,
    ) -> anyhow::Result<(Self, UnboundedReceiver<QueuedEvent>)> {
        let (outbox, queue) = tokio::sync::mpsc::unbounded_channel();
        let client = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                // Subscribers are local, and a proxy from the environment could not reach them.
                .no_proxy()
        };
        let mut state = seed(options, outbox);
        state.restore()?;
        state.save();
        let shared = Self {
            state: Mutex::new(state),
            activity: Notify::new(),
            next_seq: AtomicU64::new(1),
            address,
            verifying_client: client().build()?,
            lenient_client: client().danger_accept_invalid_certs(true).build()?,
        };
        Ok((shared, queue))
    }

    /// Locks the state. Never hold the lock across an `await`.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic in one request must not fail all later ones.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next request, counted from 1.
    pub(crate) fn next_request(&self) -> u64 {
        self.next_seq.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn delivery_client(&self, verify_certificates: bool) -> &reqwest::Client {
        if verify_certificates {
            &self.verifying_client
        } else {
            &self.lenient_client
        }
    }
}
