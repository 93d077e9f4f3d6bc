//! The grants of a policy: permissions for every caller whose token has a value at a claim, and who matches them.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::domain::claim;
use crate::domain::input::pointer::Pointer;
use crate::domain::input::pointers::Pointers;
use crate::domain::team::Team;

/// Permissions for every caller whose token has a value at a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The only issuer whose tokens match; `None`: every issuer that is no cluster.
    pub issuer: Option<String>,
    /// The claims of which at least one must have the value.
    pub claims: Pointers,
    /// The value.
    pub value: String,
    /// Where the permissions hold.
    pub reach: Reach,
    /// The permissions, unknown words included.
    pub permissions: BTreeSet<String>,
}

/// Where the permissions of a grant hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// In these teams.
    Teams(Vec<Team>),
    /// In all teams, and for objects that belong to no team.
    Everywhere,
}

impl Grant {
    /// Whether tokens of the issuer can match.
    pub fn applies_to(&self, issuer: &str) -> bool {
        self.issuer.as_deref().is_none_or(|only| only == issuer)
    }

    /// Returns the teams in which the permissions hold; none if they hold everywhere.
    pub fn teams(&self) -> &[Team] {
        match &self.reach {
            Reach::Teams(teams) => teams,
            Reach::Everywhere => &[],
        }
    }
}

/// The grants of a policy, with an index: a token with hundreds of groups and a policy with hundreds of grants is usual.
#[derive(Debug, Clone, Default)]
pub(super) struct Grants {
    pub(super) entries: Vec<Grant>,
    /// For each claim, the entries that each of its values matches.
    by_claim: Vec<(Pointer, HashMap<String, Vec<usize>>)>,
}

impl Grants {
    pub(super) fn new(entries: Vec<Grant>) -> Self {
        let mut by_claim: Vec<(Pointer, HashMap<String, Vec<usize>>)> = Vec::new();
        for (index, grant) in entries.iter().enumerate() {
            for pointer in grant.claims.as_slice() {
                let known = by_claim.iter().position(|(known, _)| known == pointer);
                let place = known.unwrap_or_else(|| {
                    by_claim.push((pointer.clone(), HashMap::new()));
                    by_claim.len() - 1
                });
                let matched = by_claim[place].1.entry(grant.value.clone()).or_default();
                matched.push(index);
            }
        }
        Self { entries, by_claim }
    }

    /// Returns the entries that match a token, in the order of the file.
    pub(super) fn matching(&self, issuer: &str, claims: &Value) -> BTreeSet<usize> {
        let values = self.by_claim.iter().filter_map(|(pointer, by_value)| {
            let value = claims.pointer(pointer.as_str())?;
            Some((claim::members(value), by_value))
        });
        values
            .flat_map(|(members, by_value)| members.into_iter().filter_map(|member| by_value.get(member)))
            .flatten()
            .copied()
            .filter(|index| self.entries[*index].applies_to(issuer))
            .collect()
    }
}
