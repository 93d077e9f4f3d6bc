//! Endpoints of apps: registering, reading, changing and removing them.

use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::desk::webhooks::Webhooks;
use crate::domain::audit::Action;
use crate::domain::authority::CallContext;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::id::EndpointId;
use crate::domain::input::fault::Fault;
use crate::domain::input::read::read;
use crate::domain::page::{Limit, Page};
use crate::domain::permission::needs;
use crate::domain::team::Team;
use crate::domain::webhook::{Endpoint, EndpointPatch, MAX_ENDPOINTS, NewEndpoint, ReceiverUrl};
use crate::error::Error;

impl Webhooks {
    /// Registers an endpoint. Returns it with the secret that verifies its signatures.
    pub async fn register(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        body: NewEndpoint,
    ) -> Result<(Endpoint, SecretString), Error> {
        let (team, authority) = ctx.authorize_team(body.team.as_ref())?;
        let ReceiverUrl(url) = body.url;
        self.check_url(&url).await?;
        let now = self.core.now();
        let endpoint = Endpoint {
            id: EndpointId::generate(now),
            team,
            url,
            description: body.description.map(String::from),
            types: body.types,
            disabled: None,
            generation: 1,
            rotated_at: None,
            created_by: authority.caller().name().to_owned(),
            created_at: now,
            updated_at: now,
        };
        let secret = self.secret_of(&endpoint)?;
        let row = authority
            .row(now, Action::EndpointCreate, "created", Some(&endpoint.team))
            .detail(endpoint.audit_detail());
        if self.core.store.insert_endpoint(&endpoint, &row).await? {
            Ok((endpoint, secret))
        } else {
            Err(Error::TooManyEndpoints { limit: MAX_ENDPOINTS })
        }
    }

    /// One endpoint.
    pub async fn find(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
    ) -> Result<Endpoint, Error> {
        Ok(self.find_authorized(ctx, id).await?.0)
    }

    /// A page of endpoints, newest first.
    pub async fn list(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        team: Option<&Team>,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Endpoint>, Error> {
        let authority = ctx.authorize(team)?;
        self.core.store.endpoints(authority.scope(), limit, after).await
    }

    /// A page of the deliveries to an endpoint, newest first.
    pub async fn list_deliveries(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
        team: Option<&Team>,
        state: Option<DeliveryState>,
        limit: Limit,
        after: Option<&str>,
    ) -> Result<Page<Delivery>, Error> {
        self.find_authorized(ctx, id).await?;
        let authority = ctx.authorize(team)?;
        self.core
            .store
            .deliveries(authority.scope(), id, state, limit, after)
            .await
    }

    /// Changes the endpoint by a JSON merge patch.
    ///
    /// The URL is checked again if it changes, and if the endpoint becomes active again.
    pub async fn update(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
        patch: &Value,
    ) -> Result<Endpoint, Error> {
        loop {
            let (before, authority) = self.find_authorized(ctx, id).await?;
            let changes: EndpointPatch = read(patch)?;
            let now = self.core.now();
            let after = changes.applied(&before, now);
            if (Endpoint {
                updated_at: before.updated_at,
                ..after.clone()
            }) == before
            {
                return Ok(before);
            }
            let activated = before.disabled.is_some() && after.disabled.is_none();
            if activated || after.url != before.url {
                self.check_url(&after.url).await?;
            }
            let row = authority
                .row(
                    now,
                    Action::EndpointUpdate,
                    after.state().as_str(),
                    Some(&after.team),
                )
                .detail(json!({ "from": before.audit_detail(), "to": after.audit_detail() }));
            // If a concurrent change came first, the loop applies this change to its result.
            if self.core.store.update_endpoint(&before, &after, &row).await? {
                return Ok(after);
            }
        }
    }

    /// Removes the endpoint and its pending deliveries.
    pub async fn remove(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
    ) -> Result<(), Error> {
        let (endpoint, authority) = self.find_authorized(ctx, id).await?;
        let row = authority
            .row(
                self.core.now(),
                Action::EndpointDelete,
                "deleted",
                Some(&endpoint.team),
            )
            .detail(endpoint.audit_detail());
        if self.core.store.delete_endpoint(&endpoint, &row).await? {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// Fails with the reason unless the allow-list permits the URL now.
    async fn check_url(&self, url: &Url) -> Result<(), Error> {
        let outgoing = self.outgoing()?;
        outgoing.check(url).await.map_err(|forbidden| {
            let allowed = outgoing
                .local_destinations()
                .filter(|_| forbidden.is_destination());
            let allowed = allowed.map_or_else(String::new, |allowed| format!("; allowed are {allowed}"));
            Error::Invalid(vec![Fault {
                pointer: "/url".to_owned(),
                message: format!("{forbidden}{allowed}"),
            }])
        })
    }
}
