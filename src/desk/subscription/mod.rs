//! The webhook subscription in Close that delivers to this desk.

pub mod client;
pub(super) mod ensure;
