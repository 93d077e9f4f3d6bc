//! Outgoing webhooks: endpoints of apps, and deliveries to them.

pub(super) mod change;
pub(super) mod deliver;
pub(super) mod list;
pub(super) mod register;
pub(super) mod replay;
pub(super) mod rotate;
