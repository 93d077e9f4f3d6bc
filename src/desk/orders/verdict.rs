//! Decides about the unverified orders of one lane by the evidence from Close. Pure, without I/O.
//!
//! A number that several orders could have rented decides nothing, unless the others have their numbers for certain.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::desk::orders::origin::Origin;
use crate::domain::id::PhoneNumberId;
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

/// A number that no order accounts for and that matches an order.
#[derive(Debug, Clone)]
pub(in crate::desk::orders) struct Candidate {
    pub(in crate::desk::orders) id: PhoneNumberId,
    pub(in crate::desk::orders) origin: Origin,
    /// Whether it is so new that the event log may still lack it.
    pub(in crate::desk::orders) recent: bool,
    /// Whether a team has adopted it.
    pub(in crate::desk::orders) adopted: bool,
    /// Which groups of interchangeable orders it matches, by index.
    pub(in crate::desk::orders) groups: BTreeSet<usize>,
    /// Another order that it may belong to, besides those of the groups.
    pub(in crate::desk::orders) rival: Option<Rival>,
}

/// A record of Close that can't be read, and that may be a number for the orders.
#[derive(Debug, Clone)]
pub(in crate::desk::orders) struct Obscuring {
    pub(in crate::desk::orders) name: String,
    /// When the service first saw the record, by Close's clock.
    pub(in crate::desk::orders) seen_at: Timestamp,
}

/// An order outside the groups that a candidate may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::desk::orders) enum Rival {
    /// A person decides about it.
    InReview,
    /// Its call is in progress, or ended during the look.
    InProgress,
}

/// What limits the evidence of one look at Close.
#[derive(Debug)]
pub(in crate::desk::orders) struct Look {
    /// When the collection of the evidence began by Close's clock, after the calls of all these orders had ended.
    pub(in crate::desk::orders) as_of: Timestamp,
    /// How long Close may take to show a rented number everywhere.
    pub(in crate::desk::orders) settle_after: Duration,
    /// The records that may be the number of an order, for each group.
    pub(in crate::desk::orders) obscuring: Vec<Vec<Obscuring>>,
    /// Whether Close did not show its event log, but may do so later.
    pub(in crate::desk::orders) log_missing: bool,
}

impl Look {
    /// Whether what was seen first at that time may still be incomplete.
    fn is_recent(&self, seen_at: Timestamp) -> bool {
        seen_at.plus(self.settle_after) > self.as_of
    }

    /// Whether the order should wait for the event log: twice the settling period, and no longer.
    fn waits_for_log(&self, order: &Order) -> bool {
        let sent = order
            .close_sent_after
            .or(order.sent_at)
            .unwrap_or(order.created_at);
        self.log_missing && sent.plus(self.settle_after.saturating_mul(2)) > self.as_of
    }
}

/// The decision about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::desk::orders) enum Verdict {
    /// The number belongs to the order.
    Found(PhoneNumberId),
    /// Close shows no matching number. Confirmed when this has lasted for `settle_after`.
    Absent { confirmed: bool },
    /// Later evidence may decide.
    Undecided,
    /// A number may belong to a call in progress, so the look proves nothing.
    Contested,
    /// Only a person can decide between these candidates and records that can't be read.
    Review(Vec<String>),
}

/// Decides about groups of interchangeable orders, each oldest first. The verdicts have the same places as the orders.
pub(in crate::desk::orders) fn decide_all(
    groups: &[Vec<Order>],
    candidates: &[Candidate],
    look: &Look,
) -> Vec<Vec<Verdict>> {
    let mut candidates = candidates.to_vec();
    // A group with as many certain numbers of its own as orders needs no other number.
    let mut complete: BTreeSet<usize> = BTreeSet::new();
    while let Some(group) = groups.iter().enumerate().position(|(group, orders)| {
        let certain = candidates.iter().filter(|one| one.is_certain_of(group)).count();
        !complete.contains(&group) && certain == orders.len()
    }) {
        complete.insert(group);
        for one in candidates.iter_mut().filter(|one| !one.is_certain_of(group)) {
            one.groups.remove(&group);
        }
    }
    groups
        .iter()
        .enumerate()
        .map(|(group, orders)| decide_group(group, orders, &candidates, look))
        .collect()
}

