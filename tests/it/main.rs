//! Black-box tests: a spawned desk, a simulated Close, a real SQLite file and a real PostgreSQL.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "some tests print what they measured, or how to repeat a failure"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod audit;
mod auth;
mod cli;
mod close;
mod docs;
mod egress;
mod events;
mod http;
mod numbers;
mod operation;
mod orders;
mod policy;
mod sandbox;
mod spend;
mod store;
mod support;
mod sync;
mod telemetry;
mod webhooks;
