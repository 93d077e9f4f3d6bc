//! Collects evidence from Close about orders whose outcome is unknown.
//!
//! The evidence is a complete listing of the numbers, and the event log, which shows who rented each number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::close::{Creation, Error as CloseError};
use crate::desk::account::{Listing, UNMEASURED_SKEW};
use crate::desk::errors::{map_close_error, unavailable};
use crate::desk::orders::Orders;
use crate::desk::orders::verdict::{Candidate, Origin};
use crate::desk::own_keys::own_keys;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;
use crate::error::Error;
use crate::store::UnassignedNumber;

/// How wrong our clock may have been when an order was sent, or when a number was first seen.
const WRONG_CLOCK: Duration = Duration::from_hours(24);

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
    /// When the listing began, by our clock.
    started: Timestamp,
    /// When the listing began, by Close's clock.
    pub(in crate::desk::orders) as_of: Timestamp,
    pub(in crate::desk::orders) origins: Origins,
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
        let Listing { started, owner, ids } = self.account.listing().await?;
        // Only now has Close certainly shown its clock.
        let took = self.core.clock.elapsed().saturating_sub(began);
        let as_of = self.account.close_now().0.minus(took);
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
        Ok(CloseView {
            started,
            as_of,
            origins,
        })
    }

    /// Reads the event log back to `since`, by Close's clock.
    ///
    /// If the API key may not read the event log, the result is empty. An error would let the orders wait forever.
    pub(in crate::desk::orders) async fn origins(
        &self,
        since: Timestamp,
        user: UserId,
    ) -> Result<Origins, Error> {
        let creations = match self.core.close.creations(since).await {
            Err(failure @ CloseError::Refused { .. }) => {
                tracing::warn!(
                    error = %failure,
                    "event log of Close refused to this API key; the origin of numbers stays unknown"
                );
                BTreeMap::new()
            }
            other => other.map_err(map_close_error)?,
        };
        let keys = own_keys(&self.core, &creations).await?;
        Ok(Origins {
            creations,
            user,
            keys,
        })
    }

    /// Numbers that no order accounts for and that match these interchangeable orders.
    pub(in crate::desk::orders) async fn candidates(
        &self,
        orders: &[Order],
        view: &CloseView,
    ) -> Result<Vec<Candidate>, Error> {
        let settle_after = self.core.settings.settle_after;
        Ok(self
            .possible_answers(orders)
            .await?
            .into_iter()
            .filter(|unassigned| orders.iter().any(|order| self.could_answer(order, unassigned)))
            .filter_map(|unassigned| {
                let facts = &unassigned.number.facts;
                let origin = view.origins.of(&facts.id);
                // A first sight in the future was recorded by a wrong clock, and says nothing.
                let seen = unassigned.seen_at;
                let seen_lately = seen <= view.started && seen.plus(settle_after) > view.started;
                let rented_lately = facts
                    .created_at
                    .is_some_and(|created| created.plus(settle_after) > view.as_of);
                // A team keeps a number that it adopted, unless the number was certainly rented for an order.
                let open = unassigned.number.team.is_none() && origin != Origin::Other;
                (open || origin == Origin::Desk).then(|| Candidate {
                    origin,
                    recent: seen_lately || rented_lately,
                    adopted: unassigned.number.team.is_some(),
                    id: unassigned.number.facts.id,
                })
            })
            .collect())
    }

    /// Numbers of the orders' country that no order accounts for, and that may have been rented since the first send.
    pub(in crate::desk::orders) async fn possible_answers(
        &self,
        orders: &[Order],
    ) -> Result<Vec<UnassignedNumber>, Error> {
        let (Some(first), Some(sent)) = (orders.first(), first_send(orders)) else {
            return Ok(Vec::new());
        };
        // The store knows when we first saw a number. Close's clock decides in `could_answer`.
        let ours = orders.iter().filter_map(|order| order.sent_at).min();
        let since = ours.map_or(sent, |ours| ours.min(sent)).minus(WRONG_CLOCK);
        self.core
            .store
            .unassigned_numbers(first.request.country, since)
            .await
    }

    /// Whether Close may have rented the number in response to the last call for this order, by Close's clock.
    pub(in crate::desk::orders) fn could_answer(&self, order: &Order, unassigned: &UnassignedNumber) -> bool {
        let facts = &unassigned.number.facts;
        let in_time = match facts.created_at {
            Some(created) => first_send(std::slice::from_ref(order)).is_some_and(|sent| created >= sent),
            None => order
                .sent_at
                .is_some_and(|sent| unassigned.seen_at >= sent.minus(UNMEASURED_SKEW)),
        };
        in_time && order.matches(facts)
    }
}

/// The earliest time by Close's clock at which a call for one of these orders can have rented a number.
///
/// A send of an earlier version has only our time.
pub(in crate::desk::orders) fn first_send(orders: &[Order]) -> Option<Timestamp> {
    let sent = |order: &Order| {
        order
            .close_sent_after
            .or_else(|| Some(order.sent_at?.minus(UNMEASURED_SKEW)))
    };
    orders.iter().filter_map(sent).min()
}
