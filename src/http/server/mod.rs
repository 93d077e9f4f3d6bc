//! Connections: the accept loop, TLS, the limits of a connection, and shutdown.

pub(super) mod accept;
pub(super) mod tls;
