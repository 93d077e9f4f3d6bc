//! Requests in, problems out. Decides nothing: each handler extracts, calls the desk once and answers.
//! Deleting this folder would lose no rule.

mod approvals;
mod audit;
mod conditional;
mod cursor;
mod docs;
mod events;
mod extract;
mod failure;
mod front;
mod kind;
mod leftover;
mod me;
mod openapi;
mod ops;
mod orders;
mod pages;
mod phone_numbers;
mod problem;
mod router;
mod serve;
mod settle;
mod spend;
mod view;
mod webhook_deliveries;
mod webhook_endpoints;
mod webhooks;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Auth;
use crate::desk::Desk;
use crate::http::cursor::Cursors;

pub use crate::http::kind::Kind;
pub use crate::http::ops::Metrics;
pub use crate::http::pages::markdown as errors_markdown;
pub use crate::http::router::{api, document, ops};
pub use crate::http::serve::serve;

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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 << 10,
            header_timeout: Duration::from_secs(10),
            max_headers: 100,
            grace: Duration::from_secs(30),
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
}

impl Http {
    /// `cursor_key` authenticates the cursors of lists; replicas that share a database share the key.
    pub fn new(desk: Desk, auth: Auth, cursor_key: [u8; 32], limits: Limits) -> Self {
        Self {
            desk,
            auth,
            cursors: Arc::new(Cursors::new(cursor_key)),
            limits,
        }
    }
}
