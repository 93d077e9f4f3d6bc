//! A row of the audit trail: actor, action, object, policy decision and outcome.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::caller::Caller;
use crate::domain::decision::Decision;
use crate::domain::id::{AuditId, OrderId, PhoneNumberId, RequestId};
use crate::domain::string_enum::string_enum;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

string_enum! {
    /// The action that an audit row records, whether it succeeded or not.
    Action: stored {
        /// A caller requested an order.
        OrderCreate = "order.create",
        /// The service began the paid call to Close.
        OrderSend = "order.send",
        /// Close's answer changed the state of an order.
        OrderSettle = "order.settle",
        /// A person settled an order in manual review.
        OrderReview = "order.review",
        /// A second person approved an order.
        OrderApprove = "order.approve",
        /// A second person rejected an order.
        OrderReject = "order.reject",
        /// The approval period of an order expired.
        OrderExpire = "order.expire",
        /// A caller cancelled an order.
        OrderCancel = "order.cancel",
        /// A caller changed a number.
        NumberUpdate = "number.update",
        /// A caller released a number or scheduled its release.
        NumberRelease = "number.release",
        /// A caller cancelled a scheduled release.
        NumberKeep = "number.keep",
        /// An administrator assigned a number to a team.
        NumberTransfer = "number.transfer",
        /// The service found that Close no longer has a number.
        NumberGone = "number.gone",
        /// A number appeared after its order was given up.
        NumberLate = "number.late",
        /// A caller registered a webhook endpoint.
        EndpointCreate = "webhook_endpoint.create",
        /// A caller changed, enabled or disabled an endpoint.
        EndpointUpdate = "webhook_endpoint.update",
        /// The service disabled an endpoint.
        EndpointDisable = "webhook_endpoint.disable",
        /// A caller deleted an endpoint.
        EndpointDelete = "webhook_endpoint.delete",
        /// A caller rotated an endpoint's secret.
        EndpointRotate = "webhook_endpoint.rotate_secret",
        /// A caller read an endpoint's secret.
        EndpointReveal = "webhook_endpoint.read_secret",
        /// A caller replayed events to an endpoint.
        EndpointReplay = "webhook_endpoint.replay",
        /// A caller sent a test event to an endpoint.
        EndpointTest = "webhook_endpoint.test",
        /// A new policy came into force.
        PolicyChange = "policy.change",
        /// The service rejected an invalid policy file.
        PolicyReject = "policy.reject",
        /// The service or an operator stopped all calls that cost or destroy.
        HoldStart = "hold.start",
        /// A person permitted these calls again.
        HoldEnd = "hold.end",
    }
}

/// The actor of an audit row: a caller by issuer and subject, or the service itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// The issuer of the token; empty for the service itself.
    #[schema(example = "https://idp.example.com/")]
    pub issuer: String,
    /// The name of the caller; `numberdesk` for the service itself.
    ///
    /// It is the token's `sub`, or the claim that the setting `claims.subject` names.
    #[schema(example = "alice@example.com")]
    pub subject: String,
    /// The token's `sub`, if `subject` shows another claim. A stored row of the audit trail has it in its detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub sub: Option<String>,
}

impl Actor {
    /// Returns the service itself as actor, for actions without a request.
    pub fn desk() -> Self {
        Self {
            issuer: String::new(),
            subject: "numberdesk".to_owned(),
            sub: None,
        }
    }
}
impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            issuer: caller.issuer().to_owned(),
            subject: caller.name().to_owned(),
            sub: (caller.name() != caller.subject()).then(|| caller.subject().to_owned()),
        }
    }
}

/// The actor of an earlier request, and the entry of the policy that gave the permission for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The actor.
    pub actor: Actor,
    /// The path of the entry, such as `grants[2]`; `None`: the token gave the permission.
    pub grant: Option<String>,
}

/// A row of the audit trail. The transaction that makes the change also writes the row.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// The row's id; ids sort by time.
    pub id: AuditId,
    /// When the action happened.
    pub at: Timestamp,
    /// The actor.
    pub actor: Actor,
    /// The team concerned.
    pub team: Option<Team>,
    /// The action.
    pub action: Action,
    /// Whether the policy allowed the action; `None` if the action needs no decision of the policy.
    pub allowed: Option<bool>,
    /// The path of the policy rule that decided.
    pub rule: Option<String>,
    /// The path of the policy entry that gave the actor the permission, such as `grants[2]`; `None`: the token did.
    ///
    /// A stored row has it in its detail.
    pub grant: Option<String>,
    /// The order concerned.
    pub order_id: Option<OrderId>,
    /// The number concerned.
    pub phone_number_id: Option<PhoneNumberId>,
    /// The outcome in one or two words: a state, `released`, `denied`, …
    pub outcome: String,
    /// More detail, such as the request or Close's answer. Never a secret.
    pub detail: Value,
    /// The id of the request that caused the action.
    pub request_id: Option<RequestId>,
}

impl AuditRow {
    /// Creates a row at `now`; the methods below add the rest.
    pub fn new(now: Timestamp, actor: Actor, action: Action, outcome: impl Into<String>) -> Self {
        Self {
            id: AuditId::generate(now),
            at: now,
            actor,
            team: None,
            action,
            allowed: None,
            rule: None,
            grant: None,
            order_id: None,
            phone_number_id: None,
            outcome: outcome.into(),
            detail: Value::Null,
            request_id: None,
        }
    }
    /// Returns the next row of the same action, with a new id, time and outcome.
    #[must_use]
    pub fn then(&self, now: Timestamp, outcome: impl Into<String>) -> Self {
        Self {
            id: AuditId::generate(now),
            at: now,
            outcome: outcome.into(),
            ..self.clone()
        }
    }
    /// Creates a row about an action that was requested earlier.
    pub fn requested(
        now: Timestamp,
        requested_by: Requester,
        action: Action,
        outcome: impl Into<String>,
    ) -> Self {
        Self::new(now, requested_by.actor, action, outcome).grant(requested_by.grant)
    }
    /// Turns a "number gone" row into the end of a pending release, by the actor who requested it.
    #[must_use]
    pub fn ends_release(self, requested_by: Requester) -> Self {
        Self {
            actor: requested_by.actor,
            grant: requested_by.grant,
            action: Action::NumberRelease,
            outcome: "released".to_owned(),
            detail: json!({ "evidence": "found-gone" }),
            ..self
        }
    }
    /// Sets the team.
    #[must_use]
    pub fn team(mut self, team: Option<&Team>) -> Self {
        self.team = team.cloned();
        self
    }
    /// Sets the policy's decision and rule.
    #[must_use]
    pub fn decision(mut self, decision: &Decision) -> Self {
        self.allowed = Some(decision.allowed());
        self.rule = Some(decision.explanation().rule.clone());
        self
    }
    /// Sets the entry of the policy that gave the permission.
    #[must_use]
    pub fn grant(mut self, entry: Option<String>) -> Self {
        self.grant = entry;
        self
    }
    /// Sets the order.
    #[must_use]
    pub fn order(mut self, id: &OrderId) -> Self {
        self.order_id = Some(id.clone());
        self
    }
    /// Sets the number.
    #[must_use]
    pub fn number(mut self, id: &PhoneNumberId) -> Self {
        self.phone_number_id = Some(id.clone());
        self
    }
    /// Sets the detail.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
    /// Sets the request id.
    #[must_use]
    pub fn request(mut self, id: Option<&RequestId>) -> Self {
        self.request_id = id.cloned();
        self
    }
}
