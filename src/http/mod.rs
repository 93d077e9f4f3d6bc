//! Requests in, problems out. Decides nothing: each handler extracts, calls the desk once and answers.
//! Deleting this folder would lose no rule.

mod extract;
mod middleware;
mod openapi;
mod problem;
mod reload_status;
mod router;
mod routes;
mod server;
mod view;

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Auth;
use crate::desk::Desk;
use crate::http::extract::cursor::Cursors;
use crate::http::middleware::load_shed::Room;
use crate::http::middleware::rate_limit::Allowance;

pub use crate::http::problem::pages::markdown as errors_markdown;
pub use crate::http::problem::problem_type::Kind;
pub use crate::http::reload_status::Board;
pub use crate::http::router::{api, document, ops};
pub use crate::http::routes::ops::Metrics;
pub use crate::http::server::accept::serve;
pub use crate::http::server::tls::Tls;

/// What one request and one connection may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body: usize,
    /// Longest time for a request's head to arrive, and for a connection to stay idle.
    pub header_timeout: Duration,
    /// Most headers of a request.
    pub max_headers: usize,
    /// Longest time that requests under way may take to end at shutdown.
    pub grace: Duration,
    /// Requests a minute of one team; 0 for any number.
    pub requests_per_minute: u32,
    /// How many of them may come at once.
    pub burst: u32,
    /// Requests that are at work at once.
    pub in_flight: usize,
    /// Requests that wait for the end of their order at once.
    pub waiting_orders: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 << 10,
            header_timeout: Duration::from_secs(10),
            max_headers: 100,
            grace: Duration::from_secs(30),
            requests_per_minute: 600,
            burst: 600,
            in_flight: 512,
            waiting_orders: 256,
        }
    }
}

/// What every handler has at hand.
#[derive(Clone)]
pub struct Http {
    desk: Desk,
    auth: Auth,
    cursors: Arc<Cursors>,
    limits: Limits,
    allowance: Arc<Allowance>,
    room: Arc<Room>,
}

impl Http {
    /// `cursor_key` authenticates the cursors of lists; replicas that share a database share the key.
    pub fn new(desk: Desk, auth: Auth, cursor_key: [u8; 32], limits: Limits) -> Self {
        Self {
            desk,
            auth,
            cursors: Arc::new(Cursors::new(cursor_key)),
            allowance: Arc::new(Allowance::new(limits.requests_per_minute, limits.burst)),
            room: Arc::new(Room::new(&limits)),
            limits,
        }
    }
}
