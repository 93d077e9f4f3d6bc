//! Rotates the secret of an endpoint, and shows it again.

use secrecy::SecretString;
use serde_json::json;

use crate::desk::webhooks::Webhooks;
use crate::domain::audit::Action;
use crate::domain::authority::CallContext;
use crate::domain::id::EndpointId;
use crate::domain::permission::needs;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Endpoint;
use crate::error::Error;

/// A secret, and how long the previous secret also signs.
#[derive(Debug)]
pub struct Secret {
    /// `whsec_…`
    pub secret: SecretString,
    /// When the previous secret stops signing. `None`: no other secret signs.
    pub previous_until: Option<Timestamp>,
}

impl Webhooks {
    /// Gives the endpoint a new secret.
    ///
    /// Both secrets sign for a while, so that a receiver can switch without losing a webhook. After two rotations
    /// within that time, only the two latest secrets sign.
    pub async fn rotate_secret(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
    ) -> Result<Secret, Error> {
        loop {
            let (before, authority) = self.find_authorized(ctx, id).await?;
            self.outgoing()?;
            let now = self.core.now();
            let after = Endpoint {
                generation: before.generation + 1,
                rotated_at: Some(now),
                updated_at: now,
                ..before.clone()
            };
            let row = authority
                .row(now, Action::EndpointRotate, "rotated", Some(&after.team))
                .detail(json!({ "webhook_endpoint_id": id, "generation": after.generation }));
            if self.core.store.update_endpoint(&before, &after, &row).await? {
                return self.current_secret(&after);
            }
        }
    }

    /// The secret of the endpoint. The request is recorded in the audit trail.
    pub async fn reveal_secret(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
    ) -> Result<Secret, Error> {
        let (endpoint, authority) = self.find_authorized(ctx, id).await?;
        let secret = self.current_secret(&endpoint)?;
        let row = authority
            .row(
                self.core.now(),
                Action::EndpointReveal,
                "revealed",
                Some(&endpoint.team),
            )
            .detail(json!({ "webhook_endpoint_id": id, "generation": endpoint.generation }));
        self.core.store.record_audit(&row).await?;
        Ok(secret)
    }

    fn current_secret(&self, endpoint: &Endpoint) -> Result<Secret, Error> {
        let overlap = self.outgoing()?.overlap();
        let ends = endpoint.rotated_at.map(|at| at.plus(overlap));
        Ok(Secret {
            secret: self.secret_of(endpoint)?,
            previous_until: ends.filter(|ends| *ends > self.core.now()),
        })
    }
}
