//! The JSON of a row of the audit trail.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::id::{AuditId, OrderId, PhoneNumberId, RequestId};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// Renders a row.
pub(in crate::http) fn audit_row(row: AuditRow) -> AuditView {
    let AuditRow {
        id,
        at,
        actor,
        team,
        action,
        allowed,
        rule,
        order_id,
        phone_number_id,
        outcome,
        detail,
        request_id,
        // Stored rows have it in the detail.
        grant: _,
    } = row;
    AuditView {
        id,
        at,
        actor,
        team,
        action,
        allowed,
        rule,
        order_id,
        phone_number_id,
        outcome,
        detail,
        request_id,
    }
}

/// A recorded action: its actor, its object, the decision of the policy and the outcome.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRow, example = json!({
    "id": "aud_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "at": "2026-11-23T10:00:00.000000Z",
    "actor": {"issuer": "https://idp.example.com/", "subject": "alice@example.com"}, "team": "sales-emea",
    "action": "order.create", "allowed": true, "rule": "teams.sales-emea",
    "order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "phone_number_id": null, "outcome": "queued", "detail": {},
    "request_id": "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS",
}))]
pub(in crate::http) struct AuditView {
    /// The id of the row. Ids sort by time.
    id: AuditId,
    /// The time of the action.
    at: Timestamp,
    /// The actor: the identity that did or tried the action.
    actor: Actor,
    /// The team that the action concerns.
    #[schema(required)]
    team: Option<Team>,
    /// The action.
    action: Action,
    /// Whether the policy allowed the action. `null` if the action needed no decision of the policy.
    #[schema(required)]
    allowed: Option<bool>,
    /// The rule of the policy that decided.
    #[schema(required)]
    rule: Option<String>,
    /// The order that the action concerns.
    #[schema(required)]
    order_id: Option<OrderId>,
    /// The number that the action concerns.
    #[schema(required)]
    phone_number_id: Option<PhoneNumberId>,
    /// The outcome, in one or two words.
    outcome: String,
    /// Details that depend on the action.
    ///
    /// `grant` is the entry of the policy that gave the actor the permission, such as `grants[2]`; without it, the token
    /// gave the permission. `sub` is the token's `sub`, if the actor's `subject` shows another claim.
    #[schema(value_type = Value)]
    detail: Value,
    /// The id of the request that caused the action.
    #[schema(required)]
    request_id: Option<RequestId>,
}
