//! Middleware: what runs before and after every handler, whatever the route.

pub(super) mod access_log;
pub(super) mod drain;
pub(super) mod load_shed;
pub(super) mod rate_limit;
pub(super) mod request_context;