impl Candidate {
    /// Whether no other order can have rented the number than those of this group.
    fn is_only_of(&self, group: usize) -> bool {
        self.rival.is_none() && self.groups.len() == 1 && self.groups.contains(&group)
    }

    fn is_certain_of(&self, group: usize) -> bool {
        self.origin == Origin::Desk && self.is_only_of(group)
    }
}

/// Decides about the interchangeable orders of one group.
fn decide_group(group: usize, orders: &[Order], candidates: &[Candidate], look: &Look) -> Vec<Verdict> {
    let ids = |some: &[&Candidate]| some.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    let select = |wanted: &dyn Fn(&Candidate) -> bool| -> Vec<&Candidate> {
        candidates
            .iter()
            .filter(|one| one.groups.contains(&group) && wanted(one))
            .collect()
    };
    let certain = ids(&select(&|one| one.is_certain_of(group)));
    if certain.len() > orders.len() {
        // Somebody else rents with the service's API key.
        return vec![Verdict::Review(names(&certain).collect()); orders.len()];
    }
    let mut verdicts: Vec<Verdict> = certain.into_iter().map(Verdict::Found).collect();
    let left = orders.len() - verdicts.len();
    let mut rest = |verdict: &dyn Fn(&Order) -> Verdict| {
        verdicts.extend(orders.iter().skip(orders.len() - left).map(verdict));
        std::mem::take(&mut verdicts)
    };
    if left == 0 {
        return rest(&|_| Verdict::Undecided);
    }
    if !select(&|one| one.rival == Some(Rival::InProgress)).is_empty() {
        return rest(&|_| Verdict::Contested);
    }
    let shared = select(&|one| !one.is_only_of(group));
    let unlogged = select(&|one| one.is_only_of(group) && one.origin == Origin::Unlogged);
    let unclear = select(&|one| one.is_only_of(group) && one.origin == Origin::Unclear);
    let uncertain: Vec<&Candidate> = unlogged.iter().chain(&unclear).chain(&shared).copied().collect();
    let odd = look.obscuring.get(group).map_or(&[][..], Vec::as_slice);
    if uncertain.is_empty() && odd.is_empty() {
        return rest(&|order| {
            let lasts = order.absent_since.is_some_and(|since| !look.is_recent(since));
            Verdict::Absent {
                confirmed: lasts && !look.waits_for_log(order),
            }
        });
    }
    // The event log may lag behind the listing, and an odd record may become readable.
    let mut undecided = orders.iter().skip(orders.len() - left);
    if uncertain.iter().any(|one| one.recent)
        || odd.iter().any(|one| look.is_recent(one.seen_at))
        || undecided.any(|order| look.waits_for_log(order))
    {
        return rest(&|_| Verdict::Undecided);
    }
    let possible = uncertain.len() + odd.len();
    if !unlogged.is_empty() && unlogged.len() == uncertain.len() && possible <= left {
        verdicts.extend(ids(&unlogged).into_iter().map(Verdict::Found));
        // The other orders wait for later evidence, without these candidates.
        verdicts.extend(std::iter::repeat_n(Verdict::Undecided, left - unlogged.len()));
        return verdicts;
    }
    let odd = odd.iter().map(|one| one.name.clone());
    let possible: Vec<String> = names(&ids(&uncertain)).chain(odd).collect();
    rest(&|_| Verdict::Review(possible.clone()))
}

fn names(ids: &[PhoneNumberId]) -> impl Iterator<Item = String> {
    ids.iter().map(|id| id.as_str().to_owned())
}

#[cfg(test)]
mod tests;
