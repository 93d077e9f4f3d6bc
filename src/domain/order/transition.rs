//! The transition table of orders, and the methods that move an [`Order`] from one state to the next.
//!
//! An order begins as `awaiting_approval` or `queued` ([`State::initial`]). Every later change of state is a [`Step`].
//! The methods of [`Order`] compute the next state from this table, and the store renders the `WHERE state IN (…)`
//! conditions of its updates from it, so the two cannot disagree.
//!
//! ```text
//! awaiting_approval ─approve─▶ queued ─claim─▶ renting ─fulfil─▶ fulfilled
//!        │                      ▲ │               │
//!        │      unclaim, requeue┘ │               ├─refuse─▶ refused
//!        ├─reject─▶ refused       │               └─mark unverified─▶ unverified ─fulfil, refuse, requeue
//!        └─expire, cancel─▶ cancelled ◀─cancel                            └─review─▶ needs_review ─fulfil, refuse
//! ```
//!
//! After a restore, `suspect` leads from `awaiting_approval` and `queued` to `needs_review`.

use serde_json::{Map, Value};

use crate::domain::audit::Actor;
use crate::domain::id::PhoneNumberId;
use crate::domain::order::Order;
use crate::domain::order::approval::Verdict;
use crate::domain::order::state::State::{
    AwaitingApproval, Cancelled, Fulfilled, NeedsReview, Queued, Refused, Renting, Unverified,
};
use crate::domain::order::state::{Evidence, State};
use crate::domain::time::Timestamp;

/// A change of an order's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A second person approves the order.
    Approve,
    /// A second person rejects the order.
    Reject,
    /// Nobody approved the order in time.
    Expire,
    /// The caller cancels the order.
    Cancel,
    /// A replica claims the order before it sends the paid call.
    Claim,
    /// The replica returns its claim, because it certainly sent nothing.
    Unclaim,
    /// Close executed nothing, so the service sends the order again later.
    Requeue,
    /// The paid call ended without a clear answer.
    MarkUnverified,
    /// Close's records are ambiguous, so a person must decide.
    Review,
    /// The database was restored and the order may have been sent since, so a person must decide.
    Suspect,
    /// Close rented the number.
    Fulfil,
    /// Close rented nothing.
    Refuse,
}

impl Step {
    /// Every step.
    pub const ALL: &'static [Self] = &[
        Self::Approve,
        Self::Reject,
        Self::Expire,
        Self::Cancel,
        Self::Claim,
        Self::Unclaim,
        Self::Requeue,
        Self::MarkUnverified,
        Self::Review,
        Self::Suspect,
        Self::Fulfil,
        Self::Refuse,
    ];

    /// Returns a row of the table: the states that the step starts from, and the state that it leads to.
    ///
    /// A replica can write a clear answer of Close late. Recovery may have marked the order `unverified` meanwhile, or
    /// reconciliation may have sent it to review, so these states accept clear outcomes too.
    const fn row(self) -> (&'static [State], State) {
        match self {
            Self::Approve => (&[AwaitingApproval], Queued),
            Self::Reject => (&[AwaitingApproval], Refused),
            Self::Expire => (&[AwaitingApproval], Cancelled),
            Self::Cancel => (&[AwaitingApproval, Queued], Cancelled),
            Self::Claim => (&[Queued], Renting),
            Self::Unclaim => (&[Renting], Queued),
            Self::Requeue => (&[Renting, Unverified], Queued),
            Self::MarkUnverified => (&[Renting], Unverified),
            Self::Review => (&[Unverified], NeedsReview),
            Self::Suspect => (&[AwaitingApproval, Queued], NeedsReview),
            Self::Fulfil => (&[Renting, Unverified, NeedsReview], Fulfilled),
            Self::Refuse => (&[Renting, Unverified, NeedsReview], Refused),
        }
    }

    /// Returns the states that the step starts from.
    pub const fn from_states(self) -> &'static [State] {
        self.row().0
    }

    /// Returns the state that the step leads to.
    pub const fn to_state(self) -> State {
        self.row().1
    }

    /// Returns the state after the step; `None` if the step does not start from `state`.
    pub fn next(self, state: State) -> Option<State> {
        self.from_states().contains(&state).then_some(self.to_state())
    }
}

/// The outcome of a paid call, as far as it is known now.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Close rented a number.
    Fulfilled {
        /// The number.
        phone_number_id: PhoneNumberId,
        /// The evidence.
        evidence: Evidence,
    },
    /// It is certain that Close rented nothing.
    Refused {
        /// Close's status word, if its answer has one.
        close_status: Option<String>,
        /// Close's message.
        reason: Option<String>,
        /// Close's field errors.
        close_errors: Option<Map<String, Value>>,
        /// The evidence.
        evidence: Evidence,
    },
    /// The outcome is unknown.
    Unverified {
        /// What happened instead of a clear answer.
        reason: String,
    },
    /// Close's records are ambiguous; a person must decide.
    Review {
        /// Why the records are ambiguous.
        reason: String,
    },
    /// Close executed nothing. The service sends the order again, not before a given time.
    Requeued {
        /// The earliest next send.
        not_before: Timestamp,
        /// Why Close executed nothing.
        reason: String,
    },
}

