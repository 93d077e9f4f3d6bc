//! The in-memory snapshot of all numbers, from which the service answers reads.
//!
//! A snapshot is immutable; the next one shares the unchanged parts with it. This module neither loads numbers nor
//! decides when a snapshot is out of date.

mod filter;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::domain::id::{PhoneNumberId, UserId};
use crate::domain::number::Number;
use crate::domain::page::{Limit, Page};
use crate::domain::scope::Scope;
use crate::domain::team::Team;

pub use crate::inventory::filter::NumberFilter;

/// All existing numbers at one moment. Clones are cheap.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    all: Rows,
    /// The numbers of each index; empty indexes are removed.
    indexes: RedBlackTreeMapSync<Index, Rows>,
}

/// Numbers by id.
type Rows = RedBlackTreeMapSync<PhoneNumberId, Arc<Number>>;

/// A key by which numbers are looked up together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Index {
    /// The numbers of this team.
    Team(Team),
    /// The numbers without a team.
    Orphans,
    /// The number with this phone number in E.164.
    Number(String),
    /// The numbers of this user.
    User(UserId),
}

impl Snapshot {
    /// Returns the count of numbers.
    pub fn len(&self) -> usize {
        self.all.size()
    }

    /// Returns the count of numbers without a team.
    pub fn orphans(&self) -> usize {
        self.indexes.get(&Index::Orphans).map_or(0, Rows::size)
    }

    /// Whether the snapshot has no numbers.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the number, if it exists in this scope. Only a scope of everything contains orphans.
    pub fn number(&self, scope: &Scope, id: &PhoneNumberId) -> Option<&Arc<Number>> {
        self.all.get(id).filter(|number| within(scope, number))
    }

    /// Returns a page of numbers, sorted by id, that starts after the id `after`.
    pub fn numbers(
        &self,
        scope: &Scope,
        filter: &NumberFilter,
        limit: Limit,
        after: Option<&PhoneNumberId>,
    ) -> Page<Arc<Number>> {
        let max_rows = limit.rows() as usize;
        let rest = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let matches = filter.test();
        // One row more than requested shows whether another page follows.
        let mut found: Vec<_> = self
            .narrowest(scope, filter)
            .into_iter()
            .flat_map(|rows| {
                rows.range::<PhoneNumberId, _>(rest)
                    .map(|(_, number)| number)
                    .filter(|number| within(scope, number) && matches(number))
                    .take(max_rows + 1)
            })
            .collect();
        found.sort_unstable_by(|one, other| one.facts.id.cmp(&other.facts.id));
        found.dedup_by(|one, other| one.facts.id == other.facts.id);
        let more = found.len() > max_rows;
        found.truncate(max_rows);
        Page {
            next: found
                .last()
                .filter(|_| more)
                .map(|number| number.facts.id.to_string()),
            rows: found.into_iter().cloned().collect(),
        }
    }

    /// Returns the next snapshot; `changes` has each changed number, or `None` if it is gone.
    ///
    /// The snapshots share their unchanged parts. The cost of a change grows with the depth of the trees, and not with
    /// their size.
    #[must_use]
    pub fn with(mut self, changes: impl IntoIterator<Item = (PhoneNumberId, Option<Number>)>) -> Self {
        for (id, number) in changes {
            let number = number.map(Arc::new);
            let before = self.all.get(&id).map(|known| indexes(known)).unwrap_or_default();
            let after = number.as_deref().map(indexes).unwrap_or_default();
            for index in before.difference(&after) {
                self.remove_from(index, &id);
            }
            match number {
                Some(number) => {
                    for index in after {
                        self.insert_into(index, &number);
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

    /// Returns the smallest set of rows that contains every match of scope and filter.
    ///
    /// It contains a number twice only if the scope names a team twice.
    fn narrowest(&self, scope: &Scope, filter: &NumberFilter) -> Vec<&Rows> {
        let by_filter = [
            filter.number.clone().map(Index::Number),
            filter.participant.clone().map(Index::User),
            (filter.orphan == Some(true)).then_some(Index::Orphans),
        ];
        let teams = match scope.teams() {
            None => vec![&self.all],
            Some(teams) => self.indexed(teams.iter().cloned().map(Index::Team)),
        };
        by_filter
            .into_iter()
            .flatten()
            .map(|index| self.indexed([index]))
            .chain([teams])
            .min_by_key(|sets| sets.iter().map(|rows| rows.size()).sum::<usize>())
            .unwrap_or_default()
    }

    fn indexed(&self, indexes: impl IntoIterator<Item = Index>) -> Vec<&Rows> {
        indexes
            .into_iter()
            .filter_map(|index| self.indexes.get(&index))
            .collect()
    }

    fn insert_into(&mut self, index: Index, number: &Arc<Number>) {
        let (id, number) = (number.facts.id.clone(), number.clone());
        if let Some(rows) = self.indexes.get_mut(&index) {
            rows.insert_mut(id, number);
        } else {
            self.indexes
                .insert_mut(index, Rows::new_sync().insert(id, number));
        }
    }

    fn remove_from(&mut self, index: &Index, id: &PhoneNumberId) {
        if let Some(rows) = self.indexes.get_mut(index) {
            rows.remove_mut(id);
            if rows.is_empty() {
                self.indexes.remove_mut(index);
            }
        }
    }
}

fn within(scope: &Scope, number: &Number) -> bool {
    scope.contains(number.team.as_ref())
}

fn indexes(number: &Number) -> BTreeSet<Index> {
    let facts = &number.facts;
    let users = facts.participants.iter().chain(&facts.user);
    let mut indexes: BTreeSet<_> = users.cloned().map(Index::User).collect();
    indexes.insert(number.team.clone().map_or(Index::Orphans, Index::Team));
    indexes.insert(Index::Number(facts.number.clone()));
    indexes
}

#[cfg(test)]
mod tests;
