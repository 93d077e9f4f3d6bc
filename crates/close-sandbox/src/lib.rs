//! A simulated Close: one organization over real HTTP, stateful, with webhooks, rate limits and faults that
//! can be scripted per request. It has wire types and signature code of its own and knows nothing of the desk.
//!
//! Close's API is under `/api/v1`, what tests need beside it under `/_control/` (`GET` it for the list of routes;
//! it asks for no key). A request passes key, rate limit and faults in this order, so that one that is turned away
//! uses no fault up. Where Close's behaviour is not documented, a choice was made here:
//!
//! | what | choice |
//! |---|---|
//! | path without its last slash | 404 |
//! | refused rent, validation | 400 |
//! | missing permission, somebody else's personal number | 403 |
//! | number for one user | personal; for several, or with `sharing: "group"`, a group number |
//! | SMS | every number in North America; elsewhere local and mobile ones where Close supports SMS |
//! | `needs-more-info` | Brazil and Japan without a `bundle_id` |
//! | order of lists | as rented |

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod clock;
mod control;
mod endpoints;
mod events;
mod faults;
mod json;
mod numbers;
mod rate_limit;
mod request;
mod request_log;
mod response;
mod router;
mod server;
mod settings;
mod state;
mod validation;
mod webhooks;

pub use clock::Clock;
pub use faults::fault::{Fault, faults_from_json};
pub use settings::{DeliverySettings, Epoch, LimitBody, RateLimit, Settings};

use server::State;

/// How a simulated Close starts; [`Default`] is loopback on a free port, seed 1, no faults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one. Keep it on loopback: the control routes ask for no key.
    pub listen: SocketAddr,
    /// Everything made up (ids, the API key, users, groups, phone numbers) follows from this.
    pub seed: u64,
    /// Faults that are armed from the start; see [`faults_from_json`].
    pub faults: Vec<Fault>,
    /// What can also be changed at run time by `POST /_control/settings`.
    pub settings: Settings,
    /// Numbers that the organization holds already, rented by people in Close before the start.
    pub numbers: u32,
    /// Where time comes from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            faults: Vec::new(),
            settings: Settings::default(),
            numbers: 0,
            clock: Clock::system(),
        }
    }
}

/// A simulated Close that is serving; it ends when dropped or stopped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    api_key: String,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Sandbox {
    /// Binds and serves in the background until dropped or [`stop`](Self::stop)ped. Fails when the address
    /// cannot be bound.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("the simulated Close cannot listen on {}", options.listen))?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let (state, outbox) = State::new(options, address)?;
        let state = Arc::new(state);
        let api_key = state.world().key.text.clone();
        tokio::spawn(webhooks::delivery::run(Arc::clone(&state), outbox, stop.clone()));
        let serving = tokio::spawn(server::serve(listener, state, stop.clone()));
        Ok(Self {
            address,
            api_key,
            stop,
            serving,
        })
    }

    /// The address that it listens on, with the port it was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT/api/v1`, what a client takes for Close's base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// The one API key of the organization, `api_` + 22 characters + `.` + 22 characters.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Ends it: connections are cut, deliveries forgotten; returns when the port is free again.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(failure) = (&mut self.serving).await {
            tracing::warn!(%failure, "the simulated Close ended badly: {failure}");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
