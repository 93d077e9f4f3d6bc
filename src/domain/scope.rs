//! The scope of a query: what a caller sees, or what the service's own work reads.

use std::sync::Arc;

use crate::domain::team::Team;

/// An object that belongs to a team, or to none.
pub trait Owned {
    /// Returns the team of the object; `None` for an orphan.
    fn owner(&self) -> Option<&Team>;
}

impl<T: Owned> Owned for Arc<T> {
    fn owner(&self) -> Option<&Team> {
        T::owner(self)
    }
}

/// The teams whose objects a query reads. Every query by a caller takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(Reach);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    Teams(Vec<Team>),
    Everything,
}

impl Scope {
    /// Everything, orphans included, for work that no caller asked for.
    ///
    /// `task` names that work for the reader of the code.
    pub fn system(task: &'static str) -> Self {
        debug_assert!(!task.is_empty(), "system work has a name");
        Self::everything()
    }

    /// The part of this scope that belongs to the teams.
    #[must_use]
    pub fn only(&self, teams: &[Team]) -> Self {
        let covered = teams.iter().filter(|team| self.covers(team));
        Self::of_teams(covered.cloned().collect())
    }

    /// The teams of the scope, maybe none. `None`: the scope is everything, orphans included.
    pub fn teams(&self) -> Option<&[Team]> {
        match &self.0 {
            Reach::Teams(teams) => Some(teams),
            Reach::Everything => None,
        }
    }

    /// Whether the scope contains what the team owns.
    pub fn covers(&self, team: &Team) -> bool {
        self.contains(Some(team))
    }

    /// Whether the scope contains an object of this owner. `None`: the object has no owner.
    pub fn contains(&self, owner: Option<&Team>) -> bool {
        match (self.teams(), owner) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(teams), Some(owner)) => teams.contains(owner),
        }
    }

    /// What these teams own.
    pub(in crate::domain) fn of_teams(teams: Vec<Team>) -> Self {
        Self(Reach::Teams(teams))
    }

    /// Everything, orphans included.
    pub(in crate::domain) fn everything() -> Self {
        Self(Reach::Everything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(name: &str) -> Team {
        name.parse().expect("a team name")
    }

    #[test]
    fn a_scope_is_only_ever_narrowed() {
        let everything = Scope::system("test");
        let both = everything.only(&[team("a"), team("b")]);
        assert!(both.covers(&team("a")) && !both.covers(&team("c")));
        assert_eq!(both.only(&[team("b"), team("c")]).teams(), Some(&[team("b")][..]));
        assert_eq!(everything.teams(), None);
    }
}
