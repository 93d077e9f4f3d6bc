//! The JSON of an order, and the body of a new order.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::number::{NumberView, number};
use crate::desk::OrderWithNumber;
use crate::domain::id::OrderId;
use crate::domain::money::Money;
use crate::domain::order::approval::{Approval, Verdict};
use crate::domain::order::{Evidence, IdempotencyKey, Request, State};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::http::view::enums::{
    CarrierTypeEnum, CountryCode, EvidenceEnum, SharingEnum, StateEnum, UserIdText, VerdictEnum,
};

/// Renders an order with its number.
pub(in crate::http) fn order(order_with_number: OrderWithNumber) -> OrderView {
    let OrderWithNumber {
        order,
        number: phone_number,
    } = order_with_number;
    OrderView {
        id: order.id,
        state: order.state,
        team: order.team,
        created_by: order.created_by,
        request: order.request,
        phone_number: phone_number.as_deref().map(number),
        estimated_monthly_price: order.terms.monthly,
        approval: order.approval.map(approval),
        close_status: order.close_status,
        reason: order.reason,
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
            "as_of": "2026-11-23T10:00:01Z", "orphan": false, "releasing": false,
            "release_at": null},
    },
    "estimated_monthly_price": "1.15", "approval": null, "close_status": null, "reason": null, "evidence": "close-201",
    "idempotency_key": "7c1e6a52-5d0c-4f0e-9a55-0d1f4f0c2b11", "created_at": "2026-11-23T10:00:00Z",
    "updated_at": "2026-11-23T10:00:01Z", "finished_at": "2026-11-23T10:00:01Z",
}))]
pub(in crate::http) struct OrderView {
    /// The id of the order.
    #[schema(value_type = String, example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")]
    id: OrderId,
    /// The state of the order.
    #[schema(value_type = StateEnum, example = "fulfilled")]
    state: State,
    /// The team that the order is for.
    #[schema(value_type = String, example = "sales-emea")]
    team: Team,
    /// The subject of the token that sent the order.
    #[schema(example = "alice@example.com")]
    created_by: String,
    /// The requested number. Fields that the request left out are missing.
    #[schema(value_type = OrderedDoc)]
    request: Request,
    /// The rented number. `null` until the number is rented, and when the team no longer owns it.
    #[schema(required, value_type = Option<NumberView>)]
    phone_number: Option<Value>,
    /// The estimate of the monthly price from the policy, in US dollars.
    #[schema(value_type = String, example = "1.15")]
    estimated_monthly_price: Money,
    /// The approval by a second person. `null` if the policy does not require an approval.
    #[schema(required)]
    approval: Option<ApprovalView>,
    /// Close's status of a refusal.
    ///
    /// `has-voice-only`, `needs-more-info`, `billing-error`, `error`, or a status that is new in Close's API.
    #[schema(required)]
    close_status: Option<String>,
    /// The reason for the state. For a refusal, Close's message.
    #[schema(required)]
    reason: Option<String>,
    /// The evidence for the final state, if the state is based on evidence.
    #[schema(required, value_type = Option<EvidenceEnum>, example = "close-201")]
    evidence: Option<Evidence>,
    /// The idempotency key of the order.
    #[schema(value_type = String, example = "7c1e6a52-5d0c-4f0e-9a55-0d1f4f0c2b11")]
    idempotency_key: IdempotencyKey,
    /// When Numberdesk accepted the order.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T10:00:00Z")]
    created_at: Timestamp,
    /// When the order last changed.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T10:00:01Z")]
    updated_at: Timestamp,
    /// When the order reached its final state.
    #[schema(required, value_type = Option<String>, format = DateTime, example = "2026-11-23T10:00:01Z")]
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
    "decision": "approved", "by": "lena@example.com", "at": "2026-11-23T10:20:00Z", "comment": "For the fair in Berlin",
    "expires_at": "2026-11-26T10:00:00Z",
}))]
struct ApprovalView {
    /// The rule of the policy that requires the approval.
    rule: String,
    /// Why the rule applies.
    why: String,
    /// The decision so far.
    #[schema(value_type = VerdictEnum)]
    decision: Verdict,
    /// The subject of the person who decided.
    #[schema(required)]
    by: Option<String>,
    /// When that person decided.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// The comment of that person.
    #[schema(required)]
    comment: Option<String>,
    /// When the approval expires.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// An optional comment on the decision.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = Comment)]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct CommentBody {
    /// A comment for the person who ordered, and for the audit trail. Control characters are not allowed.
    #[schema(max_length = 500, example = "For the fair in Berlin")]
    comment: Option<String>,
}

/// The requested number of an order.
#[derive(ToSchema)]
#[schema(as = Ordered)]
#[expect(dead_code, reason = "describes how a request is written")]
struct OrderedDoc {
    country: CountryCode,
    sharing: SharingEnum,
    /// The area code or prefix, without the country code.
    #[schema(example = "30", nullable = false)]
    prefix: Option<String>,
    #[schema(nullable = false)]
    carrier_type: Option<CarrierTypeEnum>,
    #[schema(nullable = false)]
    bundle_id: Option<String>,
    #[schema(nullable = false)]
    with_sms: Option<bool>,
    #[schema(nullable = false)]
    with_mms: Option<bool>,
    #[schema(nullable = false)]
    assign_to: Option<Vec<String>>,
    #[schema(nullable = false)]
    label: Option<String>,
}

/// The number to rent. Only `country` is required. `null` has the same meaning as a missing field.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderRequest)]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct OrderBodyDoc {
    /// The team that the order is for. Optional if your token has exactly one team.
    #[schema(pattern = r"^[A-Za-z0-9._-]{1,64}$", example = "sales-emea")]
    team: Option<String>,
    /// The country of the number.
    #[schema(value_type = CountryCode, example = "DE")]
    country: String,
    /// `personal` by default.
    #[schema(value_type = Option<SharingEnum>)]
    sharing: Option<String>,
    /// The area code or prefix, without the country code.
    #[schema(pattern = "^[0-9]{0,5}$", example = "30")]
    prefix: Option<String>,
    /// The type of the phone line. Optional if the policy allows the team only one type.
    #[schema(value_type = Option<CarrierTypeEnum>)]
    carrier_type: Option<String>,
    /// The id of the regulatory bundle in Close, if the country requires one.
    #[schema(pattern = r"^[A-Za-z0-9_-]{1,64}$")]
    bundle_id: Option<String>,
    /// `true`: the number must support SMS.
    ///
    /// `false`: a number without SMS is accepted; use this after a refusal with `has-voice-only`. Otherwise leave the
    /// field out.
    with_sms: Option<bool>,
    /// `true`: the number must support MMS, which requires `with_sms: true`.
    ///
    /// `false`: a number without MMS is accepted.
    with_mms: Option<bool>,
    /// Users in Close who get the number; with more than one it becomes a group number.
    ///
    /// By default the caller's own user.
    #[schema(value_type = Option<BTreeSet<UserIdText>>, min_items = 1, max_items = 50)]
    assign_to: Option<Vec<String>>,
    /// The label that Numberdesk gives the number in Close, once the number is rented.
    #[schema(max_length = 255, example = "Berlin line")]
    label: Option<String>,
}
