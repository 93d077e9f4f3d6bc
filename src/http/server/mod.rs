//! Connections: the accept loop, TLS, the limits of a connection, and shutdown.

pub(super) mod accept;
mod activity;
pub(super) mod listener;
mod progress;
mod response_body;
mod socket;
pub(super) mod tls;
