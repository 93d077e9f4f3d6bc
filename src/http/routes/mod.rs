//! Handlers, one module for each resource.
//!
//! A handler reads the request, calls one use case and renders the response.

pub(super) mod audit;
pub(super) mod close_webhook;
pub(super) mod docs;
pub(super) mod events;
pub(super) mod guides;
pub(super) mod hold;
pub(super) mod me;
pub(super) mod numbers;
pub(super) mod ops;
pub(super) mod orders;
pub(super) mod problem_pages;
pub(super) mod runbooks;
pub(super) mod spend;
pub(super) mod webhook_deliveries;
pub(super) mod webhook_endpoints;
