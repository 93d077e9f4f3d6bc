//! Collects evidence from Close about orders whose outcome is unknown.
//!
//! The evidence is a complete listing of the numbers, and the event log, which shows who rented each number.

use std::collections::{BTreeMap, BTreeSet};

use crate::close::{Creation, Creations, Error as CloseError};
use crate::desk::account::UNMEASURED_SKEW;
use crate::desk::errors::{map_close_error, unavailable};
use crate::desk::orders::Orders;
use crate::desk::orders::verdict::{Candidate, Origin};
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::number::Facts;
use crate::domain::odd_record::OddRecord;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::error::Error;

/// Who rented each number, as far as Close's event log shows it.
pub(in crate::desk) struct Origins {
    creations: BTreeMap<PhoneNumberId, Creation>,
    /// The user of the service's API key, if Close names it.
    user: Option<UserId>,
    /// Ids of API keys that certainly belonged to the service.
    keys: BTreeSet<String>,
    /// Events that can't be read and may be the creation of a number since then.
    odd: Vec<OddRecord>,
    /// Whether Close did not show its event log, but may do so later.
    pub(in crate::desk::orders) missing: bool,
}

impl Origins {
    /// Who rented the number.
    pub(in crate::desk::orders) fn of(&self, id: &PhoneNumberId) -> Origin {
        let origin = Origin::of(self.creations.get(id), self.user.as_ref(), &self.keys);
        let may_be_about = |record: &OddRecord| record.number.as_ref().is_none_or(|about| about == id);
        if origin == Origin::Unlogged && self.odd.iter().any(may_be_about) {
            return Origin::Unclear;
        }
        origin
    }
}

/// A complete and consistent view of Close.
pub(in crate::desk::orders) struct CloseView {
    /// When the listing began.
    pub(in crate::desk::orders) started: Timestamp,
    pub(in crate::desk::orders) origins: Origins,
    /// The records of the listing that can't be read.
    pub(in crate::desk::orders) odd: Vec<OddRecord>,
}

impl Orders {
    /// Lists the numbers in Close, and reads its event log back to `since`, by our clock.
    ///
    /// Incomplete evidence is an error, because it must not count as proof that Close has no such number.
    pub(in crate::desk::orders) async fn collect_evidence(
        &self,
        since: Timestamp,
    ) -> Result<CloseView, Error> {
        let listing = self.account.listing().await?;
        let (started, owner) = (listing.started, &listing.owner);
        let origins = self.origins(since, owner.user.clone()).await?;
        // The listing may lag behind the event log.
        let unlisted: Vec<_> = origins
            .creations
            .iter()
            .filter(|(id, _)| !listing.ids.contains(id) && origins.of(id) == Origin::Desk)
            .filter_map(|(_, creation)| creation.facts.clone())
            .map(|facts| self.core.observation(facts, started))
            .collect();
        self.core.store.insert_if_unknown(&unlisted).await?;
        // The key may have been replaced meanwhile by one that sees other numbers.
        if self.account.verify_organization().await?.organization != owner.organization {
            return Err(unavailable(
                "the API key was replaced while the evidence was collected",
            ));
        }
        Ok(CloseView {
            started,
            origins,
            odd: listing.odd,
        })
    }

    /// Reads the event log back to `since`, by our clock.
    ///
    /// If the API key may not read the event log, or Close does not show it, the result is empty. An error would let the
    /// orders wait forever.
    pub(in crate::desk::orders) async fn origins(
        &self,
        since: Timestamp,
        user: Option<UserId>,
    ) -> Result<Origins, Error> {
        let (close_since, skew) = self.account.to_close_clock(since);
        let mut missing = false;
        let Creations {
            known: creations,
            odd,
        } = match self.core.close.creations(close_since.minus(skew)).await {
            Err(failure @ CloseError::Refused { .. }) => {
                tracing::warn!(
                    error = %failure,
                    "event log of Close refused to this API key; the origin of numbers stays unknown"
                );
                Creations::default()
            }
            Err(failure @ CloseError::Unavailable { .. }) => {
                tracing::warn!(
                    error = %failure,
                    "event log of Close not read; the origin of numbers is unknown for now"
                );
                missing = true;
                Creations::default()
            }
            other => other.map_err(map_close_error)?,
        };
        let ids: Vec<_> = creations.keys().cloned().collect();
        let confirmed = self.core.store.confirmed_by_response(&ids).await?;
        let keys = confirmed
            .iter()
            .filter_map(|id| creations.get(id)?.api_key.clone())
            .collect();
        self.account.note_odd(&odd).await?;
        let possible: Vec<_> = odd
            .into_iter()
            .filter(|record| self.created_in_time(since, record.created_at))
            .collect();
        let recent = self.unless_older(&possible, since, self.core.now()).await?;
        let odd = possible
            .into_iter()
            .filter(|record| recent.iter().any(|one| one.name == record.name))
            .collect();
        Ok(Origins {
            creations,
            user,
            keys,
            odd,
            missing,
        })
    }

    /// Numbers that no order accounts for and that match these interchangeable orders.
    pub(in crate::desk::orders) async fn candidates(
        &self,
        orders: &[Order],
        view: &CloseView,
    ) -> Result<Vec<Candidate>, Error> {
        let sent = orders.iter().filter_map(|order| order.sent_at).min();
        let (Some(first), Some(sent)) = (orders.first(), sent) else {
            return Ok(Vec::new());
        };
        let country = first.request.country;
        let earliest = sent.minus(UNMEASURED_SKEW);
        let unassigned = self.core.store.unassigned_numbers(country, earliest).await?;
        Ok(unassigned
            .into_iter()
            .filter(|unassigned| self.could_answer(first, sent, &unassigned.number.facts))
            .filter_map(|unassigned| {
                let origin = view.origins.of(&unassigned.number.facts.id);
                // A team keeps a number that it adopted, unless the number was certainly rented for an order.
                let open = unassigned.number.team.is_none() && origin != Origin::Other;
                (open || origin == Origin::Desk).then_some(Candidate {
                    origin,
                    id: unassigned.number.facts.id,
                    seen_at: unassigned.seen_at,
                })
            })
            .collect())
    }

    /// Whether Close may have rented the number in response to a call for this order at the time `sent`.
    pub(in crate::desk::orders) fn could_answer(
        &self,
        order: &Order,
        sent: Timestamp,
        facts: &Facts,
    ) -> bool {
        self.created_in_time(sent, facts.created_at) && order.matches(facts)
    }

    /// Whether Close created it at the time `sent` or later, or does not say when.
    pub(in crate::desk::orders) fn created_in_time(
        &self,
        sent: Timestamp,
        created_at: Option<Timestamp>,
    ) -> bool {
        let (close_sent, skew) = self.account.to_close_clock(sent);
        created_at.is_none_or(|created| created >= close_sent.minus(skew))
    }
}
