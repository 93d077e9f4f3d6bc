//! The rights of a caller: its permissions in each of its teams, and the source of each permission.
//!
//! Each check asks for a permission in the team concerned. A permission that holds everywhere holds in all teams, and
//! for objects that belong to no team.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::permission::Permission;
use crate::domain::team::Team;

/// The source of a permission: the token, or an entry of the policy by its index in the file.
///
/// The token sorts first, then the entries in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The token itself.
    Token,
    /// An entry of `[[grants]]`.
    Grant(usize),
    /// An entry of `[[service_accounts]]`.
    ServiceAccount(usize),
}

impl Source {
    /// Returns the path of the entry in the policy, such as `grants[2]`; `None` for the token.
    pub fn entry(self) -> Option<String> {
        (self != Self::Token).then(|| self.to_string())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("token"),
            Self::Grant(index) => write!(f, "grants[{index}]"),
            Self::ServiceAccount(index) => write!(f, "service_accounts[{index}]"),
        }
    }
}

/// Permissions, each with its sources. They include words that only the policy knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions(BTreeMap<String, BTreeSet<Source>>);

impl Permissions {
    /// Whether the permission is one of them.
    pub fn has(&self, permission: &str) -> bool {
        self.0.contains_key(permission)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names of the permissions, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the permissions by source.
    pub fn by_source(&self) -> BTreeMap<Source, BTreeSet<&str>> {
        let mut found: BTreeMap<Source, BTreeSet<&str>> = BTreeMap::new();
        for (name, sources) in &self.0 {
            for source in sources {
                found.entry(*source).or_default().insert(name);
            }
        }
        found
    }

    /// Returns the first source of a permission.
    fn source(&self, permission: &str) -> Option<Source> {
        self.0.get(permission)?.first().copied()
    }

    fn add(&mut self, permissions: &BTreeSet<String>, source: Source) {
        for permission in permissions {
            if let Some(sources) = self.0.get_mut(permission) {
                sources.insert(source);
            } else {
                self.0.insert(permission.clone(), BTreeSet::from([source]));
            }
        }
    }
}

/// The permissions of a caller in each of its teams, and those that hold everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    teams: Vec<(Team, Permissions)>,
    everywhere: Permissions,
    /// The permissions of a token that names no team. They hold in no team.
    without_team: Permissions,
}

impl Rights {
    /// Returns the rights that a token states itself: its permissions hold in its own teams.
    ///
    /// If `numbers:admin` is one of them, all of them hold everywhere.
    pub fn stated(teams: &[Team], permissions: &BTreeSet<String>, source: Source) -> Self {
        let mut rights = Self::default();
        rights.give(teams, permissions, source);
        if teams.is_empty() {
            rights.without_team.add(permissions, source);
        }
        if permissions.contains(Permission::NumbersAdmin.as_str()) {
            rights.give_everywhere(permissions, source);
        }
        rights
    }

    /// Adds permissions in these teams. A team that the caller did not have becomes its last one.
    pub fn give(&mut self, teams: &[Team], permissions: &BTreeSet<String>, source: Source) {
        for team in teams {
            let known = self.teams.iter().position(|(known, _)| known == team);
            let index = known.unwrap_or_else(|| {
                self.teams.push((team.clone(), Permissions::default()));
                self.teams.len() - 1
            });
            self.teams[index].1.add(permissions, source);
        }
    }

    /// Adds permissions that hold in all teams, and for objects that belong to no team.
    pub fn give_everywhere(&mut self, permissions: &BTreeSet<String>, source: Source) {
        self.everywhere.add(permissions, source);
    }

    /// Returns the caller's teams: first those of the token, in its order, then those of grants.
    pub fn teams(&self) -> impl ExactSizeIterator<Item = &Team> {
        self.teams.iter().map(|(team, _)| team)
    }

    /// Returns each team with the permissions that the caller was given in it.
    pub fn by_team(&self) -> impl ExactSizeIterator<Item = (&Team, &Permissions)> {
        self.teams.iter().map(|(team, permissions)| (team, permissions))
    }

    /// Returns the permissions that hold in all teams.
    pub fn everywhere(&self) -> &Permissions {
        &self.everywhere
    }

    /// Returns every permission that the caller has, in whichever team.
    pub fn all(&self) -> BTreeSet<&str> {
        let teams = self.teams.iter().map(|(_, permissions)| permissions);
        teams
            .chain([&self.everywhere, &self.without_team])
            .flat_map(Permissions::names)
            .collect()
    }

    /// Whether the permission holds for objects of this team; `None` is an object that belongs to no team.
    pub fn hold(&self, permission: &str, team: Option<&Team>) -> bool {
        team.and_then(|team| self.in_team(team))
            .is_some_and(|permissions| permissions.has(permission))
            || self.hold_everywhere(permission)
    }

    /// Whether the permission holds in all teams, and for objects that belong to no team.
    ///
    /// An administrator of all teams who may read in one team may read everywhere.
    pub fn hold_everywhere(&self, permission: &str) -> bool {
        self.everywhere.has(permission)
            || (permission == Permission::NumbersRead.as_str()
                && self.is_administrator()
                && self
                    .teams
                    .iter()
                    .any(|(_, permissions)| permissions.has(permission)))
    }

