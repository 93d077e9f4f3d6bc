//! The JSON of a row of the audit trail.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::id::{AuditId, OrderId, PhoneNumberId, RequestId};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::http::view::enums::ActionEnum;

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
    "id": "aud_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "at": "2026-11-23T10:00:00Z",
    "actor": {"issuer": "https://idp.example.com/", "subject": "alice@example.com"}, "team": "sales-emea",
    "action": "order.create", "allowed": true, "rule": "teams.sales-emea",
    "order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "phone_number_id": null, "outcome": "queued", "detail": {},
    "request_id": "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS",
}))]
pub(in crate::http) struct AuditView {
    /// The id of the row. Ids sort by time.
    #[schema(value_type = String)]
    id: AuditId,
    /// The time of the action.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The actor: the identity that did or tried the action.
    #[schema(value_type = ActorDoc)]
    actor: Actor,
    /// The team that the action concerns.
    #[schema(required, value_type = Option<String>)]
    team: Option<Team>,
    /// The action.
    #[schema(value_type = ActionEnum)]
    action: Action,
    /// Whether the policy allowed the action. `null` if the action needed no decision of the policy.
    #[schema(required)]
    allowed: Option<bool>,
    /// The rule of the policy that decided.
    #[schema(required)]
    rule: Option<String>,
    /// The order that the action concerns.
    #[schema(required, value_type = Option<String>)]
    order_id: Option<OrderId>,
    /// The number that the action concerns.
    #[schema(required, value_type = Option<String>)]
    phone_number_id: Option<PhoneNumberId>,
    /// The outcome, in one or two words.
    outcome: String,
    /// Details that depend on the action.
    #[schema(value_type = Value)]
    detail: Value,
    /// The id of the request that caused the action.
    #[schema(required, value_type = Option<String>)]
    request_id: Option<RequestId>,
}

/// The issuer and subject of the token.
///
/// For an action of Numberdesk itself, `subject` is `numberdesk` and `issuer` is empty.
#[derive(ToSchema)]
#[schema(as = Actor)]
#[expect(dead_code, reason = "describes how an actor is written")]
struct ActorDoc {
    #[schema(example = "https://idp.example.com/")]
    issuer: String,
    #[schema(example = "alice@example.com")]
    subject: String,
}
