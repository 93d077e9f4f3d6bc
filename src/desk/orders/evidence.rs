//! Collects evidence from Close about orders whose outcome is unknown.
//!
//! The evidence is a complete listing of the numbers, and the event log, which shows who rented each number.

use std::collections::{BTreeMap, BTreeSet};

use crate::close::{Creation, Error as CloseError};
use crate::desk::account::{Listing, UNMEASURED_SKEW};
use crate::desk::errors::{map_close_error, unavailable};
use crate::desk::orders::Orders;
use crate::desk::orders::verdict::{Candidate, Origin, Rival};
use crate::domain::country::Country;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::number::Facts;
use crate::domain::order::{Order, State};
use crate::domain::phone::sharing_calling_code;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::{UnassignedNumber, UnsettledOrder};

/// Who rented each number, as far as Close's event log shows it.
pub(in crate::desk) struct Origins {
    creations: BTreeMap<PhoneNumberId, Creation>,
    /// The user of the service's API key.
    user: UserId,
    /// Ids of API keys that certainly belonged to the service.
    keys: BTreeSet<String>,
}

impl Origins {
    /// Who rented the number.
    pub(in crate::desk::orders) fn of(&self, id: &PhoneNumberId) -> Origin {
        Origin::of(self.creations.get(id), &self.user, &self.keys)
    }
}

/// A complete and consistent view of Close.
pub(in crate::desk::orders) struct CloseView {
    /// When the listing began.
    pub(in crate::desk::orders) started: Timestamp,
    pub(in crate::desk::orders) origins: Origins,
}

impl Orders {
    /// Lists the numbers in Close, and reads its event log back to `since`, by our clock.
    ///
    /// Incomplete evidence is an error, because it must not count as proof that Close has no such number.
    pub(in crate::desk::orders) async fn collect_evidence(
        &self,
        since: Timestamp,
    ) -> Result<CloseView, Error> {
        let Listing { started, owner, ids } = self.account.listing().await?;
        let origins = self.origins(since, owner.user).await?;
        // The listing may lag behind the event log.
        let unlisted: Vec<_> = origins
            .creations
            .iter()
            .filter(|(id, _)| !ids.contains(id) && origins.of(id) == Origin::Desk)
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
        Ok(CloseView { started, origins })
    }

    /// Reads the event log back to `since`, by our clock.
    ///
    /// If the API key may not read the event log, the result is empty. An error would let the orders wait forever.
    pub(in crate::desk::orders) async fn origins(
        &self,
        since: Timestamp,
        user: UserId,
    ) -> Result<Origins, Error> {
        let (close_since, skew) = self.account.to_close_clock(since);
        let creations = match self.core.close.creations(close_since.minus(skew)).await {
            Err(failure @ CloseError::Refused { .. }) => {
                tracing::warn!(
                    error = %failure,
                    "event log of Close refused to this API key; the origin of numbers stays unknown"
                );
                BTreeMap::new()
            }
            other => other.map_err(map_close_error)?,
        };
        let ids: Vec<_> = creations.keys().cloned().collect();
        let confirmed = self.core.store.confirmed_by_response(&ids).await?;
        let keys = confirmed
            .iter()
            .filter_map(|id| creations.get(id)?.api_key.clone())
            .collect();
        Ok(Origins {
            creations,
            user,
            keys,
        })
    }

    /// Numbers that no order accounts for and that may match orders of these countries, sent at `sent` or later.
    pub(in crate::desk::orders) async fn unassigned(
        &self,
        countries: &BTreeSet<Country>,
        sent: Timestamp,
    ) -> Result<Vec<UnassignedNumber>, Error> {
        let mut found = BTreeMap::new();
        for country in countries {
            let earliest = sent.minus(UNMEASURED_SKEW);
            for number in self.core.store.unassigned_numbers(*country, earliest).await? {
                found.insert(number.number.facts.id.clone(), number);
            }
        }
        Ok(found.into_values().collect())
    }

    /// The numbers among `unassigned` that match groups of interchangeable orders.
    ///
    /// `rivals` are the other orders whose outcome is open, read after the numbers. So an order that rented one of the
    /// numbers is among them, or has been settled with it.
    pub(in crate::desk::orders) fn candidates(
        &self,
        groups: &[Vec<&UnsettledOrder>],
        rivals: &[&UnsettledOrder],
        unassigned: &[UnassignedNumber],
        view: &CloseView,
    ) -> Vec<Candidate> {
        unassigned
            .iter()
            .filter_map(|number| {
                let facts = &number.number.facts;
                let origin = view.origins.of(&facts.id);
                // A team keeps a number that it adopted, unless the number was certainly rented for an order.
                let is_free = number.number.team.is_none() && origin != Origin::Other;
                if !is_free && origin != Origin::Desk {
                    return None;
                }
                let fits = |group: &Vec<&UnsettledOrder>| {
                    let sent = group.iter().filter_map(|open| open.order.sent_at).min();
                    let in_turn = group.iter().any(|open| number.can_be_of_turn(open.turn));
                    group
                        .first()
                        .zip(sent)
                        .is_some_and(|(first, sent)| in_turn && self.could_answer(&first.order, sent, facts))
                };
                let matching = groups.iter().enumerate().filter(|(_, group)| fits(group));
                let groups: BTreeSet<usize> = matching.map(|(group, _)| group).collect();
                (!groups.is_empty()).then(|| Candidate {
                    id: facts.id.clone(),
                    origin,
                    seen_at: number.seen_at,
                    groups,
                    rival: rivals.iter().filter_map(|other| self.rival(other, number)).max(),
                })
            })
            .collect()
    }

    /// How the number may belong to this order, whose outcome the look does not decide.
    fn rival(&self, other: &UnsettledOrder, number: &UnassignedNumber) -> Option<Rival> {
        let facts = &number.number.facts;
        if !other.order.matches(facts) || !number.can_be_of_turn(other.turn) {
            return None;
        }
        if other.order.state != State::NeedsReview {
            return Some(Rival::InProgress);
        }
        // Its call ended before it went to review.
        let (reviewed, skew) = self.account.to_close_clock(other.order.updated_at);
        let in_time = facts
            .created_at
            .is_none_or(|created| created <= reviewed.plus(skew));
        let sent = other.order.sent_at.unwrap_or(other.order.created_at);
        (in_time && self.could_answer(&other.order, sent, facts)).then_some(Rival::InReview)
    }

    /// Whether an order whose outcome is open may have rented the number.
    pub(in crate::desk::orders) async fn may_be_of_open_order(
        &self,
        number: &UnassignedNumber,
        country: Country,
    ) -> Result<bool, Error> {
        let countries = sharing_calling_code(country);
        let open = self.core.store.unsettled_orders(&countries).await?;
        Ok(open
            .iter()
            .any(|open| number.can_be_of_turn(open.turn) && open.order.matches(&number.number.facts)))
    }

    /// Whether Close may have rented the number in response to a call for this order at the time `sent`.
    pub(in crate::desk::orders) fn could_answer(
        &self,
        order: &Order,
        sent: Timestamp,
        facts: &Facts,
    ) -> bool {
        let (close_sent, skew) = self.account.to_close_clock(sent);
        let in_time = facts
            .created_at
            .is_none_or(|created| created >= close_sent.minus(skew));
        in_time && order.matches(facts)
    }
}
