//! Which queued orders may be sent now, beside the orders whose outcome is open. Pure, without I/O.
//!
//! * Orders that do not overlap are independent.
//! * Interchangeable orders are sent side by side; other overlapping orders one after another.
//! * While one overlapping order is in doubt, the next ones are sent one at a time: a clear answer adds no doubt. While
//!   two are in doubt, the orders that overlap both wait.
//! * Teams take turns: the team that was sent least recently comes first. Within a team, the oldest order comes first.
//!   No order joins the calls in progress past an earlier one that waits for them.

use std::collections::BTreeMap;

use crate::domain::order::overlap::Footprint;
use crate::domain::team::Team;

/// What is happening to an order whose outcome is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The paid call is in progress.
    Sending,
    /// It is unknown whether Close rented a number.
    InDoubt {
        /// A look needs the calls in progress to end before it proves anything, so no overlapping call may begin.
        looking: bool,
    },
}

/// An order whose outcome is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The numbers that can be its result.
    pub footprint: Footprint,
    /// What is happening to it.
    pub progress: Progress,
}

/// What a queued order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Several orders are in doubt that overlap it.
    Doubts,
    /// A look for an order in doubt that overlaps it.
    Look,
    /// Calls in progress.
    Calls,
    /// Earlier orders that wait for calls in progress.
    Turn,
}

/// Sorts queued orders by turns. Within each team, `queued` is oldest first.
///
/// `turns` has for each team the turn in which it was sent last; a higher turn is later.
pub fn in_turn<T>(queued: Vec<T>, team: impl Fn(&T) -> &Team, turns: &BTreeMap<Team, i64>) -> Vec<T> {
    let mut rounds: BTreeMap<Team, usize> = BTreeMap::new();
    let mut sorted: Vec<(usize, i64, T)> = queued
        .into_iter()
        .map(|order| {
            let team = team(&order);
            let turn = turns.get(team).copied().unwrap_or_default();
            let round = rounds.entry(team.clone()).or_default();
            *round += 1;
            (*round, turn, order)
        })
        .collect();
    // The sort is stable: of teams that were never sent, the one with the oldest order comes first.
    sorted.sort_by_key(|(round, turn, _)| (*round, *turn));
    sorted.into_iter().map(|(_, _, order)| order).collect()
}

/// What keeps an order from being sent beside these open orders; `None` if nothing does.
pub fn blocked_by(order: &Footprint, open: &[Open]) -> Option<Wait> {
    let overlapping = || open.iter().filter(|other| other.footprint.overlaps(order));
    let in_doubt = |other: &&Open| matches!(other.progress, Progress::InDoubt { .. });
    let doubts = overlapping().filter(in_doubt).count();
    if doubts >= 2 {
        return Some(Wait::Doubts);
    }
    if overlapping().any(|other| other.progress == Progress::InDoubt { looking: true }) {
        return Some(Wait::Look);
    }
    let sending = || open.iter().filter(|other| other.progress == Progress::Sending);
    let conflicting = sending().any(|other| other.footprint.conflicts(order));
    // One at a time beside a doubt, so that a second unknown outcome ends the sending.
    let beside_doubt = overlapping()
        .filter(in_doubt)
        .any(|doubt| sending().any(|other| other.footprint.overlaps(&doubt.footprint)));
    (conflicting || beside_doubt).then_some(Wait::Calls)
}

