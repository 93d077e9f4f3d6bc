//! Tests of the verdicts about orders whose outcome is unknown.

use super::*;
use crate::domain::order::matches::sample::order;
use serde_json::json;

const AS_OF: Timestamp = Timestamp::from_seconds(1_000);
const SETTLE: Duration = Duration::from_mins(5);

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
