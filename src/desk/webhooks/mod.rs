//! Webhooks to apps: the endpoints that apps register, and the deliveries to them.

mod deliver;
mod endpoints;
mod replay;
pub(in crate::desk) mod rotate;
mod turns;

use std::sync::Arc;

use secrecy::SecretString;

use crate::desk::core::Core;
use crate::desk::webhooks::turns::Turns;
use crate::domain::authority::{Authority, CallContext};
use crate::domain::fair_pool::FairPool;
use crate::domain::id::EndpointId;
use crate::domain::permission::needs;
use crate::domain::webhook::Endpoint;
use crate::error::Error;
use crate::outgoing::Outgoing;

/// Webhooks that one process sends at the same time.
const PARALLEL_DELIVERIES: usize = 32;

/// Webhooks to apps.
#[derive(Clone)]
pub struct Webhooks {
    core: Core,
    /// Limits the deliveries that are in progress, and shares them between teams.
    slots: FairPool,
    /// The turns of the teams.
    turns: Arc<Turns>,
}

impl Webhooks {
    pub(in crate::desk) fn new(core: Core) -> Self {
        Self {
            core,
            slots: FairPool::new(PARALLEL_DELIVERIES),
            turns: Arc::default(),
        }
    }

    /// The endpoint, and the authority of the caller over it. An endpoint outside the caller's scope does not exist.
    async fn find_authorized<'a>(
        &self,
        ctx: CallContext<'a, needs::WebhooksManage>,
        id: &EndpointId,
    ) -> Result<(Endpoint, Authority<'a, needs::WebhooksManage>), Error> {
        let lookup = ctx.lookup();
        let endpoint = self.core.store.endpoint(lookup.scope(), id).await?;
        Ok(lookup.found(endpoint)?)
    }

    /// Returns the sender of webhooks. Fails if settings for it are missing.
    fn outgoing(&self) -> Result<&Outgoing, Error> {
        match self.core.settings.outgoing.missing() {
            None => Ok(&self.core.settings.outgoing),
            Some(missing) => Err(Error::WebhooksOff { missing }),
        }
    }

    /// The current secret of the endpoint.
    fn secret_of(&self, endpoint: &Endpoint) -> Result<SecretString, Error> {
        let secret = self.outgoing()?.secret(&endpoint.id, endpoint.generation);
        secret.ok_or(Error::WebhooksOff {
            missing: "webhooks.secret_file",
        })
    }
}
