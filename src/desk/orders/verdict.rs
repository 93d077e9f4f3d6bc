//! Decides about the unverified orders of one lane by the evidence from Close. Pure, without I/O.
//!
//! A number that several orders could have rented decides nothing, unless the others have their numbers for certain.

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
    /// `user` is the user of the service's API key, if known. `keys` are ids of API keys that certainly belonged to the
    /// service; once it has an entry, Close is known to log keys. An unknown key may be one of the service all the same,
    /// used by another replica. So a number counts as [`Origin::Other`] only if no key created it, or a call other than
    /// the one that rents.
    pub(in crate::desk::orders) fn of(
        creation: Option<&Creation>,
        user: Option<&UserId>,
        keys: &BTreeSet<String>,
    ) -> Self {
        let Some(creation) = creation else {
            return Self::Unlogged;
        };
        let made_by = creation.user.as_ref();
        let other_user = made_by.is_some_and(|made_by| user.is_some_and(|user| made_by != user));
        match (&creation.api_key, creation.by_renting) {
            (Some(key), None | Some(true)) if keys.contains(key) => Self::Desk,
            (Some(_), Some(true)) if keys.is_empty() && user.is_some() && !other_user => Self::Desk,
            (None, _) | (Some(_), Some(false)) if other_user || !keys.is_empty() => Self::Other,
            _ => Self::Unclear,
        }
    }
}

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
            organization: None,
        };
        let keys = keys.iter().map(ToString::to_string).collect();
        Origin::of(Some(&creation), Some(&"user_desk".parse().unwrap()), &keys)
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
        assert_eq!(Origin::of(None, Some(&user), &BTreeSet::new()), Origin::Unlogged);
    }

    /// Returns the verdicts as letters, one per order.
    ///
    /// A found number is its own letter; `0` is absent, `x` confirmed absent, `?` undecided, and `!` review. `absent`
    /// has for each order the seconds since Close first showed nothing. A candidate is a letter, its origin, and the
    /// seconds since it was first seen.
    fn verdicts(absent: &[Option<u64>], candidates: &[(&str, Origin, u64)]) -> String {
        verdicts_with(absent, candidates, &[], false)
    }

    /// Returns the verdicts beside odd records that were first seen that many seconds ago.
    ///
    /// The orders were sent 1,000 seconds ago.
    fn verdicts_with(
        absent: &[Option<u64>],
        candidates: &[(&str, Origin, u64)],
        odd: &[u64],
        log_missing: bool,
    ) -> String {
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
                groups: BTreeSet::from([0]),
                rival: None,
            })
            .collect();
        let obscuring: Vec<Obscuring> = odd
            .iter()
            .map(|seen| Obscuring {
                name: "odd".to_owned(),
                seen_at: ago(seen),
            })
            .collect();
        letters(&decide_all(
            &[orders],
            &candidates,
            &look(vec![obscuring], log_missing),
        ))
    }

    fn look(obscuring: Vec<Vec<Obscuring>>, log_missing: bool) -> Look {
        Look {
            as_of: AS_OF,
            settle_after: SETTLE,
            obscuring,
            log_missing,
        }
    }

    fn letters(verdicts: &[Vec<Verdict>]) -> String {
        verdicts
            .iter()
            .flatten()
            .map(|verdict| match verdict {
                Verdict::Found(id) => id.as_str().trim_start_matches("phon_"),
                Verdict::Absent { confirmed: false } => "0",
                Verdict::Absent { confirmed: true } => "x",
                Verdict::Undecided => "?",
                Verdict::Contested => "~",
                Verdict::Review(_) => "!",
            })
            .collect()
    }

    /// A candidate: a letter, its origin, the seconds since it was first seen, its groups, and its rival.
    type Sketch<'a> = (&'a str, Origin, u64, &'a [usize], Option<Rival>);

    /// The verdicts about two orders that overlap and are not interchangeable.
    fn of_two(candidates: &[Sketch<'_>]) -> String {
        let orders = ["30", "89"].map(|prefix| {
            vec![Order {
                absent_since: Some(AS_OF.minus(SETTLE)),
                ..order(json!({ "country": "DE", "prefix": prefix }))
            }]
        });
        let candidates: Vec<Candidate> = candidates
            .iter()
            .map(|(id, origin, seen, groups, rival)| Candidate {
                id: format!("phon_{id}").parse().unwrap(),
                origin: *origin,
                recent: Duration::from_secs(*seen) < SETTLE,
                adopted: false,
                groups: groups.iter().copied().collect(),
                rival: *rival,
            })
            .collect();
        letters(&decide_all(&orders, &candidates, &look(Vec::new(), false)))
    }

    #[test]
    fn a_number_of_several_orders_decides_nothing_until_the_others_have_theirs() {
        use Origin::{Desk, Unclear, Unlogged};
        let both: &[usize] = &[0, 1];
        assert_eq!(of_two(&[]), "xx");
        assert_eq!(of_two(&[("A", Desk, 0, &[0], None)]), "Ax");
        assert_eq!(of_two(&[("A", Desk, 0, both, None)]), "??", "it is too early");
        assert_eq!(of_two(&[("A", Desk, 300, both, None)]), "!!");
        assert_eq!(
            of_two(&[("A", Desk, 0, both, None), ("B", Desk, 0, &[1], None)]),
            "AB",
            "the second order has its own number, so the other number is of the first"
        );
        assert_eq!(
            of_two(&[("A", Desk, 300, both, None), ("B", Desk, 300, both, None)]),
            "!!",
            "which number is of which order?"
        );
        assert_eq!(
            of_two(&[("A", Unlogged, 300, both, None), ("B", Desk, 0, &[1], None)]),
            "AB"
        );
        assert_eq!(
            of_two(&[("A", Desk, 0, both, None), ("B", Unlogged, 0, &[1], None)]),
            "??"
        );
        assert_eq!(of_two(&[("A", Unclear, 300, &[0], None)]), "!x");
    }

    #[test]
    fn a_number_that_may_belong_to_a_call_in_progress_proves_neither_result() {
        use Origin::{Desk, Unlogged};
        let call = Some(Rival::InProgress);
        assert_eq!(of_two(&[("A", Desk, 900, &[0], call)]), "~x");
        assert_eq!(of_two(&[("A", Unlogged, 900, &[0, 1], call)]), "~~");
        assert_eq!(
            of_two(&[("A", Desk, 0, &[0], call), ("B", Desk, 0, &[0], None)]),
            "Bx",
            "the order has a number that nobody else can have rented"
        );
        let review = Some(Rival::InReview);
        assert_eq!(of_two(&[("A", Desk, 0, &[0], review)]), "?x");
        assert_eq!(of_two(&[("A", Desk, 300, &[0], review)]), "!x");
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

    #[test]
    fn an_odd_record_leaves_absence_unproved_and_goes_to_a_person_after_the_settling_period() {
        use Origin::{Desk, Unlogged};
        let absent = [Some(900)];
        assert_eq!(verdicts_with(&absent, &[], &[299], false), "?");
        assert_eq!(verdicts_with(&absent, &[], &[300], false), "!");
        assert_eq!(
            verdicts_with(&absent, &[("A", Desk, 0)], &[0], false),
            "A",
            "a certain candidate is no less certain"
        );
        assert_eq!(
            verdicts_with(&absent, &[("A", Unlogged, 300)], &[300], false),
            "!"
        );
        assert_eq!(
            verdicts_with(&[None, None], &[("A", Unlogged, 300)], &[300], false),
            "A?"
        );
    }

    #[test]
    fn without_the_event_log_the_listing_decides_later() {
        let mut order = order(json!({"country": "DE"}));
        for (sent, confirmed) in [(599, false), (600, true)] {
            order.sent_at = Some(AS_OF.minus(Duration::from_secs(sent)));
            order.absent_since = order.sent_at;
            let look = look(Vec::new(), true);
            let one = [vec![order.clone()]];
            assert_eq!(decide_all(&one, &[], &look), [[Verdict::Absent { confirmed }]]);
            let candidate = Candidate {
                id: "phon_A".parse().unwrap(),
                origin: Origin::Unlogged,
                recent: false,
                adopted: false,
                groups: BTreeSet::from([0]),
                rival: None,
            };
            let expected = if confirmed {
                Verdict::Found("phon_A".parse().unwrap())
            } else {
                Verdict::Undecided
            };
            assert_eq!(decide_all(&one, &[candidate], &look), [[expected]]);
        }
    }
}
