//! Connections: the accept loop, TLS, the limits of a connection, and shutdown.

pub(super) mod accept;
mod activity;
pub(super) mod listener;
pub(super) mod tls;
