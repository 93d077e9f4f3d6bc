//! What a look at Close means for the orders in doubt of one country. Pure: it is given what was seen, and decides.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::close::Creation;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

/// Who rented a number, going by Close's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The desk's own key, by the call that rents.
    Desk,
    /// Somebody else, for certain.
    Other,
    /// The log has an event that can be read either way.
    Unclear,
    /// The log has no event.
    Unsaid,
}

impl Origin {
    /// Reads an event. `user` is the one of the desk's key; `keys` are ids of keys that certainly were the desk's: once
    /// there is one, it is known that Close writes keys down.
    pub(super) fn of(creation: Option<&Creation>, user: &UserId, keys: &BTreeSet<String>) -> Self {
        let Some(creation) = creation else {
            return Self::Unsaid;
        };
        if creation.user.as_ref().is_some_and(|other| other != user) {
            return Self::Other;
        }
        match (&creation.api_key, creation.by_renting) {
            (Some(key), Some(true)) if keys.is_empty() || keys.contains(key) => Self::Desk,
            (Some(key), None) if keys.contains(key) => Self::Desk,
            (None, _) | (Some(_), Some(false)) if !keys.is_empty() => Self::Other,
            _ => Self::Unclear,
        }
    }
}

/// A number that nobody accounts for and that fits the orders.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) id: PhoneNumberId,
    pub(super) origin: Origin,
    /// When the desk first saw it.
    pub(super) seen_at: Timestamp,
}

/// What is to become of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The number is the order's.
    Found(PhoneNumberId),
    /// Close shows nothing that fits: to be noted, or believed once that has been so for long enough.
    Nothing { believed: bool },
    /// Close shows something of which more may be known later.
    Open,
    /// It can't be decided here.
    Review(Vec<PhoneNumberId>),
}

/// Decides for interchangeable orders, oldest first, by one look that began at `look` after all their calls had ended.
/// The verdicts are in the order of the orders.
pub(super) fn judge(
    orders: &[Order],
    candidates: &[Candidate],
    look: Timestamp,
    settle_after: Duration,
) -> Vec<Verdict> {
    let of = |wanted: Origin| candidates.iter().filter(move |one| one.origin == wanted);
    let all = |origins: &[Origin]| -> Vec<PhoneNumberId> {
        let ours = candidates.iter().filter(|one| origins.contains(&one.origin));
        ours.map(|one| one.id.clone()).collect()
    };
    let certain = all(&[Origin::Desk]);
    if certain.len() > orders.len() {
        // Somebody rents with the desk's key beside the desk.
        return vec![Verdict::Review(certain); orders.len()];
    }
    let mut verdicts: Vec<Verdict> = certain.into_iter().map(Verdict::Found).collect();
    let rest = &orders[verdicts.len()..];
    let doubtful: Vec<&Candidate> = of(Origin::Unsaid).chain(of(Origin::Unclear)).collect();
    if rest.is_empty() {
        return verdicts;
    }
    if doubtful.is_empty() {
        verdicts.extend(rest.iter().map(|order| {
            Verdict::Nothing {
                believed: order
                    .absent_since
                    .is_some_and(|since| since.plus(settle_after) <= look),
            }
        }));
        return verdicts;
    }
    // The event log may come later than the listing.
    if doubtful.iter().any(|one| one.seen_at.plus(settle_after) > look) {
        verdicts.extend(rest.iter().map(|_| Verdict::Open));
        return verdicts;
    }
    let unsaid = all(&[Origin::Unsaid]);
    if unsaid.len() == doubtful.len() && unsaid.len() <= rest.len() {
        let left = rest.len() - unsaid.len();
        verdicts.extend(unsaid.into_iter().map(Verdict::Found));
        // What the others rest on starts anew once these are gone from the candidates.
        verdicts.extend(std::iter::repeat_n(Verdict::Open, left));
        return verdicts;
    }
    verdicts.extend(
        rest.iter()
            .map(|_| Verdict::Review(all(&[Origin::Unsaid, Origin::Unclear]))),
    );
    verdicts
}
