//! The caller of a request, as the authentication middleware stored it in the request context.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::domain::authority::CallContext;
use crate::domain::caller;
use crate::domain::permission::needs;
use crate::http::middleware::authenticate::Authenticated;
use crate::http::middleware::request_context::RequestContext;
use crate::http::problem::Problem;

/// The authenticated caller of an endpoint that needs the permission `P`. The use case checks the permission.
///
/// Only handlers behind the authentication middleware can have this parameter.
pub(in crate::http) struct Caller<P = needs::Nothing> {
    context: RequestContext,
    identity: Arc<caller::Caller>,
    permission: PhantomData<P>,
}

impl<P> Caller<P> {
    /// The call of the use case.
    pub(in crate::http) fn call(&self) -> CallContext<'_, P> {
        CallContext::new(&self.identity, &self.context.request_id)
    }
    /// Returns the caller's identity.
    pub(in crate::http) fn identity(&self) -> &caller::Caller {
        &self.identity
    }
}

impl<P> FromRequestParts<Authenticated> for Caller<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Authenticated) -> Result<Self, Problem> {
        let context = parts.extensions.get::<RequestContext>();
        let context = context.expect("every request has a context").clone();
        let identity = context.caller.get();
        let identity = identity.expect("`authenticate` runs before the handler").clone();
        Ok(Self {
            context,
            identity,
            permission: PhantomData,
        })
    }
}
