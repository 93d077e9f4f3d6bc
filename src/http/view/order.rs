//! An order as JSON, and the body that asks for one.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::number::{NumberView, number};
use crate::desk::Placed;
use crate::domain::caller::Team;
use crate::domain::id::OrderId;
use crate::domain::money::Money;
use crate::domain::order::approval::{Approval, Verdict};
use crate::domain::order::{Evidence, IdempotencyKey, Request, State};
use crate::domain::time::Timestamp;
use crate::http::view::enums::{
    CarrierTypeEnum, CountryCode, EvidenceEnum, SharingEnum, StateEnum, UserIdText, VerdictEnum,
};

/// The order as everyone sees it who may.
pub(in crate::http) fn order(placed: Placed) -> OrderView {
    let Placed { order, number: held } = placed;
    OrderView {
        id: order.id,
        state: order.state,
        team: order.team,
        created_by: order.created_by,
        request: order.request,
        phone_number: held.as_deref().map(number),
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

/// The durable request to rent one number. It outlives the HTTP request, a crash and a deploy.
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
    /// Its id.
    #[schema(value_type = String, example = "ord_01KATV8ZJ3E0T9C4M6N2P5Q7RS")]
    id: OrderId,
    /// Where it stands.
    #[schema(value_type = StateEnum, example = "fulfilled")]
    state: State,
    /// The team it is for.
    #[schema(value_type = String, example = "sales-emea")]
    team: Team,
    /// The subject of the token that asked.
    #[schema(example = "alice@example.com")]
    created_by: String,
    /// What was asked for, without what was left out.
    #[schema(value_type = OrderedDoc)]
    request: Request,
    /// The number, once it is rented and as long as the team has it.
    #[schema(required, value_type = Option<NumberView>)]
    phone_number: Option<Value>,
    /// What the policy reckons the number costs a month, in US dollars.
    #[schema(value_type = String, example = "1.15")]
    estimated_monthly_price: Money,
    /// A second person's word on it; `null` when the policy asked for none.
    #[schema(required)]
    approval: Option<ApprovalView>,
    /// Close's own word for a refusal: `has-voice-only`, `needs-more-info`, `billing-error`, `error`, or a new one.
    #[schema(required)]
    close_status: Option<String>,
    /// Why the order stands where it stands; Close's own message for a refusal.
    #[schema(required)]
    reason: Option<String>,
    /// What the final state rests on.
    #[schema(required, value_type = Option<EvidenceEnum>, example = "close-201")]
    evidence: Option<Evidence>,
    /// The key it was sent under.
    #[schema(value_type = String, example = "7c1e6a52-5d0c-4f0e-9a55-0d1f4f0c2b11")]
    idempotency_key: IdempotencyKey,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T10:00:00Z")]
    created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T10:00:01Z")]
    updated_at: Timestamp,
    /// When it reached its final state.
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

/// A second person's word on an order.
#[derive(Serialize, ToSchema)]
#[schema(as = Approval, example = json!({
    "rule": "teams.sales-emea.approval.group_numbers",
    "why": "another person with the permission orders:approve must approve a number for several people",
    "decision": "approved", "by": "lena@example.com", "at": "2026-11-23T10:20:00Z", "comment": "For the fair in Berlin",
    "expires_at": "2026-11-26T10:00:00Z",
}))]
struct ApprovalView {
    /// The rule of the policy that asks for it.
    rule: String,
    /// Why.
    why: String,
    /// What became of it.
    #[schema(value_type = VerdictEnum)]
    decision: Verdict,
    /// The subject of who decided.
    #[schema(required)]
    by: Option<String>,
    /// When it was decided.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// What was said about it.
    #[schema(required)]
    comment: Option<String>,
    /// Until when it can be given.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// What is said about an order that is approved or rejected.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = Comment)]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct CommentBody {
    /// For who ordered, and for the audit trail; without control characters.
    #[schema(max_length = 500, example = "For the fair in Berlin")]
    comment: Option<String>,
}

/// What an order asks for.
#[derive(ToSchema)]
#[schema(as = Ordered)]
#[expect(dead_code, reason = "describes how a request is written")]
struct OrderedDoc {
    country: CountryCode,
    sharing: SharingEnum,
    /// Area code or prefix without the country code.
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

/// What to rent. Only `country` is required; `null` is the same as leaving a field out.
#[derive(ToSchema, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderRequest)]
#[expect(dead_code, reason = "describes what the handler reads")]
pub(in crate::http) struct OrderBodyDoc {
    /// The team it is for; with one team it may be left out.
    #[schema(pattern = r"^[A-Za-z0-9._-]{1,64}$", example = "sales-emea")]
    team: Option<String>,
    /// Where the number is to be.
    #[schema(value_type = CountryCode, example = "DE")]
    country: String,
    /// `personal` unless said otherwise.
    #[schema(value_type = Option<SharingEnum>)]
    sharing: Option<String>,
    /// Area code or prefix without the country code.
    #[schema(pattern = "^[0-9]{0,5}$", example = "30")]
    prefix: Option<String>,
    /// The kind of line. Left out, it is the only one that the team may have.
    #[schema(value_type = Option<CarrierTypeEnum>)]
    carrier_type: Option<String>,
    /// Regulatory bundle, where the country asks for one.
    #[schema(pattern = r"^[A-Za-z0-9_-]{1,64}$")]
    bundle_id: Option<String>,
    /// `true`: must do SMS. `false`: need not, after a refusal `has-voice-only`. Best left out otherwise.
    with_sms: Option<bool>,
    /// The same for MMS; `true` needs `with_sms: true` as well.
    with_mms: Option<bool>,
    /// Users in Close who get it; more than one makes it a group number. Left out, it is the caller's own user.
    #[schema(value_type = Option<BTreeSet<UserIdText>>, min_items = 1, max_items = 50)]
    assign_to: Option<Vec<String>>,
    /// What to call it once it is rented.
    #[schema(max_length = 255, example = "Berlin line")]
    label: Option<String>,
}
