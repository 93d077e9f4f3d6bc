//! Sending to an endpoint what it had, or should have had, and trying it out.

use serde_json::{Value, json};

use crate::desk::{By, Desk};
use crate::domain::audit::Action;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::input::fields::Fault;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Endpoint;
use crate::error::Error;

/// Events that one request sends again.
const MOST: u32 = 10_000;

impl Desk {
    /// Sends one event again; one that is on its way anyway is left to go on. The delivery as it stands.
    pub async fn replay_delivery(
        &self,
        by: By<'_>,
        id: &EndpointId,
        delivery: &DeliveryId,
    ) -> Result<Delivery, Error> {
        let endpoint = self.reach_endpoint(by, id).await?;
        let scope = by.caller.scope(None)?;
        let find = || self.0.store.delivery(&scope, id, delivery);
        let found = find().await?.ok_or(Error::NotFound)?;
        self.awake(&endpoint)?;
        if found.state == DeliveryState::Pending {
            return Ok(found);
        }
        let now = self.now();
        let again = Delivery {
            // That of the row stays; this one is for the case that the row is gone meanwhile.
            id: DeliveryId::generate(now),
            queued_at: now,
            due_at: now,
            ..found
        };
        let detail = json!({ "webhook_endpoint_id": id, "event_id": again.event_id });
        self.queue(by, &endpoint, &again, Action::EndpointReplay, detail)
            .await?;
        find().await?.ok_or(Error::NotFound)
    }

    /// Sends what the endpoint wants of its team's events from `since` and before `until`, which is now when nothing is
    /// said; how many are queued by this.
    pub async fn replay_events(
        &self,
        by: By<'_>,
        id: &EndpointId,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<u64, Error> {
        let endpoint = self.reach_endpoint(by, id).await?;
        self.awake(&endpoint)?;
        let now = self.now();
        let until = until.unwrap_or(now);
        let row = |queued| {
            by.row(now, Action::EndpointReplay, "queued")
                .team(Some(&endpoint.team))
                .detail(
                    json!({ "webhook_endpoint_id": id, "since": since, "until": until, "queued": queued }),
                )
        };
        let queued = self
            .0
            .store
            .queue_events(&endpoint, (since, until), MOST, now, row)
            .await?;
        queued.ok_or_else(|| {
            Error::Invalid(vec![Fault {
                pointer: "/until".to_owned(),
                message: format!(
                    "must leave at most {MOST} events of the team since `since`: name an earlier time"
                ),
            }])
        })
    }

    /// Sends a trial, which is in no feed and goes to this endpoint alone.
    pub async fn test_endpoint(&self, by: By<'_>, id: &EndpointId) -> Result<Delivery, Error> {
        let endpoint = self.reach_endpoint(by, id).await?;
        self.awake(&endpoint)?;
        let trial = Delivery::test(&endpoint, self.now());
        let detail = json!({ "webhook_endpoint_id": id, "event_id": trial.event_id });
        self.queue(by, &endpoint, &trial, Action::EndpointTest, detail)
            .await?;
        Ok(trial)
    }

    async fn queue(
        &self,
        by: By<'_>,
        endpoint: &Endpoint,
        delivery: &Delivery,
        action: Action,
        detail: Value,
    ) -> Result<(), Error> {
        let row = by
            .row(delivery.queued_at, action, "queued")
            .team(Some(&endpoint.team))
            .detail(detail);
        self.0.store.queue_delivery(delivery, &row).await
    }

    /// An error, unless something can be sent to the endpoint.
    fn awake(&self, endpoint: &Endpoint) -> Result<(), Error> {
        self.outgoing()?;
        match endpoint.disabled {
            None => Ok(()),
            Some(_) => Err(Error::EndpointDisabled),
        }
    }
}