impl Settlement {
    /// Returns the step that writes this outcome.
    pub const fn step(&self) -> Step {
        match self {
            Self::Fulfilled { .. } => Step::Fulfil,
            Self::Refused { .. } => Step::Refuse,
            Self::Unverified { .. } => Step::MarkUnverified,
            Self::Review { .. } => Step::Review,
            Self::Requeued { .. } => Step::Requeue,
        }
    }
}

/// The error for a step that does not start from the order's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order is {0}")]
pub struct WrongState(pub State);

impl Order {
    /// Begins a send: [`Step::Claim`].
    pub fn claimed(mut self, now: Timestamp) -> Result<Self, WrongState> {
        self.advance(Step::Claim)?;
        self.attempt += 1;
        self.sent_at = Some(now);
        self.not_before = None;
        self.reason = None;
        self.updated_at = now;
        Ok(self)
    }

    /// Records the outcome of a send, or of reconciliation, or the decision of a person.
    pub fn settled(mut self, settlement: Settlement, now: Timestamp) -> Result<Self, WrongState> {
        self.advance(settlement.step())?;
        match settlement {
            Settlement::Fulfilled {
                phone_number_id,
                evidence,
            } => {
                self.reason = None;
                self.phone_number_id = Some(phone_number_id);
                self.evidence = Some(evidence);
            }
            Settlement::Refused {
                close_status,
                reason,
                close_errors,
                evidence,
            } => {
                self.close_status = close_status;
                self.reason = reason;
                self.close_errors = close_errors;
                self.evidence = Some(evidence);
            }
            Settlement::Unverified { reason } | Settlement::Review { reason } => self.reason = Some(reason),
            Settlement::Requeued { not_before, reason } => {
                self.not_before = Some(not_before);
                self.reason = Some(reason);
            }
        }
        Ok(self.stamped(now))
    }

    /// Sends the order to review, because it may have been sent before the database was restored: [`Step::Suspect`].
    pub fn suspected(mut self, reason: String, now: Timestamp) -> Result<Self, WrongState> {
        self.advance(Step::Suspect)?;
        self.not_before = None;
        self.reason = Some(reason);
        Ok(self.stamped(now))
    }

    /// Cancels the order: [`Step::Cancel`].
    pub fn cancelled(mut self, now: Timestamp) -> Result<Self, WrongState> {
        self.advance(Step::Cancel)?;
        self.reason = None;
        Ok(self.stamped(now))
    }

    /// Records the approval of a second person: [`Step::Approve`].
    pub fn approved(
        mut self,
        by: Actor,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<Self, WrongState> {
        self.decide(Verdict::Approved, Some(by), comment, now)?;
        self.advance(Step::Approve)?;
        self.reason = None;
        Ok(self.stamped(now))
    }

    /// Records the rejection of a second person: [`Step::Reject`].
    pub fn rejected(
        mut self,
        by: Actor,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<Self, WrongState> {
        let why = comment.as_ref().map(|comment| format!(": {comment}"));
        let reason = format!("rejected by {}{}", by.subject, why.unwrap_or_default());
        self.decide(Verdict::Rejected, Some(by), comment, now)?;
        self.advance(Step::Reject)?;
        self.reason = Some(reason);
        self.evidence = Some(Evidence::SettledByPerson);
        Ok(self.stamped(now))
    }

    /// Ends an order that nobody approved in time: [`Step::Expire`].
    pub fn expired(mut self, now: Timestamp) -> Result<Self, WrongState> {
        self.decide(Verdict::Expired, None, None, now)?;
        self.advance(Step::Expire)?;
        self.reason = Some("nobody approved it in time".to_owned());
        Ok(self.stamped(now))
    }

    /// Writes the verdict into the approval.
    ///
    /// Before `expires_at` only a person can decide. From then on the approval can only expire.
    fn decide(
        &mut self,
        verdict: Verdict,
        by: Option<Actor>,
        comment: Option<String>,
        now: Timestamp,
    ) -> Result<(), WrongState> {
        let in_time = self.state == AwaitingApproval && self.is_overdue(now) == (verdict == Verdict::Expired);
        match &mut self.approval {
            Some(approval) if in_time => {
                approval.decision = verdict;
                approval.by = by;
                approval.at = Some(now);
                approval.comment = comment;
                Ok(())
            }
            _ => Err(WrongState(self.state)),
        }
    }

    fn advance(&mut self, step: Step) -> Result<(), WrongState> {
        self.state = step.next(self.state).ok_or(WrongState(self.state))?;
        Ok(())
    }

    fn stamped(mut self, now: Timestamp) -> Self {
        self.updated_at = now;
        self.finished_at = self.state.is_final().then_some(now);
        self
    }
}
