//! A row of the audit trail as JSON.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::Team;
use crate::domain::id::{AuditId, OrderId, PhoneNumberId, RequestId};
use crate::domain::time::Timestamp;
use crate::http::view::enums::ActionEnum;

/// The row as who may audit sees it.
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

/// Who did what to what, what policy said, and how it ended.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRow, example = json!({
    "id": "aud_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "at": "2026-11-23T10:00:00Z",
    "actor": {"issuer": "https://idp.example.com/", "subject": "alice@example.com"}, "team": "sales-emea",
    "action": "order.create", "allowed": true, "rule": "teams.sales-emea",
    "order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "phone_number_id": null, "outcome": "queued", "detail": {},
    "request_id": "req_01KATV8ZJ3E0T9C4M6N2P5Q7RS",
}))]
pub(in crate::http) struct AuditView {
    /// Its id; ids sort by time.
    #[schema(value_type = String)]
    id: AuditId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who.
    #[schema(value_type = ActorDoc)]
    actor: Actor,
    /// For which team.
    #[schema(required, value_type = Option<String>)]
    team: Option<Team>,
    /// What.
    #[schema(value_type = ActionEnum)]
    action: Action,
    /// What policy said; `null` where it had no say.
    #[schema(required)]
    allowed: Option<bool>,
    /// The rule that decided.
    #[schema(required)]
    rule: Option<String>,
    /// The order concerned.
    #[schema(required, value_type = Option<String>)]
    order_id: Option<OrderId>,
    /// The number concerned.
    #[schema(required, value_type = Option<String>)]
    phone_number_id: Option<PhoneNumberId>,
    /// How it ended, in a word or two.
    outcome: String,
    /// What else a reader needs.
    #[schema(value_type = Value)]
    detail: Value,
    /// The request it came with.
    #[schema(required, value_type = Option<String>)]
    request_id: Option<RequestId>,
}

/// The token's issuer and subject; `numberdesk` without an issuer is the desk itself.
#[derive(ToSchema)]
#[schema(as = Actor)]
#[expect(dead_code, reason = "describes how an actor is written")]
struct ActorDoc {
    #[schema(example = "https://idp.example.com/")]
    issuer: String,
    #[schema(example = "alice@example.com")]
    subject: String,
}
