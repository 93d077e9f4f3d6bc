//! The section `[orders]`.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::input::values::BoundedSpan;

/// The processing of orders.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// How long `POST /v1/orders` waits for the end of the order, unless the request has the header `Prefer`.
    pub wait: BoundedSpan<0, 's', 60, 's'>,
    /// How long Close must show no number before an order counts as not rented.
    pub settle_after: BoundedSpan<1, 's', 24, 'h'>,
    /// The longest pause between two checks of Close for an unverified order.
    pub reconcile_every: BoundedSpan<1, 's', 1, 'h'>,
    /// How long after `close.timeout` a replica may take to store the outcome of a call. After that, other replicas assume
    /// that it has stopped.
    pub lease_margin: BoundedSpan<1, 's', 10, 'm'>,
    /// How long an order waits for a second person's approval.
    pub approval_expires: BoundedSpan<1, 'm', 30, 'd'>,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            wait: BoundedSpan::of(25, 's'),
            settle_after: BoundedSpan::of(5, 'm'),
            reconcile_every: BoundedSpan::of(30, 's'),
            lease_margin: BoundedSpan::of(30, 's'),
            approval_expires: BoundedSpan::of(72, 'h'),
        }
    }
}
