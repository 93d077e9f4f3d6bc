//! The HTTP interface: routes, middleware, problems and the OpenAPI document.
//!
//! A handler reads a request, calls one use case of [`desk`](crate::desk) and renders the response. The rules about
//! numbers, orders and teams are in `desk`. This module implements only the rules of the HTTP interface: the limits of
//! requests, the authentication of each route, the rate limit of each team, load shedding, and the `Retry-After` of an
//! order that is not final.

mod asset;
mod extract;
mod guides;
mod limits;
mod middleware;
mod openapi;
mod page;
mod prefix;
mod problem;
mod reload_status;
mod router;
mod routes;
mod server;
mod state;
mod view;

pub use crate::http::limits::Limits;
pub use crate::http::middleware::request_log::LoggedRequests;
pub use crate::http::problem::problem_type::ProblemType;
pub use crate::http::reload_status::ReloadStatus;
pub use crate::http::router::{api, document, document_3_0, ops};
pub use crate::http::routes::ops::Metrics;
pub use crate::http::routes::problem_pages::markdown as errors_markdown;
pub use crate::http::server::accept::serve;
pub use crate::http::server::listener::bind;
pub use crate::http::server::tls::Tls;
pub use crate::http::state::Http;
