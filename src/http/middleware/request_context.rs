//! The request context: the data about one running request that middleware and handlers share.

use std::sync::{Arc, OnceLock};

use axum::http::HeaderName;

use crate::domain::caller::Caller;
use crate::domain::id::RequestId;
use crate::http::middleware::gcra::Quota;
use crate::http::middleware::load_shed::Permit;

/// The header with the request's id, in every response.
pub(in crate::http) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The context of a request, in its extensions. Clones share the fields that middleware sets later.
#[derive(Clone)]
pub(in crate::http) struct RequestContext {
    pub(in crate::http) request_id: RequestId,
    /// The caller, set by `authenticate`.
    pub(in crate::http) caller: Arc<OnceLock<Arc<Caller>>>,
    /// The caller's quota, set by `rate_limit`.
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
