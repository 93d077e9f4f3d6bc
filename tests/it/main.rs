//! Black-box tests: a spawned desk, a simulated Close, a real SQLite file and a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod audit;
mod auth;
mod bad_input;
mod browser;
mod callers;
mod caps;
mod cli;
mod close;
mod closeio;
mod hostile_close;
mod isolation;
mod numbers;
mod one_process;
mod openapi;
mod orders;
mod outage;
mod problems;
mod releases;
mod sandbox;
mod secrets;
mod shutdown;
mod store;
mod support;
