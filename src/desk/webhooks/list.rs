//! Looking endpoints up, and what was sent to them.

use crate::desk::{By, Desk};
use crate::domain::caller::{Permission, Team};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::id::EndpointId;
use crate::domain::page::{Limit, Page};
use crate::domain::webhook::Endpoint;
use crate::error::Error;

impl Desk {
    /// One endpoint.
    pub async fn find_endpoint(&self, by: By<'_>, id: &EndpointId) -> Result<Endpoint, Error> {
        self.reach_endpoint(by, id).await
    }

    /// Endpoints, newest first.
    pub async fn list_endpoints(
        &self,
        by: By<'_>,
        team: Option<&Team>,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Endpoint>, Error> {
        let scope = by.caller.scope(team)?;
        by.caller.need(Permission::WebhooksManage)?;
        self.0.store.endpoints(&scope, limit, after).await
    }

    /// Deliveries to an endpoint, newest first.
    pub async fn list_deliveries(
        &self,
        by: By<'_>,
        id: &EndpointId,
        team: Option<&Team>,
        state: Option<DeliveryState>,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Delivery>, Error> {
        self.reach_endpoint(by, id).await?;
        let scope = by.caller.scope(team)?;
        self.0.store.deliveries(&scope, id, state, limit, after).await
    }
}
