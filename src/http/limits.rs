//! The configured limits of requests and connections.

use std::time::Duration;

/// The limits of one request, one connection, one team and the whole replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size of a request body, in bytes.
    pub body: usize,
    /// Maximum number of open connections. Further ones wait in the kernel, and idle ones close sooner.
    pub connections: usize,
    /// Maximum time for a TLS handshake, and for a request's head to arrive.
    pub header_timeout: Duration,
    /// Maximum time that a connection stays open without a request.
    pub idle_timeout: Duration,
    /// Maximum time that a client may take no part of a response.
    pub send_timeout: Duration,
    /// Maximum number of headers of one request.
    pub max_headers: usize,
    /// Maximum time that shutdown waits for running requests.
    pub grace: Duration,
    /// Maximum number of requests per minute of one team. 0 disables the rate limit.
    pub requests_per_minute: u32,
    /// Maximum number of requests of one team that may arrive at once.
    pub burst: u32,
    /// Maximum number of requests that the replica runs at the same time.
    pub in_flight: usize,
    /// Maximum number of requests that wait for the end of their order at the same time.
    pub waiting_orders: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 << 10,
            connections: 4_096,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            send_timeout: Duration::from_secs(30),
            max_headers: 100,
            grace: Duration::from_secs(30),
            requests_per_minute: 600,
            burst: 600,
            in_flight: 512,
            waiting_orders: 256,
        }
    }
}
