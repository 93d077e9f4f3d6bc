//! The way out: proxies, private authorities, and the names of faults of a connection.

pub(crate) mod authorities;
pub(crate) mod proxy;
