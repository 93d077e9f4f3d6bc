//! The secret of an endpoint: giving it another one, and saying it again.

use secrecy::SecretString;
use serde_json::json;

use crate::desk::{By, Desk};
use crate::domain::audit::Action;
use crate::domain::id::EndpointId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Endpoint;
use crate::error::Error;

/// A secret, and until when the one before it still signs, too.
#[derive(Debug)]
pub struct Secret {
    /// `whsec_…`
    pub secret: SecretString,
    /// `None`: it is the only one.
    pub previous_until: Option<Timestamp>,
}

impl Desk {
    /// Gives the endpoint another secret. For a while both sign, so that a receiver can change over without losing
    /// anything; of two rotations within that time, the first secret of all signs no more.
    pub async fn rotate_secret(&self, by: By<'_>, id: &EndpointId) -> Result<Secret, Error> {
        loop {
            let before = self.reach_endpoint(by, id).await?;
            self.outgoing()?;
            let now = self.now();
            let after = Endpoint {
                generation: before.generation + 1,
                rotated_at: Some(now),
                updated_at: now,
                ..before.clone()
            };
            let row = by
                .row(now, Action::EndpointRotate, "rotated")
                .team(Some(&after.team))
                .detail(json!({ "webhook_endpoint_id": id, "generation": after.generation }));
            if self.0.store.update_endpoint(&before, &after, &row).await? {
                return self.said(&after);
            }
        }
    }

    /// The endpoint's secret. That it was asked for is written down.
    pub async fn reveal_secret(&self, by: By<'_>, id: &EndpointId) -> Result<Secret, Error> {
        let endpoint = self.reach_endpoint(by, id).await?;
        let secret = self.said(&endpoint)?;
        let row = by
            .row(self.now(), Action::EndpointReveal, "revealed")
            .team(Some(&endpoint.team))
            .detail(json!({ "webhook_endpoint_id": id, "generation": endpoint.generation }));
        self.0.store.record_audit(&row).await?;
        Ok(secret)
    }

    fn said(&self, endpoint: &Endpoint) -> Result<Secret, Error> {
        let overlap = self.outgoing()?.overlap();
        let ends = endpoint.rotated_at.map(|at| at.plus(overlap));
        Ok(Secret {
            secret: self.secret_of(endpoint)?,
            previous_until: ends.filter(|ends| *ends > self.now()),
        })
    }
}
