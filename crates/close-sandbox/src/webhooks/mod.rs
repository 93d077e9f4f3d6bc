//! Webhooks: subscriptions, event filters, and signed deliveries.

pub(crate) mod delivery;
pub(crate) mod filter;
pub(crate) mod queue;
mod signature;
pub(crate) mod subscription;