/// Decides for each queued order whether it may be sent now; `None`: it may.
///
/// `queued` is in the order of turns. An order that may be sent counts as sent for those after it.
pub fn waits(queued: &[Footprint], open: &[Open]) -> Vec<Option<Wait>> {
    let mut open = open.to_vec();
    let mut waiting: Vec<&Footprint> = Vec::new();
    queued
        .iter()
        .map(|order| {
            let wait = blocked_by(order, &open).or_else(|| {
                let passes = waiting.iter().any(|earlier| earlier.conflicts(order));
                passes.then_some(Wait::Turn)
            });
            match wait {
                None => open.push(Open {
                    footprint: order.clone(),
                    progress: Progress::Sending,
                }),
                // Doubts last for minutes, so an order that waits for them keeps no other one back.
                Some(Wait::Calls | Wait::Turn) => {
                    if !waiting.iter().any(|earlier| earlier.is_interchangeable(order)) {
                        waiting.push(order);
                    }
                }
                Some(Wait::Doubts | Wait::Look) => {}
            }
            wait
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::order::Order;
    use crate::domain::order::matches::sample::order;

    const SENDING: Progress = Progress::Sending;
    const IN_DOUBT: Progress = Progress::InDoubt { looking: false };

    /// The footprint of an order of this team for a German number with this prefix.
    fn of(team: &str, prefix: &str) -> Footprint {
        let prefix = (!prefix.is_empty()).then_some(prefix);
        let order = order(json!({ "country": "DE", "prefix": prefix }));
        Footprint::of(&Order {
            team: team.parse().unwrap(),
            ..order
        })
    }

    fn open(orders: &[(&str, &str, Progress)]) -> Vec<Open> {
        orders
            .iter()
            .map(|(team, prefix, progress)| Open {
                footprint: of(team, prefix),
                progress: *progress,
            })
            .collect()
    }

    /// What each queued order waits for: `.` nothing, `d` doubts, `l` a look, `c` calls, `t` its turn.
    fn decide(progress: &[(&str, &str, Progress)], queued: &[(&str, &str)]) -> String {
        let queued: Vec<Footprint> = queued.iter().map(|(team, prefix)| of(team, prefix)).collect();
        waits(&queued, &open(progress))
            .into_iter()
            .map(|wait| match wait {
                None => '.',
                Some(Wait::Doubts) => 'd',
                Some(Wait::Look) => 'l',
                Some(Wait::Calls) => 'c',
                Some(Wait::Turn) => 't',
            })
            .collect()
    }

    #[test]
    fn orders_that_do_not_overlap_are_independent() {
        let busy = [("a", "30", SENDING), ("a", "30", IN_DOUBT), ("b", "30", IN_DOUBT)];
        assert_eq!(decide(&busy, &[("a", "89"), ("b", "40"), ("c", "30")]), "..d");
    }

    #[test]
    fn interchangeable_orders_are_sent_side_by_side_and_others_one_after_another() {
        assert_eq!(decide(&[], &[("a", "30"), ("a", "30"), ("b", "30")]), "..c");
        assert_eq!(
            decide(&[("a", "30", SENDING)], &[("a", "30"), ("b", "30"), ("b", "3")]),
            ".cc"
        );
    }

    #[test]
    fn no_order_joins_past_an_earlier_one_that_waits() {
        let sending = [("a", "30", SENDING)];
        assert_eq!(decide(&sending, &[("b", ""), ("a", "30"), ("a", "30")]), "ctt");
        assert_eq!(decide(&sending, &[("b", ""), ("c", "89"), ("c", "30")]), "ctc");
        assert_eq!(
            decide(&sending, &[("b", "3"), ("c", "89"), ("a", "30")]),
            "c.t",
            "another area is not concerned"
        );
    }

    #[test]
    fn beside_one_doubt_orders_are_sent_one_at_a_time_and_beside_two_not_at_all() {
        let one = [("a", "30", IN_DOUBT)];
        assert_eq!(decide(&one, &[("b", "30"), ("c", "30"), ("a", "30")]), ".cc");
        assert_eq!(
            decide(&one, &[("b", "30"), ("b", "30")]),
            ".c",
            "interchangeable orders too"
        );
        assert_eq!(
            decide(&[("a", "", IN_DOUBT)], &[("b", "30"), ("c", "89")]),
            ".c",
            "both overlap the doubt"
        );
        assert_eq!(
            decide(&one, &[("b", ""), ("b", "3"), ("c", "89")]),
            ".cc",
            "the last one overlaps the first one"
        );
        let two = [("a", "30", IN_DOUBT), ("b", "89", IN_DOUBT)];
        assert_eq!(decide(&two, &[("c", ""), ("c", "30"), ("d", "89")]), "d..");
        let looking = [("a", "30", Progress::InDoubt { looking: true })];
        assert_eq!(decide(&looking, &[("b", "30"), ("c", "89")]), "l.");
    }

    #[test]
    fn an_order_that_waits_for_doubts_keeps_nobody_back() {
        let two = [("a", "30", IN_DOUBT), ("b", "30", IN_DOUBT), ("c", "89", SENDING)];
        assert_eq!(decide(&two, &[("d", ""), ("c", "89"), ("e", "40")]), "d..");
    }

    #[test]
    fn the_team_that_was_sent_least_recently_comes_first() {
        let turns = [("a", 7), ("b", 3)].map(|(team, turn)| (team.parse().unwrap(), turn));
        let queued = ["a1", "a2", "b1", "a3", "c1", "d1", "b2"].map(|name| {
            let team: Team = name[..1].parse().unwrap();
            (team, name)
        });
        let sorted = in_turn(queued.to_vec(), |(team, _)| team, &BTreeMap::from(turns));
        let names: Vec<&str> = sorted.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["c1", "d1", "b1", "a1", "b2", "a2", "a3"]);
    }
}
