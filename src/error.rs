//! The errors of a use case, independent of HTTP.

use serde_json::{Map, Value};

use crate::domain::authority::NotAuthorized;
use crate::domain::decision::{Caps, Explanation, Refusal, Usage};
use crate::domain::id::OrderId;
use crate::domain::identity::IgnoredTeam;
use crate::domain::input::fault::Fault;
use crate::domain::order::State;
use crate::domain::permission::Permission;
use crate::domain::service_account::ServiceAccountName;
use crate::domain::team::Team;

/// The cause of a failure that the caller cannot fix; it goes to the log, never to the caller.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Returns an error and all its causes in one line, separated by colons.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The reason why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is invalid; the list has every fault with its JSON pointer.
    #[error("the request has {} fault(s)", .0.len())]
    Invalid(Vec<Fault>),
    /// The event after which the caller wants to continue is not kept any more, or never existed.
    #[error("the event is not kept")]
    EventNotKept,
    /// The object does not exist, or the caller may not see it.
    #[error("not found")]
    NotFound,
    /// The request names no team, and the caller has several teams or none.
    #[error("a team must be named")]
    TeamRequired {
        /// The caller's teams.
        teams: Vec<Team>,
        /// The names at the teams claims that give no team.
        ignored: Vec<IgnoredTeam>,
        /// Whether the provider left groups out of the token.
        overage: bool,
    },
    /// The token lacks a permission.
    #[error("the token lacks the permission {need}")]
    PermissionMissing {
        /// The missing permission.
        need: Permission,
        /// The team in which it is missing, if the caller has it in another team.
        team: Option<Team>,
    },
    /// The caller has a permission only in some teams, and the request concerns more.
    #[error("the permission {need} does not hold in all teams")]
    PermissionNotEverywhere {
        /// The permission.
        need: Permission,
    },
    /// The policy has no entry for the service account.
    #[error("the service account {name} of {issuer} is not in the policy")]
    ServiceAccountUnmapped {
        /// The service account.
        name: ServiceAccountName,
        /// The issuer of its cluster.
        issuer: String,
    },
    /// The policy, a quota or the budget denies the request.
    #[error("denied by {}", .explanation.rule)]
    Denied {
        /// The family of the rule that denied it.
        refusal: Refusal,
        /// The rule, and how to satisfy it.
        explanation: Box<Explanation>,
        /// The team's caps and usage, for a quota or budget denial.
        caps: Option<Box<(Caps, Usage)>>,
    },
    /// The request creates an order but has no idempotency key.
    #[error("the idempotency key is missing")]
    IdempotencyKeyMissing,
    /// The idempotency key was used with a different request body.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused {
        /// The order that was created with the key.
        order_id: OrderId,
    },
    /// The order was already sent to Close.
    #[error("the order is {state} and can't be cancelled")]
    OrderNotCancellable {
        /// The order's state.
        state: State,
    },
    /// The order is not in manual review.
    #[error("the order is {state} and not in review")]
    OrderNotInReview {
        /// The order's state.
        state: State,
    },
    /// The reviewer's decision contradicts Close or the service's own records.
    #[error("the decision contradicts the known facts: {reason}")]
    SettleContradicted {
        /// The contradicting fact.
        reason: String,
    },
    /// The caller created the order, and therefore can't approve or reject it.
    #[error("the order is the caller's own")]
    OwnOrder,
    /// The order does not wait for approval, or was already decided differently.
    #[error("the order is {state} and awaits no approval")]
    OrderNotAwaitingApproval {
        /// The order's state.
        state: State,
    },
    /// A release request was already sent to Close.
    #[error("a release of the number is under way")]
    ReleaseUnderWay,
    /// The number changed since the caller read it.
    #[error("the number has changed")]
    PreconditionFailed,
    /// Calls that cost or destroy are on hold.
    #[error("on hold: {reason}")]
    OrdersOnHold {
        /// The reason of the hold.
        reason: String,
    },
    /// This replica is at its limit for this kind of work.
    #[error("too busy: {detail}")]
    Busy {
        /// The limit that was reached, as a sentence.
        detail: &'static str,
    },
    /// The team, or the caller, already has its share of this kind of work on this replica.
    #[error("share used up: {detail}")]
    ShareUsedUp {
        /// The work of which there is too much, as a sentence.
        detail: &'static str,
    },
    /// Outgoing webhooks are disabled, because settings are missing.
    #[error("webhooks are disabled: {missing} is not set")]
    WebhooksOff {
        /// The names of the missing settings.
        missing: &'static str,
    },
    /// The team has the maximum number of endpoints.
    #[error("the team has {limit} endpoints, the maximum")]
    TooManyEndpoints {
        /// The maximum.
        limit: u32,
    },
    /// The endpoint is disabled, so that nothing can be sent to it.
    #[error("the endpoint is disabled")]
    EndpointDisabled,
    /// Close refused the call.
    #[error("close refused: {}", .message.as_ref().unwrap_or(.close_status))]
    CloseRefused {
        /// Close's status word, or `error`.
        close_status: String,
        /// Close's message.
        message: Option<String>,
        /// Close's field errors.
        errors: Option<Map<String, Value>>,
    },
    /// Close did not answer, or its answer was not understood; no change is known.
    #[error("close is unavailable: {reason}")]
    CloseUnavailable {
        /// The failure, without URLs or secrets.
        reason: String,
    },
    /// The database does not answer.
    #[error("the database is unavailable")]
    StoreUnavailable(#[source] Cause),
    /// A defect of the service itself.
    #[error("internal error")]
    Internal(#[source] Cause),
}

impl From<Vec<Fault>> for Error {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Invalid(faults)
    }
}

impl From<NotAuthorized> for Error {
    fn from(error: NotAuthorized) -> Self {
        match error {
            NotAuthorized::NotFound => Self::NotFound,
            NotAuthorized::TeamRequired {
                teams,
                ignored,
                overage,
            } => Self::TeamRequired {
                teams,
                ignored,
                overage,
            },
            NotAuthorized::PermissionMissing { need, team } => Self::PermissionMissing { need, team },
            NotAuthorized::NotEverywhere { need } => Self::PermissionNotEverywhere { need },
        }
    }
}
