//! The request context: what middleware and handlers know about one request while it runs.

use std::sync::{Arc, OnceLock};

use axum::http::HeaderName;

use crate::domain::caller::Caller;
use crate::domain::id::RequestId;
use crate::http::middleware::gcra::Quota;
use crate::http::middleware::load_shed::Permit;

/// The header that carries the request's id in every answer.
pub(in crate::http) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An extension of every request; clones share what the middleware fills in.
#[derive(Clone)]
pub(in crate::http) struct RequestContext {
    pub(in crate::http) request_id: RequestId,
    /// Set by `authenticate`.
    pub(in crate::http) caller: Arc<OnceLock<Arc<Caller>>>,
    /// Set by `rate_limit`.
    pub(in crate::http) quota: Arc<OnceLock<Quota>>,
    /// The permit to run, if the port bounds its load.
    pub(in crate::http) permit: Permit,
}

impl RequestContext {
    pub(in crate::http) fn new(request_id: RequestId) -> Self {
        Self {
            request_id,
            caller: Arc::default(),
            quota: Arc::default(),
            permit: Permit::default(),
        }
    }
}
