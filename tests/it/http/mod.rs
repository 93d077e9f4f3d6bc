//! HTTP behaviour common to all routes: bad input, isolation of teams, overload, TLS, the OpenAPI document.

pub(crate) mod bad_input;
pub(crate) mod browser;
pub(crate) mod callers;
pub(crate) mod connections;
pub(crate) mod cross_origin;
pub(crate) mod guides;
pub(crate) mod isolation;
pub(crate) mod openapi;
pub(crate) mod overload;
pub(crate) mod paths;
pub(crate) mod prefix;
pub(crate) mod problems;
mod rights;
pub(crate) mod stalled;
pub(crate) mod stalled_http2;
mod tls;
