//! Outgoing webhooks as rows: endpoints and deliveries.

pub(super) mod deliveries;
pub(super) mod endpoints;
pub(super) mod queue;
pub(super) mod replay;
pub(super) mod row;
