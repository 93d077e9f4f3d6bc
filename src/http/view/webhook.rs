//! The JSON of webhook endpoints, their secrets and their deliveries.

use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::desk::Secret;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::event_kind::EventType;
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DisabledReason, Endpoint, EndpointState, TypePattern};

/// Renders an endpoint.
pub(in crate::http) fn endpoint(endpoint: Endpoint) -> EndpointView {
    EndpointView {
        state: endpoint.state(),
        id: endpoint.id,
        team: endpoint.team,
        url: endpoint.url.into(),
        description: endpoint.description,
        types: endpoint.types.patterns().map(<[_]>::to_vec),
        disabled_reason: endpoint.disabled,
        created_by: endpoint.created_by,
        created_at: endpoint.created_at,
        updated_at: endpoint.updated_at,
    }
}

/// Renders a new endpoint with its secret.
pub(in crate::http) fn new_endpoint(endpoint: Endpoint, secret: &secrecy::SecretString) -> NewEndpointView {
    NewEndpointView {
        endpoint: self::endpoint(endpoint),
        secret: secret.expose_secret().to_owned(),
    }
}

/// Renders the secret of an endpoint.
pub(in crate::http) fn secret(secret: &Secret) -> SecretView {
    SecretView {
        secret: secret.secret.expose_secret().to_owned(),
        previous_until: secret.previous_until,
    }
}

/// Renders a delivery.
pub(in crate::http) fn delivery(delivery: Delivery) -> DeliveryView {
    let pending = delivery.state == DeliveryState::Pending;
    DeliveryView {
        id: delivery.id,
        event_id: delivery.event_id,
        kind: delivery.kind,
        state: delivery.state,
        attempts: delivery.attempts,
        outcome: delivery.outcome,
        queued_at: delivery.queued_at,
        attempted_at: delivery.attempted_at,
        next_attempt_at: pending.then_some(delivery.due_at),
        finished_at: delivery.finished_at,
    }
}

/// Renders the result of a replay.
pub(in crate::http) fn queued(queued: u64) -> QueuedView {
    QueuedView { queued }
}

/// A webhook endpoint, which receives the events of its team.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint, example = json!({
    "id": "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "team": "sales-emea", "url": "https://hooks.example.com/numberdesk",
    "description": "CRM sync", "types": ["order.*", "phone_number.released"], "state": "active", "disabled_reason": null,
    "created_by": "alice@example.com", "created_at": "2026-11-23T10:00:00.000000Z",
    "updated_at": "2026-11-23T10:00:00.000000Z",
}))]
pub(in crate::http) struct EndpointView {
    /// The id of the endpoint.
    id: EndpointId,
    /// The team whose events the endpoint receives.
    team: Team,
    /// The URL to which the service sends events.
    url: String,
    /// A text that describes the endpoint.
    #[schema(required)]
    description: Option<String>,
    /// The event types that the endpoint receives. `null` means all.
    #[schema(required, value_type = Option<Vec<String>>)]
    types: Option<Vec<TypePattern>>,
    /// Whether the endpoint receives events.
    state: EndpointState,
    /// Why the endpoint is disabled. `null` for an active endpoint.
    #[schema(required)]
    disabled_reason: Option<DisabledReason>,
    /// The subject that registered the endpoint.
    created_by: String,
    /// When the endpoint was registered.
    created_at: Timestamp,
    /// When the endpoint was last changed.
    updated_at: Timestamp,
}

/// A new endpoint, with the secret that verifies the signatures of its events.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedWebhookEndpoint, example = json!({
    "id": "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "team": "sales-emea", "url": "https://hooks.example.com/numberdesk",
    "description": "CRM sync", "types": ["order.*", "phone_number.released"], "state": "active", "disabled_reason": null,
    "created_by": "alice@example.com", "created_at": "2026-11-23T10:00:00.000000Z",
    "updated_at": "2026-11-23T10:00:00.000000Z",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
}))]
pub(in crate::http) struct NewEndpointView {
    #[serde(flatten)]
    endpoint: EndpointView,
    /// The secret, as `whsec_…`: the format that libraries for Standard Webhooks expect.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    secret: String,
}

/// The secret that verifies the signatures of an endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookSecret, example = json!({
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=", "previous_until": null,
}))]
pub(in crate::http) struct SecretView {
    /// The secret, as `whsec_…`: the format that libraries for Standard Webhooks expect.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    secret: String,
    /// Until this time, deliveries have a second signature with the previous secret.
    ///
    /// `null`: deliveries have one signature.
    #[schema(required)]
    previous_until: Option<Timestamp>,
}

/// The delivery of one event to one endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery, example = json!({
    "id": "dlv_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "event_id": "evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "type": "order.fulfilled",
    "state": "pending", "attempts": 2, "outcome": "503", "queued_at": "2026-11-23T10:00:01.000000Z",
    "attempted_at": "2026-11-23T10:00:05.000000Z", "next_attempt_at": "2026-11-23T10:04:12.000000Z", "finished_at": null,
}))]
pub(in crate::http) struct DeliveryView {
    /// The id of the delivery.
    id: DeliveryId,
    /// The id of the event, sent as `webhook-id`.
    event_id: EventId,
    /// The type of the event.
    #[serde(rename = "type")]
    #[schema(value_type = EventType)]
    kind: String,
    /// The state of the delivery.
    state: DeliveryState,
    /// The number of attempts since the delivery was queued.
    attempts: i64,
    /// The result of the last attempt: the HTTP status or an error.
    ///
    /// `null` until the first attempt has ended.
    #[schema(required)]
    outcome: Option<String>,
    /// When the delivery was queued, or queued again by a replay.
    queued_at: Timestamp,
    /// When the last attempt began.
    #[schema(required)]
    attempted_at: Option<Timestamp>,
    /// When the next attempt is due. `null` if no attempt follows.
    #[schema(required)]
    next_attempt_at: Option<Timestamp>,
    /// When the event was delivered, or the service gave up. `null` while the delivery is pending.
    #[schema(required)]
    finished_at: Option<Timestamp>,
}

/// The result of a replay.
#[derive(Serialize, ToSchema)]
#[schema(as = ReplayResult, example = json!({"queued": 12}))]
pub(in crate::http) struct QueuedView {
    /// The number of queued events, without those that were already pending.
    #[schema(example = 12)]
    queued: u64,
}
