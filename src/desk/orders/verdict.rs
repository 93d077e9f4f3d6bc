//! What a look at Close means for the orders in doubt of one country. Pure: it is given what was seen, and decides.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::close::Creation;
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

/// Who rented a number, going by Close's event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::desk) enum Origin {
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
    /// there is one, it is known that Close writes keys down. A key of another user may be one that the desk had before
    /// it was replaced, so it is somebody else's only where no key, or another call, was at work.
    pub(in crate::desk) fn of(creation: Option<&Creation>, user: &UserId, keys: &BTreeSet<String>) -> Self {
        let Some(creation) = creation else {
            return Self::Unsaid;
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

/// A number that no order accounts for and that fits the orders.
#[derive(Debug, Clone)]
pub(in crate::desk) struct Candidate {
    pub(in crate::desk) id: PhoneNumberId,
    pub(in crate::desk) origin: Origin,
    /// When the desk first saw it.
    pub(in crate::desk) seen_at: Timestamp,
}

/// What is to become of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::desk) enum Verdict {
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
pub(in crate::desk) fn judge(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::matches::sample::order;
    use serde_json::json;

    const LOOK: Timestamp = Timestamp::from_seconds(1_000);
    const SETTLE: Duration = Duration::from_mins(5);

    fn origin(user: Option<&str>, key: Option<&str>, renting: Option<bool>, keys: &[&str]) -> Origin {
        let creation = Creation {
            at: LOOK,
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
            // Close writes keys down, and this is ours, whoever it belonged to.
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
            // Nothing of ours was seen yet.
            (origin(desk, Some("k1"), yes, &[]), Origin::Desk),
            (origin(other, Some("k1"), yes, &[]), Origin::Unclear),
            (origin(desk, None, yes, &[]), Origin::Unclear),
            (origin(None, None, None, &[]), Origin::Unclear),
        ];
        for (place, (read, expected)) in table.into_iter().enumerate() {
            assert_eq!(read, expected, "row {place}");
        }
        let user = "user_desk".parse().unwrap();
        assert_eq!(Origin::of(None, &user, &BTreeSet::new()), Origin::Unsaid);
    }

    /// Verdicts in letters: a number by its own, `0` nothing yet, `x` nothing believed, `?` open, `!` review. `absent`
    /// says for each order for how many seconds nothing was shown; a candidate is a letter, where it comes from, and for
    /// how long it has been seen.
    fn verdicts(absent: &[Option<u64>], candidates: &[(&str, Origin, u64)]) -> String {
        let ago = |seconds: &u64| LOOK.minus(Duration::from_secs(*seconds));
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
        judge(&orders, &candidates, LOOK, SETTLE)
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Found(id) => id.as_str().trim_start_matches("phon_").to_owned(),
                Verdict::Nothing { believed: false } => "0".to_owned(),
                Verdict::Nothing { believed: true } => "x".to_owned(),
                Verdict::Open => "?".to_owned(),
                Verdict::Review(_) => "!".to_owned(),
            })
            .collect()
    }

    #[test]
    fn every_order_gets_a_verdict_that_follows_from_what_was_seen() {
        use Origin::{Desk, Unclear, Unsaid};
        let one = [None];
        assert_eq!(verdicts(&one, &[("A", Desk, 0)]), "A");
        assert_eq!(
            verdicts(&[None, Some(900)], &[("A", Desk, 0)]),
            "Ax",
            "who waited long enough has nothing"
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
            verdicts(&[Some(900)], &[("A", Unsaid, 299)]),
            "?",
            "the log may come later"
        );
        assert_eq!(verdicts(&one, &[("A", Unsaid, 300)]), "A");
        assert_eq!(verdicts(&[None, Some(900)], &[("A", Unsaid, 300)]), "A?");
        assert_eq!(verdicts(&one, &[("A", Unsaid, 300), ("B", Unsaid, 300)]), "!");
        assert_eq!(verdicts(&one, &[("A", Unclear, 299)]), "?");
        assert_eq!(verdicts(&one, &[("A", Unclear, 300)]), "!");
        assert_eq!(
            verdicts(&[None, None], &[("A", Unsaid, 300), ("B", Unclear, 300)]),
            "!!"
        );
        assert_eq!(
            verdicts(&[None, None], &[("A", Desk, 0), ("B", Unsaid, 10)]),
            "A?"
        );
    }
}
