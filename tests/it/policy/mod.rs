//! The policy file of a running service.

pub(crate) mod reload;
