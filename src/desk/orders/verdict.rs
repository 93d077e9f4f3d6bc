//! Decides about the unverified orders of one country by the evidence from Close. Pure, without I/O.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::close::Creation;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

/// Who rented a number, according to Close's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::desk::orders) enum Origin {
    /// The service's own API key, by the call that rents.
    Desk,
    /// Certainly not the service.
    Other,
    /// The log has an event that does not prove either.
    Unclear,
    /// The log has no event.
    Unlogged,
}

impl Origin {
    /// Interprets an event of Close's log.
    ///
    /// `user` is the user of the service's API key. `keys` are ids of API keys that certainly belonged to the service;
    /// once it has an entry, Close is known to log keys. An unknown key may be one of the service all
    /// the same, used by another replica. So a number counts as [`Origin::Other`] only if no key created it, or a call other than the one that rents.
    pub(in crate::desk::orders) fn of(
        creation: Option<&Creation>,
        user: &UserId,
        keys: &BTreeSet<String>,
    ) -> Self {
        let Some(creation) = creation else {
            return Self::Unlogged;
        };
        let other_user = creation.user.as_ref().is_some_and(|made_by| made_by != user);
        match (&creation.api_key, creation.by_renting) {
            (Some(key), None | Some(true)) if keys.contains(key) => Self::Desk,
            (Some(_), Some(true)) if keys.is_empty() && !other_user => Self::Desk,
            (None, _) | (Some(_), Some(false)) if other_user || !keys.is_empty() => Self::Other,
            _ => Self::Unclear,
        }
    }
}

/// A number that no order accounts for and that matches the orders.
#[derive(Debug, Clone)]
pub(in crate::desk::orders) struct Candidate {
    pub(in crate::desk::orders) id: PhoneNumberId,
    pub(in crate::desk::orders) origin: Origin,
    /// Whether it is so new that the event log may still lack it.
    pub(in crate::desk::orders) recent: bool,
    /// Whether a team has adopted it.
    pub(in crate::desk::orders) adopted: bool,
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
    /// Only a person can decide between these candidates.
    Review(Vec<PhoneNumberId>),
}

