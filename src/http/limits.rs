//! The limits of requests and connections, as the configuration sets them.

use std::time::Duration;

/// What one request, one connection, one team and the whole replica may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body: usize,
    /// Longest time for a request's head to arrive, and for a connection to stay idle.
    pub header_timeout: Duration,
    /// Most headers of one request.
    pub max_headers: usize,
    /// Longest time that shutdown waits for running requests.
    pub grace: Duration,
    /// Requests per minute of one team; 0 disables the rate limit.
    pub requests_per_minute: u32,
    /// Requests of one team that may arrive at once.
    pub burst: u32,
    /// Requests that the replica works on at the same time.
    pub in_flight: usize,
    /// Requests that may wait for the end of their order at the same time.
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
