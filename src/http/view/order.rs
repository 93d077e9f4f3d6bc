//! The JSON of an order.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::number::{OrderNumberView, order_number};
use crate::desk::{OrderWithNumber, QueueStatus};
use crate::domain::id::OrderId;
use crate::domain::money::Money;
use crate::domain::order::approval::{Approval, Verdict};
use crate::domain::order::{Evidence, IdempotencyKey, Request, State};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

/// Renders an order with its number.
pub(in crate::http) fn order(order_with_number: OrderWithNumber) -> OrderView {
    let OrderWithNumber { order, number, queue } = order_with_number;
    let (waits_for, queue_position) = match queue {
        Some(QueueStatus { reason, position }) => (Some(reason), position),
        None => (None, None),
    };
    OrderView {
        id: order.id,
        state: order.state,
        team: order.team,
        created_by: order.created_by,
        request: order.request,
        phone_number: number.map(order_number),
        estimated_monthly_price: order.terms.monthly,
        approval: order.approval.map(approval),
        close_status: order.close_status,
        reason: waits_for.or(order.reason),
        queue_position,
        evidence: order.evidence,
        idempotency_key: order.idempotency_key,
        created_at: order.created_at,
        updated_at: order.updated_at,
        finished_at: order.finished_at,
    }
}

/// A durable request to rent one number. An order continues after a disconnect, a crash or a deploy.
#[derive(Serialize, ToSchema)]
#[schema(as = Order, example = json!({
    "id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS", "state": "fulfilled", "team": "sales-emea", "created_by": "alice@example.com",
    "request": {"country": "DE", "sharing": "personal", "prefix": "30", "carrier_type": "local", "label": "Berlin line"},
    "phone_number": {
        "id": "phon_0DYgvcsvwhAAHzTgdOPg9nPAnYlDdb6sCxSbWtxBIRe", "number": "+493012345678", "country": "DE", "type": "internal",
        "label": "Berlin line", "desk": {"team": "sales-emea", "order_id": "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS",
            "as_of": "2026-11-23T10:00:01.000000Z", "orphan": false, "releasing": false,
            "release_at": null, "monthly_price": "1.15", "provenance": null},
    },
    "estimated_monthly_price": "1.15", "approval": null, "close_status": null, "reason": null,
    "queue_position": null, "evidence": "close-201",
    "idempotency_key": "7c1e6a52-5d0c-4f0e-9a55-0d1f4f0c2b11", "created_at": "2026-11-23T10:00:00.000000Z",
    "updated_at": "2026-11-23T10:00:01.000000Z", "finished_at": "2026-11-23T10:00:01.000000Z",
}))]
pub(in crate::http) struct OrderView {
    /// The id of the order.
    id: OrderId,
    /// The state of the order.
    state: State,
    /// The team that the order is for.
    #[schema(example = "sales-emea")]
    team: Team,
    /// The subject of the token that sent the order.
    #[schema(example = "alice@example.com")]
    created_by: String,
    /// The requested number. Fields that the request left out are missing.
    request: Request,
    /// The rented number. `null` until the number is rented, and when another team has got it.
    ///
    /// Once the number is released, only its `id`, its `number` and `released_at` are left.
    #[schema(required, value_type = Option<OrderNumberView>)]
    phone_number: Option<Value>,
    /// The estimate of the monthly price from the policy, in US dollars.
    #[schema(example = "1.15")]
    estimated_monthly_price: Money,
    /// The approval by a second person. `null` if the policy does not require an approval.
    #[schema(required)]
    approval: Option<ApprovalView>,
    /// Close's status of a refusal.
    ///
    /// `has-voice-only`, `needs-more-info`, `billing-error`, `error`, or a status that is new in Close's API.
    #[schema(required)]
    close_status: Option<String>,
    /// The reason for the state: for a queued order what it waits for now, for a refusal Close's message.
    #[schema(required)]
    reason: Option<String>,
    /// The position of a queued order in the queue of its country. 1 is next.
    ///
    /// Teams take turns, so orders of other teams can change the position. `null` in other states.
    #[schema(required, example = 2)]
    queue_position: Option<u32>,
    /// The evidence for the final state, if the state is based on evidence.
    #[schema(required)]
    evidence: Option<Evidence>,
    /// The idempotency key of the order.
    idempotency_key: IdempotencyKey,
    /// When Numberdesk accepted the order.
    created_at: Timestamp,
    /// When the order last changed.
    updated_at: Timestamp,
    /// When the order reached its final state.
    #[schema(required)]
    finished_at: Option<Timestamp>,
}

fn approval(approval: Approval) -> ApprovalView {
    ApprovalView {
        rule: approval.rule,
        why: approval.why,
        decision: approval.decision,
        by: approval.by.map(|actor| actor.subject),
        at: approval.at,
        comment: approval.comment,
        expires_at: approval.expires_at,
    }
}

/// The approval of an order by a second person.
#[derive(Serialize, ToSchema)]
#[schema(as = Approval, example = json!({
    "rule": "teams.sales-emea.approval.group_numbers",
    "why": "another person with the permission orders:approve must approve a number for several people",
    "decision": "approved", "by": "lena@example.com", "at": "2026-11-23T10:20:00.000000Z", "comment": "For the fair in Berlin",
    "expires_at": "2026-11-26T10:00:00.000000Z",
}))]
struct ApprovalView {
    /// The rule of the policy that requires the approval.
    rule: String,
    /// Why the rule applies.
    why: String,
    /// The decision so far.
    decision: Verdict,
    /// The subject of the person who decided.
    #[schema(required)]
    by: Option<String>,
    /// When that person decided.
    #[schema(required)]
    at: Option<Timestamp>,
    /// The comment of that person.
    #[schema(required)]
    comment: Option<String>,
    /// When the approval expires.
    expires_at: Timestamp,
}
