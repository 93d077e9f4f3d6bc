//! Running the service: probes, shutdown, replicas, mounted files and runbooks.

mod clocks;
pub(crate) mod failover;
pub(crate) mod hanging;
pub(crate) mod hold;
pub(crate) mod mounted;
pub(crate) mod one_process;
pub(crate) mod readiness;
pub(crate) mod replicas;
mod restore;
pub(crate) mod rollout;
pub(crate) mod runbooks;
pub(crate) mod shutdown;
mod system_clock;
mod version_skew;
