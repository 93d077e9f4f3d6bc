//! The way out: by which proxy a request of the service goes, which authorities it trusts, and why a connection failed.
//!
//! `close`, `auth`, `outgoing` and `telemetry` build their HTTP clients here, so that proxies, private authorities and
//! the names of faults are the same for every destination.

mod client;
mod failure;
mod proxies;

pub use crate::egress::client::{Client, Trust, TrustError};
pub use crate::egress::failure::Failure;
pub use crate::egress::proxies::{Proxies, Route, Rules, UnusableVariable};
