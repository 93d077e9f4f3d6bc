//! Registering an endpoint that the desk tells of its team's events.

use secrecy::SecretString;
use url::Url;

use crate::desk::{By, Desk};
use crate::domain::audit::Action;
use crate::domain::caller::Permission;
use crate::domain::id::EndpointId;
use crate::domain::input::fields::Fault;
use crate::domain::webhook::{Endpoint, MAX_ENDPOINTS, NewEndpoint};
use crate::error::Error;
use crate::outgoing::Outgoing;

impl Desk {
    /// Registers an endpoint; with the secret that its receiver checks signatures with.
    pub async fn register_endpoint(
        &self,
        by: By<'_>,
        body: NewEndpoint,
    ) -> Result<(Endpoint, SecretString), Error> {
        let team = by.caller.team(body.team.as_ref())?;
        by.caller.need(Permission::WebhooksManage)?;
        self.judge(&body.url).await?;
        let now = self.now();
        let endpoint = Endpoint {
            id: EndpointId::generate(now),
            team,
            url: body.url,
            description: body.description,
            types: body.types,
            disabled: None,
            generation: 1,
            rotated_at: None,
            created_by: by.caller.subject.clone(),
            created_at: now,
            updated_at: now,
        };
        let secret = self.secret_of(&endpoint)?;
        let row = by
            .row(now, Action::EndpointCreate, "created")
            .team(Some(&endpoint.team))
            .detail(endpoint.audit_detail());
        if self.0.store.insert_endpoint(&endpoint, &row).await? {
            Ok((endpoint, secret))
        } else {
            Err(Error::TooManyEndpoints { limit: MAX_ENDPOINTS })
        }
    }

    /// An error that says what is wrong with the URL, unless it may be called as things stand.
    pub(in crate::desk) async fn judge(&self, url: &Url) -> Result<(), Error> {
        self.outgoing()?.check(url).await.map_err(|forbidden| {
            Error::Invalid(vec![Fault {
                pointer: "/url".to_owned(),
                message: forbidden.to_string(),
            }])
        })
    }

    /// The way out, if there is one.
    pub(in crate::desk) fn outgoing(&self) -> Result<&Outgoing, Error> {
        match self.0.settings.outgoing.missing() {
            None => Ok(&self.0.settings.outgoing),
            Some(missing) => Err(Error::WebhooksOff { missing }),
        }
    }

    /// The endpoint's secret as it is now.
    pub(in crate::desk) fn secret_of(&self, endpoint: &Endpoint) -> Result<SecretString, Error> {
        let secret = self.outgoing()?.secret(&endpoint.id, endpoint.generation);
        secret.ok_or(Error::WebhooksOff {
            missing: "webhooks.secret_file",
        })
    }

    /// An endpoint that is in the caller's reach, for who may manage it; what is not does not exist.
    pub(in crate::desk) async fn reach_endpoint(
        &self,
        by: By<'_>,
        id: &EndpointId,
    ) -> Result<Endpoint, Error> {
        let found = self.0.store.endpoint(&by.caller.scope(None)?, id).await?;
        let endpoint = found.ok_or(Error::NotFound)?;
        by.caller.need(Permission::WebhooksManage)?;
        Ok(endpoint)
    }
}
