//! The turns of the teams that wait for their webhooks: the team that was served longest ago comes first.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::domain::id::EndpointId;
use crate::domain::team::Team;

/// When each team was served last, in steps of this process.
#[derive(Default)]
pub(in crate::desk::webhooks) struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    step: u64,
    served: BTreeMap<Team, u64>,
}

impl Turns {
    /// Sorts due endpoints into the order in which they are served.
    ///
    /// The endpoints of one team keep their order. Each team comes first with one endpoint, then with the second one, and
    /// so on.
    pub(in crate::desk::webhooks) fn sort(&self, due: Vec<(EndpointId, Team)>) -> Vec<(EndpointId, Team)> {
        let mut state = self.0.lock();
        // A team without due deliveries has no turn to keep.
        state
            .served
            .retain(|served, _| due.iter().any(|(_, team)| team == served));
        let mut seen: BTreeMap<Team, usize> = BTreeMap::new();
        let mut sorted: Vec<_> = due
            .into_iter()
            .map(|(id, team)| {
                let nth = seen.entry(team.clone()).or_default();
                *nth += 1;
                let served = state.served.get(&team).copied().unwrap_or_default();
                ((*nth, served), (id, team))
            })
            .collect();
        sorted.sort_by_key(|(key, _)| *key);
        sorted.into_iter().map(|(_, endpoint)| endpoint).collect()
    }

    /// Records that the team was served now.
    pub(in crate::desk::webhooks) fn served(&self, team: &Team) {
        let mut state = self.0.lock();
        state.step += 1;
        let step = state.step;
        state.served.insert(team.clone(), step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_team_that_was_served_longest_ago_comes_first_and_none_twice_in_a_round() {
        let due = || {
            let names = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")];
            let due = names.map(|(id, team)| (format!("we_{id}").parse().unwrap(), team.parse().unwrap()));
            Vec::from(due)
        };
        let order = |turns: &Turns| -> Vec<String> {
            let sorted = turns.sort(due()).into_iter();
            sorted.map(|(id, _)| id.as_str()[3..].to_owned()).collect()
        };
        let turns = Turns::default();
        assert_eq!(order(&turns), ["a", "c", "d", "b"]);
        turns.served(&"x".parse().unwrap());
        turns.served(&"y".parse().unwrap());
        assert_eq!(order(&turns), ["d", "a", "c", "b"]);
        turns.served(&"z".parse().unwrap());
        assert_eq!(order(&turns), ["a", "c", "d", "b"]);
    }
}
