//! Collects evidence from Close about orders whose outcome is unknown.
//!
//! The evidence is a complete listing of the numbers, and the event log, which shows who rented each number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::close::{Creation, Creations, Error as CloseError};
use crate::desk::account::UNMEASURED_SKEW;
use crate::desk::errors::{map_close_error, unavailable};
use crate::desk::orders::Orders;
use crate::desk::orders::origin::Origin;
use crate::desk::orders::verdict::{Candidate, Rival};
use crate::desk::own_keys::own_keys;
use crate::domain::country::Country;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::odd_record::OddRecord;
use crate::domain::order::{Order, State};
use crate::domain::phone::sharing_calling_code;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::{UnassignedNumber, UnsettledOrder};

/// How wrong our clock may have been when an order was sent, or when a number was first seen.
const WRONG_CLOCK: Duration = Duration::from_hours(24);

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
    /// When the listing began, by our clock.
    started: Timestamp,
    /// When the listing began, by Close's clock.
    pub(in crate::desk::orders) as_of: Timestamp,
    pub(in crate::desk::orders) origins: Origins,
    /// The records of the listing that can't be read.
    pub(in crate::desk::orders) odd: Vec<OddRecord>,
}

impl Orders {
    /// Lists the numbers in Close, and reads its event log back to `since`, by Close's clock.
    ///
    /// Incomplete evidence is an error, because it must not count as proof that Close has no such number.
    pub(in crate::desk::orders) async fn collect_evidence(
        &self,
        since: Timestamp,
    ) -> Result<CloseView, Error> {
        let began = self.core.clock.elapsed();
        let listing = self.account.listing().await?;
        let (started, owner) = (listing.started, &listing.owner);
        // Only now has Close certainly shown its clock.
        let took = self.core.clock.elapsed().saturating_sub(began);
        let as_of = self.account.close_now().0.minus(took);
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
            as_of,
            origins,
            odd: listing.odd,
        })
    }

    /// Reads the event log back to `since`, by Close's clock.
    ///
    /// If the API key may not read the event log, or Close does not show it, the result is empty. An error would let the
    /// orders wait forever.
    pub(in crate::desk::orders) async fn origins(
        &self,
        since: Timestamp,
        user: Option<UserId>,
    ) -> Result<Origins, Error> {
        let mut missing = false;
        let Creations {
            known: creations,
            odd,
        } = match self.core.close.creations(since).await {
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
        let keys = own_keys(&self.core, &creations).await?;
        self.account.note_odd(&odd).await?;
        let possible: Vec<_> = odd
            .into_iter()
            .filter(|record| record.created_at.is_none_or(|created| created >= since))
            .collect();
        let recent = self
            .unless_older(&possible, since, self.account.close_now().0)
            .await?;
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

    /// Numbers that no order accounts for, and that may have been rented for one of these orders.
    pub(in crate::desk::orders) async fn possible_answers(
        &self,
        orders: &[Order],
    ) -> Result<Vec<UnassignedNumber>, Error> {
        let Some(sent) = first_send(orders) else {
            return Ok(Vec::new());
        };
        // The store knows when we first saw a number. Close's clock decides in `could_answer`.
        let ours = orders.iter().filter_map(|order| order.sent_at).min();
        let since = ours.map_or(sent, |ours| ours.min(sent)).minus(WRONG_CLOCK);
        let countries: BTreeSet<Country> = orders.iter().map(|order| order.request.country).collect();
        let mut found = BTreeMap::new();
        for country in countries {
            for number in self.core.store.unassigned_numbers(country, since).await? {
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
                    let may_be_of = |open: &&UnsettledOrder| {
                        number.can_be_of_turn(open.turn) && could_answer(&open.order, number)
                    };
                    group.iter().any(may_be_of)
                };
                let matching = groups.iter().enumerate().filter(|(_, group)| fits(group));
                let groups: BTreeSet<usize> = matching.map(|(group, _)| group).collect();
                (!groups.is_empty()).then(|| Candidate {
                    id: facts.id.clone(),
                    origin,
                    recent: self.is_recent(number, view),
                    adopted: number.number.team.is_some(),
                    groups,
                    rival: rivals.iter().filter_map(|other| rival(other, number)).max(),
                })
            })
            .collect()
    }

    /// Whether the number is so new that the event log may still lack it.
    fn is_recent(&self, number: &UnassignedNumber, view: &CloseView) -> bool {
        let settle_after = self.core.settings.settle_after;
        // A first sight in the future was recorded by a wrong clock, and says nothing.
        let seen = number.seen_at;
        let seen_lately = seen <= view.started && seen.plus(settle_after) > view.started;
        let created = number.number.facts.created_at;
        seen_lately || created.is_some_and(|created| created.plus(settle_after) > view.as_of)
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
}

/// How the number may belong to this order, whose outcome the look does not decide.
fn rival(other: &UnsettledOrder, number: &UnassignedNumber) -> Option<Rival> {
    let order = &other.order;
    if !order.matches(&number.number.facts) || !number.can_be_of_turn(other.turn) {
        return None;
    }
    if order.state != State::NeedsReview {
        return Some(Rival::InProgress);
    }
    // Its call ended before it went to review. Close's clock may not have been known when it was sent.
    let reviewed = first_send(std::slice::from_ref(order))
        .zip(order.sent_at)
        .map(|(sent, ours)| sent.plus(UNMEASURED_SKEW * 2).plus(order.updated_at.since(ours)));
    let created = number.number.facts.created_at;
    let in_time = created
        .zip(reviewed)
        .is_none_or(|(created, reviewed)| created <= reviewed);
    (in_time && could_answer(order, number)).then_some(Rival::InReview)
}

/// Whether Close may have rented the number in response to the last call for this order, by Close's clock.
pub(in crate::desk::orders) fn could_answer(order: &Order, unassigned: &UnassignedNumber) -> bool {
    let facts = &unassigned.number.facts;
    let in_time = match facts.created_at {
        Some(created) => first_send(std::slice::from_ref(order)).is_some_and(|sent| created >= sent),
        None => first_call(order).is_some_and(|sent| unassigned.seen_at >= sent.minus(UNMEASURED_SKEW)),
    };
    in_time && order.matches(facts)
}

/// The earliest time by Close's clock at which a call for one of these orders can have rented a number.
///
/// A send of an earlier version has only our time.
pub(in crate::desk::orders) fn first_send(orders: &[Order]) -> Option<Timestamp> {
    let sent = |order: &Order| {
        order
            .close_sent_after
            .or_else(|| Some(first_call(order)?.minus(UNMEASURED_SKEW)))
    };
    orders.iter().filter_map(sent).min()
}

/// The earliest time by our clock at which a call for the order can have been made.
///
/// A restored database may have forgotten the call of an order that is in review since.
fn first_call(order: &Order) -> Option<Timestamp> {
    let forgotten = || (order.state == State::NeedsReview).then_some(order.created_at);
    order.sent_at.or_else(forgotten)
}
