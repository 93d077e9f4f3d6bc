//! The numbers as one process has them in memory: what reads are answered from. A snapshot never changes; the next
//! one shares all that stayed the same with it. It does not know where numbers come from, nor when to look again.

mod filter;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::domain::caller::{Scope, Team};
use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::number::Number;
use crate::domain::page::{Limit, Page};

pub use crate::inventory::filter::NumberFilter;

/// All numbers that are not gone, at one moment. A clone costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    all: Rows,
    /// Only shelves with something on them.
    shelves: RedBlackTreeMapSync<Shelf, Rows>,
}

/// Numbers by id.
type Rows = RedBlackTreeMapSync<PhoneNumberId, Arc<Number>>;

/// Where numbers lie that are asked for together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Shelf {
    Team(Team),
    Orphans,
    /// With this number, E.164.
    Number(String),
    /// That involve this user.
    User(UserId),
}

impl Snapshot {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.all.size()
    }

    /// How many numbers there are that no team has.
    pub fn orphans(&self) -> usize {
        self.shelves.get(&Shelf::Orphans).map_or(0, Rows::size)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number, if it is there for this scope. Orphans are for [`Scope::All`] alone.
    pub fn number(&self, scope: &Scope, id: &PhoneNumberId) -> Option<&Arc<Number>> {
        self.all.get(id).filter(|number| within(scope, number))
    }

    /// A page of numbers, by id, after the id `after`.
    pub fn numbers(
        &self,
        scope: &Scope,
        filter: &NumberFilter,
        limit: Limit,
        after: Option<&PhoneNumberId>,
    ) -> Page<Arc<Number>> {
        let wanted = limit.rows() as usize;
        let beyond = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let passes = filter.test();
        // One more than asked for tells whether another page follows.
        let mut found: Vec<_> = self
            .narrowest(scope, filter)
            .into_iter()
            .flat_map(|rows| {
                rows.range::<PhoneNumberId, _>(beyond)
                    .map(|(_, number)| number)
                    .filter(|number| within(scope, number) && passes(number))
                    .take(wanted + 1)
            })
            .collect();
        found.sort_unstable_by(|one, other| one.facts.id.cmp(&other.facts.id));
        found.dedup_by(|one, other| one.facts.id == other.facts.id);
        let more = found.len() > wanted;
        found.truncate(wanted);
        Page {
            next: found
                .last()
                .filter(|_| more)
                .map(|number| number.facts.id.to_string()),
            rows: found.into_iter().cloned().collect(),
        }
    }

    /// The next snapshot: each number as it is now, or `None` where it is gone. What is the same is shared: a change
    /// costs as much as the depth of the trees, whatever their size.
    #[must_use]
    pub fn with(mut self, changes: impl IntoIterator<Item = (PhoneNumberId, Option<Number>)>) -> Self {
        for (id, number) in changes {
            let number = number.map(Arc::new);
            let before = self.all.get(&id).map(|known| shelves(known)).unwrap_or_default();
            let after = number.as_deref().map(shelves).unwrap_or_default();
            for shelf in before.difference(&after) {
                self.take_off(shelf, &id);
            }
            match number {
                Some(number) => {
                    for shelf in after {
                        self.put_on(shelf, &number);
                    }
                    self.all.insert_mut(id, number);
                }
                None => {
                    self.all.remove_mut(&id);
                }
            }
        }
        self
    }

    /// The fewest numbers among which all those must be that scope and filter ask for; none twice, unless a team is
    /// named twice.
    fn narrowest(&self, scope: &Scope, filter: &NumberFilter) -> Vec<&Rows> {
        let asked = [
            filter.number.clone().map(Shelf::Number),
            filter.participant.clone().map(Shelf::User),
            (filter.orphan == Some(true)).then_some(Shelf::Orphans),
        ];
        let teams = match scope {
            Scope::All => vec![&self.all],
            Scope::Teams(teams) => self.on(teams.iter().cloned().map(Shelf::Team)),
        };
        asked
            .into_iter()
            .flatten()
            .map(|shelf| self.on([shelf]))
            .chain([teams])
            .min_by_key(|some| some.iter().map(|rows| rows.size()).sum::<usize>())
            .unwrap_or_default()
    }

    fn on(&self, shelves: impl IntoIterator<Item = Shelf>) -> Vec<&Rows> {
        shelves
            .into_iter()
            .filter_map(|shelf| self.shelves.get(&shelf))
            .collect()
    }

    fn put_on(&mut self, place: Shelf, number: &Arc<Number>) {
        let (id, number) = (number.facts.id.clone(), number.clone());
        if let Some(rows) = self.shelves.get_mut(&place) {
            rows.insert_mut(id, number);
        } else {
            self.shelves
                .insert_mut(place, Rows::new_sync().insert(id, number));
        }
    }

    fn take_off(&mut self, place: &Shelf, id: &PhoneNumberId) {
        if let Some(rows) = self.shelves.get_mut(place) {
            rows.remove_mut(id);
            if rows.is_empty() {
                self.shelves.remove_mut(place);
            }
        }
    }
}

fn within(scope: &Scope, number: &Number) -> bool {
    match (scope, &number.team) {
        (Scope::All, _) => true,
        (Scope::Teams(_), None) => false,
        (Scope::Teams(_), Some(team)) => scope.covers(team),
    }
}

fn shelves(number: &Number) -> BTreeSet<Shelf> {
    let facts = &number.facts;
    let users = facts.participants.iter().chain(&facts.user);
    let mut shelves: BTreeSet<_> = users.cloned().map(Shelf::User).collect();
    shelves.insert(number.team.clone().map_or(Shelf::Orphans, Shelf::Team));
    shelves.insert(Shelf::Number(facts.number.clone()));
    shelves
}

#[cfg(test)]
mod tests;
