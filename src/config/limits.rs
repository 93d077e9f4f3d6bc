//! The section `[limits]`.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::input::values::Whole;

/// The limits of load. Numberdesk rejects requests above them.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The requests of one team in a minute, with all its tokens. 0 means no limit. The answer to more is 429.
    pub requests_per_minute: Whole<0, 1_000_000>,
    /// How many of these requests may come at once. By default as many as `requests_per_minute`.
    burst: Option<Whole<1, 1_000_000>>,
    /// The maximum number of requests in progress. The answer to more is 503.
    pub in_flight: Whole<1, 100_000>,
    /// The maximum number of requests that wait for the end of their order. Beyond it, an order is answered 202 at once.
    ///
    /// By default half of `in_flight`.
    waiting_orders: Option<Whole<0, 100_000>>,
    /// The maximum number of open event streams. One team gets at most half of them.
    pub event_streams: Whole<1, 100_000>,
    /// The maximum number of exports of the audit trail at once. One team, or one caller, gets at most half of them.
    pub exports: Whole<1, 10_000>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: Whole(600),
            burst: None,
            in_flight: Whole(512),
            waiting_orders: None,
            event_streams: Whole(1_000),
            exports: Whole(32),
        }
    }
}

impl Limits {
    /// Returns how many requests of one team may come at once.
    pub fn burst(&self) -> u32 {
        self.burst
            .map_or_else(|| self.requests_per_minute.get(), Whole::get)
    }
    /// Returns how many requests may wait for their order.
    pub fn waiting_orders(&self) -> usize {
        self.waiting_orders
            .map_or_else(|| self.in_flight.get::<usize>() / 2, Whole::get)
    }
}
