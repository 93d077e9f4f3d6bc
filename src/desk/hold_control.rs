//! A person's control of holds: shows them, turns one on and off, and confirms calls that the database does not know.
//!
//! The commands `hold` and `recover` and the API share these use cases.

use serde_json::json;

use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::authority::{Authority, CallContext};
use crate::domain::hold::{Hold, HoldCause, UnknownCall};
use crate::domain::input::values::Text;
use crate::domain::permission::needs;
use crate::domain::time::{Clock, Timestamp};
use crate::error::Error;
use crate::store::{Confirmed, Store};

/// Unknown calls that are shown at once, the oldest ones.
const SHOWN: u32 = 200;

/// The reason of a hold, which callers see.
pub type HoldReason = Text<500>;

/// Shows and changes holds for a person.
#[derive(Clone)]
pub struct HoldControl {
    store: Store,
    clock: Clock,
}

/// The person who changes holds. Holds concern all teams, so the right to change them must hold everywhere.
#[derive(Debug)]
pub enum HoldAuthor<'a> {
    /// An administrator, who called the API.
    Administrator(Authority<'a, needs::NumbersAdmin>),
    /// A person who may run commands with the configuration.
    Operator,
}

/// The holds in force, and the calls that wait for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldState {
    /// The holds in force.
    pub holds: Vec<Hold>,
    /// The oldest calls with the service's API key that the database does not know and nobody has confirmed.
    pub unknown_calls: Vec<UnknownCall>,
    /// How many such calls there are.
    pub unknown_call_count: u64,
}

impl<'a> HoldAuthor<'a> {
    /// Returns the caller as author. Fails unless its `numbers:admin` holds everywhere.
    pub fn administrator(ctx: CallContext<'a, needs::NumbersAdmin>) -> Result<Self, Error> {
        let authority = ctx.authorize(None)?;
        authority.also_without_team()?;
        Ok(Self::Administrator(authority))
    }

    fn row(&self, now: Timestamp, action: Action, cause: HoldCause) -> AuditRow {
        match self {
            Self::Administrator(authority) => authority.row(now, action, cause.as_str(), None),
            Self::Operator => {
                let operator = Actor {
                    subject: "operator".to_owned(),
                    ..Actor::desk()
                };
                AuditRow::new(now, operator, action, cause.as_str())
            }
        }
    }
}

impl HoldControl {
    /// Creates the control of the holds in this database.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// The holds in force, and the calls that nobody has confirmed.
    ///
    /// The unknown calls name numbers of all teams, so they need an author, too.
    pub async fn state(&self, _: &HoldAuthor<'_>) -> Result<HoldState, Error> {
        Ok(HoldState {
            holds: self.store.holds().await?,
            unknown_calls: self.store.oldest_unknown_calls(SHOWN).await?,
            unknown_call_count: self.store.count_unknown_calls().await?,
        })
    }

    /// Turns the operators' hold on, or changes its reason. Without a reason, a hold that is on stays as it is.
    pub async fn turn_on(&self, author: &HoldAuthor<'_>, reason: Option<HoldReason>) -> Result<(), Error> {
        let given = reason
            .map(String::from)
            .filter(|reason| !reason.trim().is_empty());
        let holds = self.store.holds().await?;
        if given.is_none() && holds.iter().any(|hold| hold.cause == HoldCause::Operator) {
            return Ok(());
        }
        let hold = Hold {
            cause: HoldCause::Operator,
            reason: given.unwrap_or_else(|| "an operator has stopped all orders".to_owned()),
            since: self.clock.now(),
        };
        let row = author.row(hold.since, Action::HoldStart, hold.cause);
        let row = row.detail(json!({ "reason": hold.reason }));
        self.store.start_hold(&hold, &row).await?;
        tracing::warn!(reason = hold.reason, "orders and releases held by a person");
        Ok(())
    }

    /// Turns the operators' hold off. Does nothing if there is none.
    pub async fn turn_off(&self, author: &HoldAuthor<'_>) -> Result<(), Error> {
        let row = author.row(self.clock.now(), Action::HoldEnd, HoldCause::Operator);
        if self.store.end_hold(HoldCause::Operator, &row).await? {
            tracing::warn!("hold on orders and releases ended by a person");
        }
        Ok(())
    }

    /// Confirms all unknown calls, and ends the hold that they caused. `None`: there is no such hold.
    ///
    /// Nothing that may have happened already happens again, see [`Confirmed`].
    pub async fn confirm(&self, author: &HoldAuthor<'_>) -> Result<Option<Confirmed>, Error> {
        let row = author.row(self.clock.now(), Action::HoldEnd, HoldCause::UnknownCalls);
        let confirmed = self.store.confirm_unknown_calls(&row).await?;
        if let Some(confirmed) = &confirmed {
            tracing::warn!(
                calls = confirmed.calls.len(),
                in_review = confirmed.in_review.len(),
                kept = confirmed.kept.len(),
                "unknown calls confirmed by a person"
            );
        }
        Ok(confirmed)
    }
}