/// Decides about interchangeable orders, oldest first. The verdicts are in the order of the orders.
///
/// The collection of the evidence began at `as_of` by Close's clock, after the calls of all these orders had ended.
pub(in crate::desk::orders) fn decide_all(
    orders: &[Order],
    candidates: &[Candidate],
    as_of: Timestamp,
    settle_after: Duration,
) -> Vec<Verdict> {
    let of = |wanted: Origin| candidates.iter().filter(move |one| one.origin == wanted);
    let all = |origins: &[Origin]| -> Vec<PhoneNumberId> {
        let matching = candidates.iter().filter(|one| origins.contains(&one.origin));
        matching.map(|one| one.id.clone()).collect()
    };
    let certain = all(&[Origin::Desk]);
    if certain.len() > orders.len() {
        // Somebody else rents with the service's API key.
        return vec![Verdict::Review(certain); orders.len()];
    }
    let mut verdicts: Vec<Verdict> = certain.into_iter().map(Verdict::Found).collect();
    let rest = &orders[verdicts.len()..];
    let uncertain: Vec<&Candidate> = of(Origin::Unlogged).chain(of(Origin::Unclear)).collect();
    if rest.is_empty() {
        return verdicts;
    }
    if uncertain.is_empty() {
        verdicts.extend(rest.iter().map(|order| {
            Verdict::Absent {
                confirmed: order
                    .absent_since
                    .is_some_and(|since| since.plus(settle_after) <= as_of),
            }
        }));
        return verdicts;
    }
    // The event log may lag behind the listing.
    if uncertain.iter().any(|one| one.recent) {
        verdicts.extend(rest.iter().map(|_| Verdict::Undecided));
        return verdicts;
    }
    let unlogged = all(&[Origin::Unlogged]);
    if unlogged.len() == uncertain.len() && unlogged.len() <= rest.len() {
        let left = rest.len() - unlogged.len();
        verdicts.extend(unlogged.into_iter().map(Verdict::Found));
        // The other orders wait for later evidence, without these candidates.
        verdicts.extend(std::iter::repeat_n(Verdict::Undecided, left));
        return verdicts;
    }
    verdicts.extend(
        rest.iter()
            .map(|_| Verdict::Review(all(&[Origin::Unlogged, Origin::Unclear]))),
    );
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::matches::sample::order;
    use serde_json::json;

    const AS_OF: Timestamp = Timestamp::from_seconds(1_000);
    const SETTLE: Duration = Duration::from_mins(5);

    fn origin(user: Option<&str>, key: Option<&str>, renting: Option<bool>, keys: &[&str]) -> Origin {
        let creation = Creation {
            at: AS_OF,
            user: user.map(|user| user.parse().unwrap()),
            api_key: key.map(str::to_owned),
            by_renting: renting,
            facts: None,
        };
        let keys = keys.iter().map(ToString::to_string).collect();
        Origin::of(Some(&creation), &"user_desk".parse().unwrap(), &keys)
    }

    #[test]
    fn an_event_names_the_renter_of_a_number_as_far_as_close_logs_it() {
        let (desk, other) = (Some("user_desk"), Some("user_other"));
        let (yes, no) = (Some(true), Some(false));
        let table = [
            // Close logs keys, and this key belongs to the service, whichever user owns it.
            (origin(desk, Some("k1"), yes, &["k1"]), Origin::Desk),
            (origin(other, Some("k1"), yes, &["k1"]), Origin::Desk),
            (origin(None, Some("k1"), None, &["k1"]), Origin::Desk),
            (origin(desk, Some("k1"), no, &["k1"]), Origin::Other),
            // No key, so a person created the number.
            (origin(desk, None, yes, &["k1"]), Origin::Other),
            (origin(other, None, None, &[]), Origin::Other),
            // Another key: one that only another replica has used so far, or the key of an app.
            (origin(desk, Some("k2"), yes, &["k1"]), Origin::Unclear),
            (origin(other, Some("k2"), yes, &["k1"]), Origin::Unclear),
            (origin(other, Some("k2"), no, &["k1"]), Origin::Other),
            // No key of the service is known yet.
            (origin(desk, Some("k1"), yes, &[]), Origin::Desk),
            (origin(other, Some("k1"), yes, &[]), Origin::Unclear),
            (origin(desk, None, yes, &[]), Origin::Unclear),
            (origin(None, None, None, &[]), Origin::Unclear),
        ];
        for (row, (read, expected)) in table.into_iter().enumerate() {
            assert_eq!(read, expected, "row {row}");
        }
        let user = "user_desk".parse().unwrap();
        assert_eq!(Origin::of(None, &user, &BTreeSet::new()), Origin::Unlogged);
    }

    /// Returns the verdicts as letters, one per order.
    ///
    /// A found number is its own letter; `0` is absent, `x` confirmed absent, `?` undecided, and `!` review. `absent`
    /// has for each order the seconds since Close first showed nothing. A candidate is a letter, its origin, and the
    /// seconds since it was first seen.
    fn verdicts(absent: &[Option<u64>], candidates: &[(&str, Origin, u64)]) -> String {
        let ago = |seconds: &u64| AS_OF.minus(Duration::from_secs(*seconds));
        let orders: Vec<Order> = absent
            .iter()
            .map(|absent| Order {
                absent_since: absent.as_ref().map(ago),
                ..order(json!({"country": "DE"}))
            })
            .collect();
        let candidates: Vec<Candidate> = candidates
            .iter()
            .map(|(id, origin, seen)| Candidate {
                id: format!("phon_{id}").parse().unwrap(),
                origin: *origin,
                recent: Duration::from_secs(*seen) < SETTLE,
                adopted: false,
            })
            .collect();
        decide_all(&orders, &candidates, AS_OF, SETTLE)
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Found(id) => id.as_str().trim_start_matches("phon_").to_owned(),
                Verdict::Absent { confirmed: false } => "0".to_owned(),
                Verdict::Absent { confirmed: true } => "x".to_owned(),
                Verdict::Undecided => "?".to_owned(),
                Verdict::Review(_) => "!".to_owned(),
            })
            .collect()
    }

    #[test]
    fn every_order_gets_the_verdict_that_the_evidence_implies() {
        use Origin::{Desk, Unclear, Unlogged};
        let one = [None];
        assert_eq!(verdicts(&one, &[("A", Desk, 0)]), "A");
        assert_eq!(
            verdicts(&[None, Some(900)], &[("A", Desk, 0)]),
            "Ax",
            "an order that waited long enough gets nothing"
        );
        assert_eq!(verdicts(&[None, None], &[("A", Desk, 0), ("B", Desk, 0)]), "AB");
        assert_eq!(
            verdicts(&one, &[("A", Desk, 0), ("B", Desk, 0)]),
            "!",
            "somebody else uses the key too"
        );
        assert_eq!(
            verdicts(&one, &[("A", Desk, 0), ("B", Unclear, 900)]),
            "A",
            "a certain candidate comes first"
        );

        assert_eq!(verdicts(&one, &[]), "0");
        assert_eq!(verdicts(&[Some(299)], &[]), "0");
        assert_eq!(verdicts(&[Some(300)], &[]), "x");

        assert_eq!(
            verdicts(&[Some(900)], &[("A", Unlogged, 299)]),
            "?",
            "the event log may lag"
        );
        assert_eq!(verdicts(&one, &[("A", Unlogged, 300)]), "A");
        assert_eq!(verdicts(&[None, Some(900)], &[("A", Unlogged, 300)]), "A?");
        assert_eq!(verdicts(&one, &[("A", Unlogged, 300), ("B", Unlogged, 300)]), "!");
        assert_eq!(verdicts(&one, &[("A", Unclear, 299)]), "?");
        assert_eq!(verdicts(&one, &[("A", Unclear, 300)]), "!");
        assert_eq!(
            verdicts(&[None, None], &[("A", Unlogged, 300), ("B", Unclear, 300)]),
            "!!"
        );
        assert_eq!(
            verdicts(&[None, None], &[("A", Desk, 0), ("B", Unlogged, 10)]),
            "A?"
        );
    }
}
