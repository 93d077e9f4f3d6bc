//! Synchronization with Close: webhooks, the subscription, and convergence after faults.

pub(crate) mod close_webhook;
pub(crate) mod convergence;
pub(crate) mod subscription;

mod groups;
mod missing;
mod odd_records;
mod organization;
