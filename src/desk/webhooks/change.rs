//! Changing an endpoint, and removing it.

use serde_json::{Value, json};

use crate::desk::{By, Desk};
use crate::domain::audit::Action;
use crate::domain::id::EndpointId;
use crate::domain::input::fields;
use crate::domain::webhook::{Endpoint, EndpointPatch};
use crate::error::Error;

impl Desk {
    /// Changes the endpoint by a JSON merge patch. A URL is judged anew when it changes, and when the endpoint becomes
    /// active again.
    pub async fn change_endpoint(
        &self,
        by: By<'_>,
        id: &EndpointId,
        patch: &Value,
    ) -> Result<Endpoint, Error> {
        loop {
            let before = self.reach_endpoint(by, id).await?;
            let changes = fields::read(patch, EndpointPatch::read)?;
            let now = self.now();
            let after = changes.applied(&before, now);
            if (Endpoint {
                updated_at: before.updated_at,
                ..after.clone()
            }) == before
            {
                return Ok(before);
            }
            let awakes = before.disabled.is_some() && after.disabled.is_none();
            if awakes || after.url != before.url {
                self.judge(&after.url).await?;
            }
            let row = by
                .row(now, Action::EndpointUpdate, after.state().as_str())
                .team(Some(&after.team))
                .detail(json!({ "from": before.audit_detail(), "to": after.audit_detail() }));
            // Otherwise somebody was quicker: the changes are made to what is there now.
            if self.0.store.update_endpoint(&before, &after, &row).await? {
                return Ok(after);
            }
        }
    }

    /// Removes the endpoint, and what is on its way there.
    pub async fn remove_endpoint(&self, by: By<'_>, id: &EndpointId) -> Result<(), Error> {
        let endpoint = self.reach_endpoint(by, id).await?;
        let row = by
            .row(self.now(), Action::EndpointDelete, "deleted")
            .team(Some(&endpoint.team))
            .detail(endpoint.audit_detail());
        if self.0.store.delete_endpoint(&endpoint, &row).await? {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }
}
