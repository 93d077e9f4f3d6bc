//! Outgoing webhooks: endpoints and deliveries.

pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod slow_endpoints;
