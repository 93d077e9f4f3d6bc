//! A simulated Close CRM: one organization that answers over real HTTP, for tests and development.
//!
//! It keeps state, sends webhooks, limits request rates and fails on demand: faults can be scripted per request.
//! Types and signatures are its own, so that a test never compares a client's code with itself.
//!
//! Close's API is under `/api/v1`. Routes that only tests need are under `/_control/`; they need no API key, and
//! `GET /_control/` lists them. A request passes the key check, then the rate limit, then the faults: a request that
//! is rejected earlier does not consume a fault.
//!
//! Where Close's behaviour is not documented, the simulation chooses:
//!
//! | case | choice |
//! |---|---|
//! | path without a trailing slash | 404 |
//! | refused rent, invalid input | 400 |
//! | missing permission, or before `future` a personal number of another user | 403 |
//! | participants of a number with one user | before `future` none, then that user |
//! | number for one user | personal; for several, or with `sharing: "group"`, a group number |
//! | SMS | every number in North America; elsewhere local and mobile numbers where Close supports SMS |
//! | `needs-more-info` | Brazil and Japan without a `bundle_id` |
//! | order of lists | by time of rent |

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub mod cli;
mod clock;
mod control;
mod duration;
mod endpoints;
mod events;
mod faults;
mod numbers;
mod options;
mod organization;
mod pipeline;
mod random;
mod rate_limit;
mod request;
mod request_log;
mod response;
mod router;
mod seed;
mod server;
mod settings;
mod shared;
mod state;
mod time;
mod validation;
mod webhooks;

/// The shape of Close's answers as far as it is documented: objects with their fields, types and words, as JSON.
///
/// Change it when Close's documentation changes. The service reports what differs from it.
pub const API_SNAPSHOT: &str = include_str!("../close-api.json");

pub use clock::Clock;
pub use faults::fault::{Fault, faults_from_json};
pub use options::Options;
pub use settings::{DeliverySettings, Epoch, LimitBody, RateLimit, Settings};

use shared::Shared;

/// A simulated Close that is running.
///
/// Dropping it stops it without waiting; [`stop`](Self::stop) waits.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    api_key: String,
    owner: String,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Sandbox {
    /// Binds the address and serves in background tasks.
    ///
    /// Fails when the address cannot be bound.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("the simulated Close cannot listen on {}", options.listen))?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let (shared, outbox) = Shared::new(options, address)?;
        let shared = Arc::new(shared);
        let (api_key, owner) = {
            let state = shared.state();
            (state.key.text.clone(), state.key.owner.clone())
        };
        tokio::spawn(webhooks::delivery::run(Arc::clone(&shared), outbox, stop.clone()));
        let serving = tokio::spawn(server::serve(listener, shared, stop.clone()));
        Ok(Self {
            address,
            api_key,
            owner,
            stop,
            serving,
        })
    }

    /// The address it listens on, with the port that the system assigned.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients, `http://127.0.0.1:PORT/api/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// The only API key of the organization: `api_`, 22 characters, `.`, 22 characters.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The id of the user that the API key belongs to.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Cuts all connections, drops pending deliveries, and returns when the port is free again.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.serving).await {
            tracing::warn!(%error, "the server task of the simulated Close failed");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