    /// Whether the caller has `numbers:admin` everywhere.
    pub fn is_administrator(&self) -> bool {
        self.everywhere.has(Permission::NumbersAdmin.as_str())
    }

    /// Whether the token has the permission and names no team, so that the permission holds in no team.
    pub fn hold_without_team(&self, permission: &str) -> bool {
        self.teams.is_empty() && self.without_team.has(permission)
    }

    /// Whether the caller has the team.
    pub fn include(&self, team: &Team) -> bool {
        self.in_team(team).is_some()
    }

    /// Returns the permissions in one of the caller's teams.
    pub fn in_team(&self, team: &Team) -> Option<&Permissions> {
        let found = self.teams.iter().find(|(known, _)| known == team);
        found.map(|(_, permissions)| permissions)
    }

    /// Returns the source of a permission for objects of this team, if it holds there.
    ///
    /// Of several sources, the first one: the token, or else the first entry in the policy.
    pub fn source(&self, permission: &str, team: Option<&Team>) -> Option<Source> {
        let in_team = team.and_then(|team| self.in_team(team)?.source(permission));
        let everywhere = self.everywhere.source(permission);
        in_team.into_iter().chain(everywhere).min().or_else(|| {
            let mut teams = self.teams.iter();
            // An administrator's permission to read comes from one of the teams.
            teams
                .find_map(|(_, permissions)| permissions.source(permission))
                .filter(|_| self.hold_everywhere(permission))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(name: &str) -> Team {
        name.parse().expect("a team name")
    }

    fn words(text: &str) -> BTreeSet<String> {
        text.split_ascii_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_permission_holds_only_in_the_teams_in_which_it_was_given() {
        let mut rights = Rights::stated(&[team("a"), team("b")], &words("numbers:read"), Source::Token);
        rights.give(
            &[team("a"), team("c")],
            &words("orders:approve"),
            Source::Grant(0),
        );
        let held = |permission: &str| {
            ["a", "b", "c", "d"]
                .into_iter()
                .filter(|name| rights.hold(permission, Some(&team(name))))
                .collect::<String>()
        };
        assert_eq!(
            (held("numbers:read"), held("orders:approve")),
            ("ab".into(), "ac".into())
        );
        assert!(!rights.hold("numbers:read", None));
        assert_eq!(rights.teams().map(Team::as_str).collect::<String>(), "abc");
        assert_eq!(rights.all(), BTreeSet::from(["numbers:read", "orders:approve"]));
    }

    #[test]
    fn administration_in_a_token_widens_the_token_s_own_permissions_and_no_grant() {
        let mut rights = Rights::stated(
            &[team("a")],
            &words("numbers:read numbers:rent numbers:admin"),
            Source::Token,
        );
        rights.give(&[team("a")], &words("numbers:release"), Source::Grant(0));
        for permission in ["numbers:read", "numbers:rent", "numbers:admin"] {
            assert!(rights.hold(permission, Some(&team("z"))) && rights.hold(permission, None));
        }
        assert!(rights.hold("numbers:release", Some(&team("a"))));
        assert!(!rights.hold("numbers:release", Some(&team("z"))));
    }

    #[test]
    fn an_administrator_by_grant_reads_everywhere_only_if_it_may_read_somewhere() {
        let mut rights = Rights::stated(&[team("a")], &words("numbers:rent"), Source::Token);
        rights.give_everywhere(&words("numbers:admin"), Source::Grant(0));
        assert!(rights.hold("numbers:admin", None) && !rights.hold("numbers:read", Some(&team("a"))));
        rights.give(&[team("a")], &words("numbers:read"), Source::Grant(1));
        assert!(rights.hold("numbers:read", None) && rights.hold("numbers:read", Some(&team("z"))));
        assert!(!rights.hold("numbers:rent", Some(&team("z"))));
        assert_eq!(rights.source("numbers:read", None), Some(Source::Grant(1)));
        assert_eq!(rights.source("numbers:rent", Some(&team("z"))), None);
    }

    #[test]
    fn the_source_of_a_permission_is_the_token_or_else_the_first_entry() {
        let mut rights = Rights::stated(&[team("a")], &words("numbers:read"), Source::Token);
        rights.give(
            &[team("a")],
            &words("numbers:read numbers:rent"),
            Source::Grant(10),
        );
        rights.give(&[team("a")], &words("numbers:rent"), Source::Grant(2));
        let source = |permission: &str| {
            let source = rights.source(permission, Some(&team("a")));
            source.and_then(Source::entry)
        };
        assert_eq!(source("numbers:read"), None);
        assert_eq!(source("numbers:rent").as_deref(), Some("grants[2]"));
        let by_source = rights.in_team(&team("a")).unwrap().by_source();
        let sources: Vec<String> = by_source.keys().map(ToString::to_string).collect();
        assert_eq!(sources, ["token", "grants[2]", "grants[10]"]);
    }
}
