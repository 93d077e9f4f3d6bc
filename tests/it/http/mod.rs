//! HTTP behaviour common to all routes: bad input, isolation of teams, overload, TLS, the OpenAPI document.

pub(crate) mod bad_input;
pub(crate) mod browser;
pub(crate) mod callers;
pub(crate) mod isolation;
pub(crate) mod openapi;
pub(crate) mod overload;
pub(crate) mod problems;
pub(crate) mod tls;
