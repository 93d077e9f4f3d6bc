//! An order: the durable intent to rent one number.
//!
//! `state` names the states, `transition` has the table of all transitions, `request` reads the body, `matches` decides
//! whether a number can be the result of an order, `overlap` whether it can be the result of two, and `turn` which order
//! is sent next.

pub mod approval;
pub mod matches;
pub mod overlap;
pub mod request;
pub mod state;
pub mod transition;
pub mod turn;

#[cfg(test)]
mod tests;

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::caller::Caller;
use crate::domain::id::{OrderId, PhoneNumberId};
use crate::domain::order::approval::{Approval, Verdict};
use crate::domain::schema::string_schema;
use crate::domain::scope::Owned;
use crate::domain::team::Team;
use crate::domain::time::Timestamp;

pub use crate::domain::order::request::{Request, Terms};
pub use crate::domain::order::state::{Evidence, State};

/// The key that makes a request repeatable: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Returns the key as the caller sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The error for a string that is not a valid key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 visible ASCII characters, such as a UUID")]
pub struct NotAKey;

impl FromStr for IdempotencyKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAKey)
        }
    }
}
impl TryFrom<String> for IdempotencyKey {
    type Error = NotAKey;
    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}
impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> String {
        key.0
    }
}
string_schema! {
    IdempotencyKey: "Identifies an order when you retry.", pattern: "^[!-~]{1,255}$", example: "7c1e6a52-5d0c-4f0e-9a55-0d1f4f0c2b11"
}

/// An order: the durable intent to rent one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The id.
    pub id: OrderId,
    /// The team that ordered, and that will hold the number.
    pub team: Team,
    /// The issuer of the creator's token.
    pub issuer: String,
    /// The subject of the creator's token.
    pub created_by: String,
    /// The key that makes the request repeatable.
    pub idempotency_key: IdempotencyKey,
    /// The request.
    pub request: Request,
    /// The terms that the policy set for the request.
    pub terms: Terms,
    /// The approval, if the order needs one.
    pub approval: Option<Approval>,
    /// The current state.
    pub state: State,
    /// The number of sends that began.
    pub attempt: i64,
    /// When the last send began.
    pub sent_at: Option<Timestamp>,
    /// The earliest time by Close's clock at which that send can have rented a number.
    pub close_sent_after: Option<Timestamp>,
    /// The time since which reconciliation has found no matching number in Close, by Close's clock.
    pub absent_since: Option<Timestamp>,
    /// The earliest time of the next send.
    pub not_before: Option<Timestamp>,
    /// The rented number.
    pub phone_number_id: Option<PhoneNumberId>,
    /// The status word of Close's refusal, such as `billing-error`.
    pub close_status: Option<String>,
    /// The reason for the state, in a sentence; for a refusal, Close's message.
    pub reason: Option<String>,
    /// Close's field errors, by field.
    pub close_errors: Option<Map<String, Value>>,
    /// The evidence for the final state.
    pub evidence: Option<Evidence>,
    /// When the order was accepted.
    pub created_at: Timestamp,
    /// When the order last changed.
    pub updated_at: Timestamp,
    /// When the order reached its final state.
    pub finished_at: Option<Timestamp>,
}

impl Owned for Order {
    fn owner(&self) -> Option<&Team> {
        Some(&self.team)
    }
}

impl Order {
    /// Creates an order of this caller, in its initial state.
    pub fn new(
        caller: &Caller,
        team: &Team,
        request: &Request,
        terms: Terms,
        key: &IdempotencyKey,
        approval: Option<Approval>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: OrderId::generate(now),
            team: team.clone(),
            issuer: caller.issuer().to_owned(),
            created_by: caller.name().to_owned(),
            idempotency_key: key.clone(),
            request: request.clone(),
            terms,
            state: State::initial(approval.is_some()),
            reason: approval.as_ref().map(|approval| approval.why.clone()),
            approval,
            attempt: 0,
            sent_at: None,
            close_sent_after: None,
            absent_since: None,
            not_before: None,
            phone_number_id: None,
            close_status: None,
            close_errors: None,
            evidence: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
        }
    }

    /// Returns a hash that is equal for interchangeable orders: same team, and same request to Close.
    ///
    /// If Close rents numbers for several such orders, each order can get any of these numbers. The hash leaves out the
    /// label, because the service sets the label after the rent call.
    pub fn shape(&self) -> String {
        let request = Request {
            label: None,
            ..self.request.clone()
        };
        let sent = serde_json::json!([self.team, request, self.terms.carrier_type, self.terms.assign_to]);
        hex::encode(&Sha256::digest(sent.to_string())[..16])
    }

    /// Whether a later version accepted the order, with words or members that this version does not know.
    ///
    /// This version could send another request than the one that was accepted, and does not know which numbers can be the
    /// result. So it leaves the order to a replica of that version, and shows it.
    pub fn is_later(&self) -> bool {
        self.request.is_later() || self.terms.is_later()
    }

    /// Whether this caller created the order: the same `sub` of any issuer, or the same user in Close.
    ///
    /// Never by the shown name, which users may change at some providers.
    pub fn is_own_of(&self, caller: &Caller) -> bool {
        let approval = self.approval.as_ref();
        // Orders of earlier versions have no `subject`: their `created_by` is the `sub`.
        let subject = approval.and_then(|approval| approval.subject.as_deref());
        let user = approval.and_then(|approval| approval.close_user.as_ref());
        subject.unwrap_or(&self.created_by) == caller.subject()
            || (user.is_some() && user == caller.close_user())
    }

    /// How long the service took: from the acceptance, or from the approval if the order needed one, to the end.
    ///
    /// `None` if the order has not ended, or ended without an approval.
    pub fn settling_time(&self) -> Option<Duration> {
        let begin = match &self.approval {
            None => self.created_at,
            Some(approval) if approval.decision == Verdict::Approved => approval.at?,
            Some(_) => return None,
        };
        Some(self.finished_at?.since(begin))
    }

    /// Whether the order still awaits approval after its deadline.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let over = |approval: &Approval| approval.expires_at <= now;
        self.state == State::AwaitingApproval && self.approval.as_ref().is_some_and(over)
    }

    /// Whether the order may be sent: it needs no approval, or it equals the approved request and terms.
    pub fn is_as_approved(&self) -> bool {
        self.approval.as_ref().is_none_or(|approval| {
            approval.decision == Verdict::Approved
                && approval.fingerprint == self.request.fingerprint()
                && approval.terms == self.terms
        })
    }
}
