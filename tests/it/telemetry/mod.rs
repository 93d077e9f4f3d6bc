//! Metrics, traces and log lines, and that no secret is in any of them.

pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod secrets;
pub(crate) mod traces;
