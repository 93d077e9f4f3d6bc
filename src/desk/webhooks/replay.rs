//! Sends events to an endpoint again, and sends test events.

use serde_json::{Value, json};

use crate::desk::webhooks::Webhooks;
use crate::domain::audit::Action;
use crate::domain::authority::{Authority, CallContext};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::input::fault::Fault;
use crate::domain::permission::needs;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Endpoint;
use crate::error::Error;

/// The most events that one request queues.
const MAX_EVENTS: u32 = 10_000;

impl Webhooks {
    /// Sends the event of one delivery again. A pending delivery is returned unchanged.
    pub async fn replay(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
        delivery: &DeliveryId,
    ) -> Result<Delivery, Error> {
        let (endpoint, authority) = self.find_authorized(ctx, id).await?;
        let find = || self.core.store.delivery(authority.scope(), id, delivery);
        let found = find().await?.ok_or(Error::NotFound)?;
        self.check_active(&endpoint)?;
        if found.state == DeliveryState::Pending {
            return Ok(found);
        }
        let now = self.core.now();
        let again = Delivery {
            // The existing row keeps its id. This id is used if the row was deleted meanwhile.
            id: DeliveryId::generate(now),
            queued_at: now,
            due_at: now,
            ..found
        };
        let detail = json!({ "webhook_endpoint_id": id, "event_id": again.event_id });
        self.queue(&authority, &endpoint, &again, Action::EndpointReplay, detail)
            .await?;
        find().await?.ok_or(Error::NotFound)
    }

    /// Queues the team's events from `since` to before `until` that the endpoint subscribes to.
    ///
    /// Without `until`, the period ends now. Returns how many events were queued.
    pub async fn replay_events(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<u64, Error> {
        let (endpoint, authority) = self.find_authorized(ctx, id).await?;
        self.check_active(&endpoint)?;
        let now = self.core.now();
        let until = until.unwrap_or(now);
        let row = |queued| {
            authority
                .row(now, Action::EndpointReplay, "queued", Some(&endpoint.team))
                .detail(
                    json!({ "webhook_endpoint_id": id, "since": since, "until": until, "queued": queued }),
                )
        };
        let queued = self
            .core
            .store
            .queue_events(&endpoint, (since, until), MAX_EVENTS, now, row)
            .await?;
        queued.ok_or_else(|| {
            Error::Invalid(vec![Fault {
                pointer: "/until".to_owned(),
                message: format!(
                    "must be earlier: between `since` and `until`, the team has more than {MAX_EVENTS} events"
                ),
            }])
        })
    }

    /// Sends a test event to this endpoint only. It is not in the event log.
    pub async fn test(
        &self,
        ctx: CallContext<'_, needs::WebhooksManage>,
        id: &EndpointId,
    ) -> Result<Delivery, Error> {
        let (endpoint, authority) = self.find_authorized(ctx, id).await?;
        self.check_active(&endpoint)?;
        let test = Delivery::test(&endpoint, self.core.now());
        let detail = json!({ "webhook_endpoint_id": id, "event_id": test.event_id });
        self.queue(&authority, &endpoint, &test, Action::EndpointTest, detail)
            .await?;
        Ok(test)
    }

    async fn queue(
        &self,
        authority: &Authority<'_, needs::WebhooksManage>,
        endpoint: &Endpoint,
        delivery: &Delivery,
        action: Action,
        detail: Value,
    ) -> Result<(), Error> {
        let row = authority
            .row(delivery.queued_at, action, "queued", Some(&endpoint.team))
            .detail(detail);
        self.core.store.queue_delivery(delivery, &row).await
    }

    /// Fails unless webhooks can be sent to the endpoint.
    fn check_active(&self, endpoint: &Endpoint) -> Result<(), Error> {
        self.outgoing()?;
        match endpoint.disabled {
            None => Ok(()),
            Some(_) => Err(Error::EndpointDisabled),
        }
    }
}
