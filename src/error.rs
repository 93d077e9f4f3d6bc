//! What can go wrong at the desk, said without HTTP.

use serde_json::{Map, Value};

use crate::domain::caller::{MissingPermission, Permission, Team, TeamError};
use crate::domain::decision::{Caps, Explanation, Refusal, Usage};
use crate::domain::id::OrderId;
use crate::domain::input::fields::Fault;
use crate::domain::order::State;
use crate::domain::service_account::AccountName;

/// The cause of a failure that the caller cannot mend; it goes to the log, never to the caller.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error and what caused it in turn, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is wrong; each fault with its place.
    #[error("the request has {} fault(s)", .0.len())]
    Invalid(Vec<Fault>),
    /// It does not exist, or not for this caller.
    #[error("not found")]
    NotFound,
    /// The caller has several teams, or none, and named none.
    #[error("a team must be named")]
    TeamRequired {
        /// The caller's teams.
        teams: Vec<Team>,
    },
    /// The token lacks a permission.
    #[error("the token lacks the permission {need}")]
    PermissionMissing {
        /// Which one.
        need: Permission,
    },
    /// The policy has no entry for the service account.
    #[error("the service account {name} of {issuer} is not in the policy")]
    ServiceAccountUnmapped {
        /// Which one.
        name: AccountName,
        /// Its cluster.
        issuer: String,
    },
    /// Policy, quota or budget says no.
    #[error("denied by {}", .explanation.rule)]
    Denied {
        /// Which family of rule.
        refusal: Refusal,
        /// Why.
        explanation: Box<Explanation>,
        /// The caps and what is used of them, for quota and budget.
        caps: Option<(Caps, Usage)>,
    },
    /// An order needs an idempotency key.
    #[error("the idempotency key is missing")]
    IdempotencyKeyMissing,
    /// The key was used with another body.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused {
        /// The order that has the key.
        order_id: OrderId,
    },
    /// Something was sent to Close already.
    #[error("the order is {state} and can't be cancelled")]
    OrderNotCancellable {
        /// Where the order stands.
        state: State,
    },
    /// No person has to decide about the order.
    #[error("the order is {state} and not in review")]
    OrderNotInReview {
        /// Where the order stands.
        state: State,
    },
    /// Close, or the desk's own books, say otherwise than the person who settles.
    #[error("what was said does not agree with what is known: {reason}")]
    SettleContradicted {
        /// What is known.
        reason: String,
    },
    /// The caller ordered it, and asks to be the second person too.
    #[error("the order is the caller's own")]
    OwnOrder,
    /// The order waits for nobody's approval, or it was decided otherwise.
    #[error("the order is {state} and awaits no approval")]
    OrderNotAwaitingApproval {
        /// Where the order stands.
        state: State,
    },
    /// Close was asked to release the number already.
    #[error("a release of the number is under way")]
    ReleaseUnderWay,
    /// The number changed since the caller read it.
    #[error("the number has changed")]
    PreconditionFailed,
    /// The replica has as much of this under way as it takes.
    #[error("too busy: {reason}")]
    Busy {
        /// What there is too much of.
        reason: &'static str,
    },
    /// There are no webhooks, because something is not configured.
    #[error("there are no webhooks without {missing}")]
    WebhooksOff {
        /// The settings that are missing.
        missing: &'static str,
    },
    /// The team has as many endpoints as it may.
    #[error("the team has {limit} endpoints")]
    TooManyEndpoints {
        /// How many it may have.
        limit: u32,
    },
    /// Nothing is sent to an endpoint that is disabled.
    #[error("the endpoint is disabled")]
    EndpointDisabled,
    /// Close said no.
    #[error("close refused: {}", .message.as_ref().unwrap_or(.close_status))]
    CloseRefused {
        /// Close's word, or `error`.
        close_status: String,
        /// Close's message.
        message: Option<String>,
        /// Close's field errors.
        errors: Option<Map<String, Value>>,
    },
    /// Close can't be reached, or its answer makes no sense; nothing is known to have changed.
    #[error("close is unavailable: {reason}")]
    CloseUnavailable {
        /// What happened instead of an answer.
        reason: String,
    },
    /// The database can't be used now.
    #[error("the database is unavailable")]
    StoreUnavailable(#[source] Cause),
    /// A fault of the desk itself.
    #[error("internal error")]
    Internal(#[source] Cause),
}

impl From<Vec<Fault>> for Error {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Invalid(faults)
    }
}

impl From<MissingPermission> for Error {
    fn from(MissingPermission(need): MissingPermission) -> Self {
        Self::PermissionMissing { need }
    }
}

impl From<TeamError> for Error {
    fn from(error: TeamError) -> Self {
        match error {
            TeamError::NotFound => Self::NotFound,
            TeamError::Required { teams } => Self::TeamRequired { teams },
        }
    }
}
