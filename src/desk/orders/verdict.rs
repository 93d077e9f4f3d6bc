//! Decides about the unverified orders of one country by the evidence from Close. A pure function: it calls nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::close::Creation;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

/// Who rented a number, according to Close's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::desk::orders) enum Origin {
    /// The desk's own key, by the call that rents.
    Desk,
    /// Certainly not the desk.
    Other,
    /// The log has an event that does not settle it.
    Unclear,
    /// The log has no event.
    Unlogged,
}

impl Origin {
    /// Interprets an event. `user` is the user of the desk's key; `keys` are ids of keys that certainly were the desk's.
    ///
    /// Once `keys` has an entry, Close is known to log keys. A key of another user may be an earlier key of the desk, so
    /// the number is somebody else's only if no key, or another call than renting, made it.
    pub(in crate::desk::orders) fn of(
        creation: Option<&Creation>,
        user: &UserId,
        keys: &BTreeSet<String>,
    ) -> Self {
        let Some(creation) = creation else {
            return Self::Unlogged;
        };
        let others = creation.user.as_ref().is_some_and(|made_by| made_by != user);
        match (&creation.api_key, creation.by_renting) {
            (Some(key), None | Some(true)) if keys.contains(key) => Self::Desk,
            (Some(_), Some(true)) if keys.is_empty() && !others => Self::Desk,
            (None, _) | (Some(_), Some(false)) if others || !keys.is_empty() => Self::Other,
            _ => Self::Unclear,
        }
    }
}

/// A number that no order accounts for and that matches the orders.
#[derive(Debug, Clone)]
pub(in crate::desk::orders) struct Candidate {
    pub(in crate::desk::orders) id: PhoneNumberId,
    pub(in crate::desk::orders) origin: Origin,
    /// When the desk first saw it.
    pub(in crate::desk::orders) seen_at: Timestamp,
}

/// The decision about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::desk::orders) enum Verdict {
    /// The number is the order's.
    Found(PhoneNumberId),
    /// Close shows no number that matches. Confirmed once that has been so for long enough.
    Absent { confirmed: bool },
    /// Later evidence may decide.
    Undecided,
    /// Only a person can decide between these candidates.
    Review(Vec<PhoneNumberId>),
}

/// Decides about interchangeable orders, oldest first. The verdicts are in the order of the orders.
///
/// The evidence was collected from the time `as_of` on, after the calls of all these orders had ended.
pub(in crate::desk::orders) fn decide_all(
    orders: &[Order],
    candidates: &[Candidate],
    as_of: Timestamp,
    settle_after: Duration,
) -> Vec<Verdict> {
    let of = |wanted: Origin| candidates.iter().filter(move |one| one.origin == wanted);
    let all = |origins: &[Origin]| -> Vec<PhoneNumberId> {
        let ours = candidates.iter().filter(|one| origins.contains(&one.origin));
        ours.map(|one| one.id.clone()).collect()
    };
    let certain = all(&[Origin::Desk]);
    if certain.len() > orders.len() {
        // Someone else rents with the desk's key.
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
    // The event log may come later than the listing.
    if uncertain.iter().any(|one| one.seen_at.plus(settle_after) > as_of) {
        verdicts.extend(rest.iter().map(|_| Verdict::Undecided));
        return verdicts;
    }
    let unlogged = all(&[Origin::Unlogged]);
    if unlogged.len() == uncertain.len() && unlogged.len() <= rest.len() {
        let left = rest.len() - unlogged.len();
        verdicts.extend(unlogged.into_iter().map(Verdict::Found));
        // The other orders wait for evidence that no longer contains these candidates.
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
    fn an_event_says_whose_a_number_is_as_far_as_close_writes_it_down() {
        let (desk, other) = (Some("user_desk"), Some("user_other"));
        let (yes, no) = (Some(true), Some(false));
        let table = [
            // Close logs keys, and this one is ours, whichever user it belongs to.
            (origin(desk, Some("k1"), yes, &["k1"]), Origin::Desk),
            (origin(other, Some("k1"), yes, &["k1"]), Origin::Desk),
            (origin(None, Some("k1"), None, &["k1"]), Origin::Desk),
            (origin(desk, Some("k1"), no, &["k1"]), Origin::Other),
            // A person.
            (origin(desk, None, yes, &["k1"]), Origin::Other),
            (origin(other, None, None, &[]), Origin::Other),
            // Another key: the desk's next one or last one, or an app's.
            (origin(desk, Some("k2"), yes, &["k1"]), Origin::Unclear),
            (origin(other, Some("k2"), yes, &["k1"]), Origin::Unclear),
            (origin(other, Some("k2"), no, &["k1"]), Origin::Other),
            // No key of ours was seen yet.
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

    /// Verdicts as letters: a number's own letter if it was found, `0` absent, `x` confirmed absent, `?` undecided, `!`
    /// review.
    ///
    /// `absent` has for each order the seconds since Close first showed nothing. A candidate is a letter, its origin, and
    /// the seconds since it was first seen.
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
                seen_at: ago(seen),
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
    fn every_order_gets_a_verdict_that_follows_from_what_was_seen() {
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
            "the key is used beside the desk"
        );
        assert_eq!(
            verdicts(&one, &[("A", Desk, 0), ("B", Unclear, 900)]),
            "A",
            "what is certain goes first"
        );

        assert_eq!(verdicts(&one, &[]), "0");
        assert_eq!(verdicts(&[Some(299)], &[]), "0");
        assert_eq!(verdicts(&[Some(300)], &[]), "x");

        assert_eq!(
            verdicts(&[Some(900)], &[("A", Unlogged, 299)]),
            "?",
            "the log may come later"
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
