//! The state that handlers, extractors and middleware share.

use std::sync::Arc;

use crate::auth::Auth;
use crate::desk::Desk;
use crate::http::extract::cursor::Cursors;
use crate::http::limits::Limits;
use crate::http::middleware::cors::Cors;
use crate::http::middleware::gcra::RateLimiter;
use crate::http::middleware::load_shed::LoadShed;
use crate::http::middleware::request_log::{LoggedRequests, RequestLog};
use crate::http::prefix::Prefix;

/// The state of both ports. Clones share it.
#[derive(Clone)]
pub struct Http {
    pub(in crate::http) desk: Desk,
    pub(in crate::http) auth: Auth,
    pub(in crate::http) cursors: Arc<Cursors>,
    pub(in crate::http) limits: Limits,
    pub(in crate::http) rate_limiter: Arc<RateLimiter>,
    pub(in crate::http) load_shed: Arc<LoadShed>,
    pub(in crate::http) prefix: Prefix,
    pub(in crate::http) cors: Cors,
    pub(in crate::http) request_log: RequestLog,
}

impl Http {
    /// Creates the state.
    ///
    /// `cursor_key` signs the cursors of lists. It must be the same on all replicas that share a database.
    pub fn new(desk: Desk, auth: Auth, cursor_key: [u8; 32], limits: Limits) -> Self {
        Self {
            desk,
            auth,
            cursors: Arc::new(Cursors::new(cursor_key)),
            rate_limiter: Arc::new(RateLimiter::new(limits.requests_per_minute, limits.burst)),
            load_shed: Arc::new(LoadShed::new(&limits)),
            limits,
            prefix: Prefix::default(),
            cors: Cors::default(),
            request_log: RequestLog::default(),
        }
    }

    /// Writes a log line for these requests only.
    #[must_use]
    pub fn log_requests(self, which: LoggedRequests) -> Self {
        Self {
            request_log: RequestLog::new(which),
            ..self
        }
    }

    /// Allows pages of these origins to call the API from a browser.
    #[must_use]
    pub fn allow_origins(self, origins: &[String]) -> Self {
        Self {
            cors: Cors::new(origins),
            ..self
        }
    }

    /// Serves the API below a path, the path of the URL by which others reach the service.
    #[must_use]
    pub fn below(self, path: &str) -> Self {
        Self {
            prefix: Prefix::new(path),
            ..self
        }
    }
}
