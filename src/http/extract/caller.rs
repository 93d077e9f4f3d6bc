//! The caller of a request, as the authentication middleware stored it in the request context.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::desk::CallContext;
use crate::domain::caller;
use crate::http::middleware::authenticate::Authenticated;
use crate::http::middleware::request_context::RequestContext;
use crate::http::problem::Problem;

/// The authenticated caller.
///
/// Only handlers behind the authentication middleware can have this parameter.
pub(in crate::http) struct Caller(RequestContext, Arc<caller::Caller>);

impl Caller {
    /// Returns the caller and the request id, as use cases need them.
    pub(in crate::http) fn by(&self) -> CallContext<'_> {
        CallContext {
            caller: &self.1,
            request_id: &self.0.request_id,
        }
    }
    /// Returns the caller's identity.
    pub(in crate::http) fn who(&self) -> &caller::Caller {
        &self.1
    }
}

impl FromRequestParts<Authenticated> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Authenticated) -> Result<Self, Problem> {
        let context = parts.extensions.get::<RequestContext>();
        let context = context.expect("every request has a context").clone();
        let caller = context.caller.get();
        let caller = caller.expect("`authenticate` runs before the handler").clone();
        Ok(Self(context, caller))
    }
}
