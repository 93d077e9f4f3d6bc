//! Looking at Close for what became of calls whose outcome nobody knows: a complete listing, and what the event log
//! says of where numbers come from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::close::{Creation, Trouble};
use crate::desk::orders::verdict::{Candidate, Origin};
use crate::desk::sync::compare::Listing;
use crate::desk::{Desk, troubled, unavailable};
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::number::Facts;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::error::Error;

/// How far clocks may be apart beyond what was measured: Close tells its time in whole seconds, and replicas have clocks
/// of their own.
const SLACK: Duration = Duration::from_secs(10);
/// The same where nothing was measured.
const UNMEASURED: Duration = Duration::from_mins(10);

/// Where numbers came from, as far as Close's event log says.
pub(in crate::desk) struct Origins {
    creations: BTreeMap<PhoneNumberId, Creation>,
    /// Whose key the desk has.
    user: UserId,
    /// Ids of API keys that certainly were the desk's.
    keys: BTreeSet<String>,
}

impl Origins {
    /// Who rented the number.
    pub(in crate::desk) fn of(&self, id: &PhoneNumberId) -> Origin {
        Origin::of(self.creations.get(id), &self.user, &self.keys)
    }
}

/// What Close showed, every page of it.
pub(in crate::desk) struct Look {
    /// When it was begun.
    pub(in crate::desk) started: Timestamp,
    pub(in crate::desk) origins: Origins,
}

impl Desk {
    /// Looks at Close as far back as `since`, by our clock. Whatever is not whole and clean is an error: it must not
    /// pass for "nothing there".
    pub(in crate::desk) async fn look(&self, since: Timestamp) -> Result<Look, Error> {
        let Listing { started, by, ids } = self.listing().await?;
        let origins = self.origins(since, by.user).await?;
        // The listing may lag behind the log.
        let unlisted: Vec<_> = origins
            .creations
            .iter()
            .filter(|(id, _)| !ids.contains(id) && origins.of(id) == Origin::Desk)
            .filter_map(|(_, creation)| creation.facts.clone())
            .map(|facts| self.observation(facts, started))
            .collect();
        self.0.store.insert_if_unknown(&unlisted).await?;
        // The key may have been replaced meanwhile by one that sees other numbers.
        if self.ours().await?.organization != by.organization {
            return Err(unavailable("the API key was replaced during the look"));
        }
        Ok(Look { started, origins })
    }

    /// Where numbers came from, as far back as `since`, by our clock. A key that may not read the event log learns
    /// nothing from it; that is no reason to wait for ever.
    pub(in crate::desk) async fn origins(&self, since: Timestamp, user: UserId) -> Result<Origins, Error> {
        let (theirs, slack) = self.at_close(since);
        let creations = match self.0.close.creations(theirs.minus(slack)).await {
            Err(trouble @ Trouble::Refused { .. }) => {
                tracing::warn!(%trouble, "Close does not show its event log to this key: who rented what is not known");
                BTreeMap::new()
            }
            other => other.map_err(troubled)?,
        };
        let ids: Vec<_> = creations.keys().cloned().collect();
        let answered = self.0.store.confirmed_by_response(&ids).await?;
        let keys = answered
            .iter()
            .filter_map(|id| creations.get(id)?.api_key.clone())
            .collect();
        Ok(Origins {
            creations,
            user,
            keys,
        })
    }

    /// Numbers that no order accounts for and that fit these orders of one shape.
    pub(in crate::desk) async fn candidates(
        &self,
        orders: &[Order],
        look: &Look,
    ) -> Result<Vec<Candidate>, Error> {
        let sent = orders.iter().filter_map(|order| order.sent_at).min();
        let (Some(first), Some(sent)) = (orders.first(), sent) else {
            return Ok(Vec::new());
        };
        let country = first.request.country;
        let strays = self
            .0
            .store
            .unassigned_numbers(country, sent.minus(UNMEASURED))
            .await?;
        Ok(strays
            .into_iter()
            .filter(|stray| self.answers(first, sent, &stray.number.facts))
            .filter_map(|stray| {
                let origin = look.origins.of(&stray.number.facts.id);
                // A team that adopted it has it for good, unless it is certain that it was rented for an order.
                let open = stray.number.team.is_none() && origin != Origin::Other;
                (open || origin == Origin::Desk).then_some(Candidate {
                    origin,
                    id: stray.number.facts.id,
                    seen_at: stray.seen_at,
                })
            })
            .collect())
    }

    /// Whether Close can have made the number in answer to a call for this order at the time `sent`.
    pub(in crate::desk) fn answers(&self, order: &Order, sent: Timestamp, facts: &Facts) -> bool {
        let (theirs, slack) = self.at_close(sent);
        let in_time = facts
            .created_at
            .is_none_or(|created| created >= theirs.minus(slack));
        in_time && order.matches(facts)
    }

    /// A moment by Close's clock, and how far that may be off.
    pub(in crate::desk) fn at_close(&self, ours: Timestamp) -> (Timestamp, Duration) {
        match self.0.close.ahead() {
            Some(ahead) => (
                Timestamp::from_micros(ours.as_micros().saturating_add(ahead)),
                SLACK,
            ),
            None => (ours, UNMEASURED),
        }
    }
}
