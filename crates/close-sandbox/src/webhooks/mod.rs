//! Webhook deliveries: event filters, signatures and sending.

pub(crate) mod delivery;
pub(crate) mod filter;
pub(crate) mod signature;
