//! Black-box tests: a spawned desk, a simulated Close, a real SQLite file and a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod approvals;
mod architecture;
mod audit;
mod audit_chain;
mod auth;
mod bad_input;
mod browser;
mod burst;
mod callers;
mod caps;
mod cli;
mod close;
mod closeio;
mod convergence;
#[cfg(feature = "failpoints")]
mod crash;
mod doctor;
mod events;
mod faults;
mod hostile_close;
mod isolation;
mod metrics;
mod model;
mod numbers;
mod one_process;
mod openapi;
mod orders;
mod outage;
mod overload;
mod problems;
mod reads;
mod releases;
mod replicas;
mod sandbox;
mod secrets;
mod shutdown;
mod spend;
mod store;
mod subscription;
mod support;
mod traces;
mod webhook_deliveries;
mod webhook_endpoints;
mod webhooks;
mod webhooks_cli;
