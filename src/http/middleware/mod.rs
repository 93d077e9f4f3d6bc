//! Middleware: code that runs before and after handlers.
//!
//! [`serve_request`] is the outermost middleware: it creates the context of every request, checks its head, bounds the
//! load and completes every response. On routes that need a token, [`authenticate`] follows, and then [`rate_limit`].

pub(super) mod access_log;
pub(super) mod authenticate;
pub(super) mod check_head;
pub(super) mod cors;
pub(super) mod deprecation;
pub(super) mod drain;
pub(super) mod fallback;
pub(super) mod gcra;
pub(super) mod load_shed;
pub(super) mod rate_limit;
pub(super) mod receiving;
pub(super) mod request_context;
pub(super) mod request_log;
pub(super) mod security_headers;
pub(super) mod serve_request;
