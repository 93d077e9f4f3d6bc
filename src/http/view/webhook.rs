//! Endpoints of webhooks, their secrets and what was sent to them, as JSON.

use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::desk::Secret;
use crate::domain::caller::Team;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DisabledReason, Endpoint, EndpointState, TypePattern};
use crate::http::view::enums::{DeliveryStateEnum, DisabledReasonEnum, EndpointStateEnum};

/// The endpoint as who may manage it sees it.
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

/// The same when it has just been registered, with its secret.
pub(in crate::http) fn new_endpoint(endpoint: Endpoint, secret: &secrecy::SecretString) -> NewEndpointView {
    NewEndpointView {
        endpoint: self::endpoint(endpoint),
        secret: secret.expose_secret().to_owned(),
    }
}

/// The secret, said.
pub(in crate::http) fn secret(secret: &Secret) -> SecretView {
    SecretView {
        secret: secret.secret.expose_secret().to_owned(),
        previous_until: secret.previous_until,
    }
}

/// The delivery as who manages its endpoint sees it.
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

/// How many events are on their way by a replay.
pub(in crate::http) fn queued(queued: u64) -> QueuedView {
    QueuedView { queued }
}

/// Where an app is told of its team's events.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpoint, example = json!({
    "id": "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "team": "sales-emea", "url": "https://hooks.example.com/numberdesk",
    "description": "CRM sync", "types": ["order.*", "phone_number.released"], "state": "active", "disabled_reason": null,
    "created_by": "alice@example.com", "created_at": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T10:00:00Z",
}))]
pub(in crate::http) struct EndpointView {
    /// Its id.
    #[schema(value_type = String)]
    id: EndpointId,
    /// Whose events it is told of.
    #[schema(value_type = String)]
    team: Team,
    /// Where it is, as it is called.
    url: String,
    /// What people call it.
    #[schema(required)]
    description: Option<String>,
    /// Which types of events it wants; `null`: all.
    #[schema(required, value_type = Option<Vec<String>>)]
    types: Option<Vec<TypePattern>>,
    /// Whether it is told of events.
    #[schema(value_type = EndpointStateEnum)]
    state: EndpointState,
    /// Why it is disabled, if it is.
    #[schema(required, value_type = Option<DisabledReasonEnum>)]
    disabled_reason: Option<DisabledReason>,
    /// Who registered it.
    created_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// An endpoint with the secret that its signatures are checked with.
#[derive(Serialize, ToSchema)]
#[schema(as = NewWebhookEndpoint, example = json!({
    "id": "we_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "team": "sales-emea", "url": "https://hooks.example.com/numberdesk",
    "description": "CRM sync", "types": ["order.*", "phone_number.released"], "state": "active", "disabled_reason": null,
    "created_by": "alice@example.com", "created_at": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T10:00:00Z",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
}))]
pub(in crate::http) struct NewEndpointView {
    #[serde(flatten)]
    endpoint: EndpointView,
    /// `whsec_…`, as libraries for Standard Webhooks take it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    secret: String,
}

/// The secret that an endpoint's signatures are checked with.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookSecret, example = json!({
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=", "previous_until": null,
}))]
pub(in crate::http) struct SecretView {
    /// `whsec_…`, as libraries for Standard Webhooks take it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    secret: String,
    /// Until then what is sent carries a signature by the secret before it, too; `null`: it carries this one's alone.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    previous_until: Option<Timestamp>,
}

/// An event on its way to an endpoint. There is one for each event and endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery, example = json!({
    "id": "dlv_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "event_id": "evt_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "type": "order.fulfilled",
    "state": "pending", "attempts": 2, "outcome": "503", "queued_at": "2026-11-23T10:00:01Z",
    "attempted_at": "2026-11-23T10:00:05Z", "next_attempt_at": "2026-11-23T10:04:12Z", "finished_at": null,
}))]
pub(in crate::http) struct DeliveryView {
    /// Its id.
    #[schema(value_type = String)]
    id: DeliveryId,
    /// The event's id, which is sent as `webhook-id`.
    #[schema(value_type = String)]
    event_id: EventId,
    /// The event's type; that of a trial is `webhook_endpoint.test`.
    #[serde(rename = "type")]
    kind: String,
    /// Where it stands.
    #[schema(value_type = DeliveryStateEnum)]
    state: DeliveryState,
    /// Attempts begun since it was queued.
    attempts: i64,
    /// How the last one ended: a status, or what happened instead; `null` before the first one has ended.
    #[schema(required)]
    outcome: Option<String>,
    /// When it was queued, or queued again.
    #[schema(value_type = String, format = DateTime)]
    queued_at: Timestamp,
    /// When it was last tried.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    attempted_at: Option<Timestamp>,
    /// When it is next tried, if it is.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    /// When it was delivered or given up.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

/// What a replay has queued.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookReplayed, example = json!({"queued": 12}))]
pub(in crate::http) struct QueuedView {
    /// Events that are sent again, without those that were on their way anyway.
    #[schema(example = 12)]
    queued: u64,
}

/// What is to be registered.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointBody, example = json!({
    "url": "https://hooks.example.com/numberdesk", "description": "CRM sync", "types": ["order.*", "phone_number.released"],
}))]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct EndpointBodyDoc {
    /// For which team; may be left out by who has one.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$")]
    team: Option<String>,
    /// An https URL that the service's settings let be called.
    #[schema(max_length = 2048)]
    url: String,
    /// What people call it.
    #[schema(max_length = 255)]
    description: Option<String>,
    /// Which types of events it wants: such as `order.fulfilled`, or `order.*` for all that begin so. All, when left out.
    #[schema(min_items = 1)]
    types: Option<Vec<String>>,
}

/// A JSON merge patch (RFC 7396): what is left out stays as it is.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointPatch, min_properties = 1, example = json!({"state": "active"}))]
#[expect(dead_code, reason = "describes what the desk reads")]
pub(in crate::http) struct EndpointPatchDoc {
    /// An https URL that the service's settings let be called.
    #[schema(max_length = 2048, nullable = false)]
    url: Option<String>,
    /// What people call it; `null` takes that away.
    #[schema(max_length = 255)]
    description: Option<String>,
    /// Which types of events it wants; `null`: all.
    #[schema(min_items = 1)]
    types: Option<Vec<String>>,
    /// `active`: it is told of events again, first of those that wait for it. `disabled`: it is not.
    #[schema(value_type = EndpointStateEnum, nullable = false)]
    state: Option<String>,
}

/// Which events are sent again.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookReplayBody, example = json!({"since": "2026-11-23T00:00:00Z", "until": "2026-11-23T12:00:00Z"}))]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct ReplayBodyDoc {
    /// Those that occurred at this time or later.
    #[schema(format = DateTime)]
    since: String,
    /// Those that occurred before this time; now, when left out.
    #[schema(format = DateTime)]
    until: Option<String>,
}
