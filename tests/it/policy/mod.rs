//! The policy file of a running service.

mod last_policy;
pub(crate) mod reload;
