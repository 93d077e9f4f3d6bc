//! Middleware: what runs before and after handlers.
//!
//! From the outside in: [`serve_request`] gives every request its context, checks its head, bounds the load and completes
//! every answer; [`authenticate`] and then [`rate_limit`] guard the routes that need a token.

pub(super) mod access_log;
pub(super) mod authenticate;
pub(super) mod check_head;
pub(super) mod drain;
pub(super) mod fallback;
pub(super) mod gcra;
pub(super) mod load_shed;
pub(super) mod rate_limit;
pub(super) mod request_context;
pub(super) mod security_headers;
pub(super) mod serve_request;
