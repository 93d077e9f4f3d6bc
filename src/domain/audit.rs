//! One row of the audit trail: who did what to what, what policy said, and how it ended.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::caller::{Caller, Team};
use crate::domain::decision::Decision;
use crate::domain::id::{AuditId, OrderId, PhoneNumberId, RequestId};
use crate::domain::number::words;
use crate::domain::time::Timestamp;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

words! {
    /// What was done or tried.
    Action {
        /// An order was asked for.
        OrderCreate = "order.create",
        /// The paid call was begun.
        OrderSend = "order.send",
        /// An order changed its state by what Close answered.
        OrderSettle = "order.settle",
        /// A person decided how an order in review ended.
        OrderReview = "order.review",
        /// A second person agreed to an order.
        OrderApprove = "order.approve",
        /// A second person did not agree to an order.
        OrderReject = "order.reject",
        /// Nobody agreed to an order in time.
        OrderExpire = "order.expire",
        /// An order was withdrawn.
        OrderCancel = "order.cancel",
        /// A number was changed.
        NumberUpdate = "number.update",
        /// A number was released, or is to be.
        NumberRelease = "number.release",
        /// A release that was scheduled was called off.
        NumberKeep = "number.keep",
        /// A number was given to a team.
        NumberTransfer = "number.transfer",
        /// A number was found gone from Close.
        NumberGone = "number.gone",
        /// A number turned up after its order was given up.
        NumberLate = "number.late",
        /// An endpoint of webhooks was registered.
        EndpointCreate = "webhook_endpoint.create",
        /// An endpoint was changed, or made active or disabled by a person.
        EndpointUpdate = "webhook_endpoint.update",
        /// The desk disabled an endpoint.
        EndpointDisable = "webhook_endpoint.disable",
        /// An endpoint was removed.
        EndpointDelete = "webhook_endpoint.delete",
        /// An endpoint got another secret.
        EndpointRotate = "webhook_endpoint.rotate_secret",
        /// An endpoint's secret was read.
        EndpointReveal = "webhook_endpoint.read_secret",
        /// Events were sent to an endpoint again.
        EndpointReplay = "webhook_endpoint.replay",
        /// A trial was sent to an endpoint.
        EndpointTest = "webhook_endpoint.test",
        /// Another policy came into force.
        PolicyChange = "policy.change",
        /// The policy file was broken, and not taken.
        PolicyReject = "policy.reject",
    }
}

/// Who is written down: a caller by issuer and subject, or the desk itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The token's issuer; empty for the desk itself.
    pub issuer: String,
    /// The token's subject; `numberdesk` for the desk itself.
    pub subject: String,
}

impl Actor {
    /// The desk itself, when no request stands behind an act.
    pub fn desk() -> Self {
        Self {
            issuer: String::new(),
            subject: "numberdesk".to_owned(),
        }
    }
}
impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            issuer: caller.issuer.clone(),
            subject: caller.subject.clone(),
        }
    }
}

/// One row. It is written in the transaction of the effect it tells of.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// Its id; ids sort by time.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// For which team.
    pub team: Option<Team>,
    /// What.
    pub action: Action,
    /// `allowed` or `denied`; `None` where policy had no say.
    pub allowed: Option<bool>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The order concerned.
    pub order_id: Option<OrderId>,
    /// The number concerned.
    pub phone_number_id: Option<PhoneNumberId>,
    /// How it ended, in a word or two: a state, `released`, `denied`, …
    pub outcome: String,
    /// What else a reader needs: the request, Close's answer. Never a secret.
    pub detail: Value,
    /// The request it came with.
    pub request_id: Option<RequestId>,
}

impl AuditRow {
    /// A row at `now`; the rest is added by the methods below.
    pub fn new(now: Timestamp, actor: Actor, action: Action, outcome: impl Into<String>) -> Self {
        Self {
            id: AuditId::generate(now),
            at: now,
            actor,
            team: None,
            action,
            allowed: None,
            rule: None,
            order_id: None,
            phone_number_id: None,
            outcome: outcome.into(),
            detail: Value::Null,
            request_id: None,
        }
    }
    /// The next row of the same act: who, what, for whom and why stay.
    #[must_use]
    pub fn then(&self, now: Timestamp, outcome: impl Into<String>) -> Self {
        Self {
            id: AuditId::generate(now),
            at: now,
            outcome: outcome.into(),
            ..self.clone()
        }
    }
    /// The same find as the end of a release that was under way: it was theirs who asked for that.
    #[must_use]
    pub fn ends_release(self, asked: Actor) -> Self {
        Self {
            actor: asked,
            action: Action::NumberRelease,
            outcome: "released".to_owned(),
            detail: json!({ "evidence": "found-gone" }),
            ..self
        }
    }
    /// For this team.
    #[must_use]
    pub fn team(mut self, team: Option<&Team>) -> Self {
        self.team = team.cloned();
        self
    }
    /// With what policy said.
    #[must_use]
    pub fn decision(mut self, decision: &Decision) -> Self {
        self.allowed = Some(decision.allowed());
        self.rule = Some(decision.explanation().rule.clone());
        self
    }
    /// About this order.
    #[must_use]
    pub fn order(mut self, id: &OrderId) -> Self {
        self.order_id = Some(id.clone());
        self
    }
    /// About this number.
    #[must_use]
    pub fn number(mut self, id: &PhoneNumberId) -> Self {
        self.phone_number_id = Some(id.clone());
        self
    }
    /// With more to read.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
    /// Part of this request.
    #[must_use]
    pub fn request(mut self, id: Option<&RequestId>) -> Self {
        self.request_id = id.cloned();
        self
    }
}
