//! A parsed policy file, and the lookups that need nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::country::Country;
use crate::domain::decision::Caps;
use crate::domain::id::GroupId;
use crate::domain::input::document::{FileFault, bare_or_quoted};
use crate::domain::money::Money;
use crate::domain::service_account::ServiceAccountName;
use crate::domain::team::Team;
use crate::policy::grants::Grants;
use crate::policy::rules::{ANY_TEAM, ReleaseDelay, TeamRules};
use crate::policy::service_accounts::{AccountEntry, ServiceAccounts};

/// A parsed policy file.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(super) teams: BTreeMap<String, TeamRules>,
    pub(super) prices: BTreeMap<Country, Money>,
    pub(super) default_price: Option<Money>,
    pub(super) grants: Grants,
    pub(super) service_accounts: ServiceAccounts,
    pub(super) warnings: Vec<FileFault>,
    pub(super) fingerprint: String,
    pub(super) source: Source,
}

/// Where a policy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The settings name no file.
    Nowhere,
    /// The file, whole.
    File(Arc<str>),
    /// The database, because the file was broken when the process started.
    Database,
}

impl Policy {
    /// Returns the policy that allows nothing.
    pub fn nothing() -> Self {
        Self {
            teams: BTreeMap::new(),
            prices: BTreeMap::new(),
            default_price: None,
            grants: Grants::default(),
            service_accounts: ServiceAccounts::default(),
            warnings: Vec::new(),
            fingerprint: fingerprint(""),
            source: Source::Nowhere,
        }
    }

    /// Marks the policy as one that the database kept.
    #[must_use]
    pub fn from_database(self) -> Self {
        Self {
            source: Source::Database,
            ..self
        }
    }

    /// Returns the text of the file; `None` if the policy does not come from a file.
    pub fn text(&self) -> Option<&str> {
        match &self.source {
            Source::File(text) => Some(text),
            Source::Nowhere | Source::Database => None,
        }
    }

    /// Returns where the policy comes from: `file`, `database` or `none`.
    pub fn source(&self) -> &'static str {
        match self.source {
            Source::File(_) => "file",
            Source::Database => "database",
            Source::Nowhere => "none",
        }
    }

    /// Returns the teams that have an entry of their own.
    pub fn teams(&self) -> impl Iterator<Item = Team> {
        self.teams
            .keys()
            .filter(|name| *name != ANY_TEAM)
            .filter_map(|name| name.parse().ok())
    }

    /// Returns the rules of every entry, including `"*"`.
    pub fn every_rule(&self) -> impl Iterator<Item = &TeamRules> {
        self.teams.values()
    }

    /// Returns a team's rules and their path in the file, such as `teams.sales`.
    ///
    /// A team without an entry of its own has the rules of `teams."*"`. `None` means that the team may do nothing.
    pub fn rules(&self, team: &Team) -> Option<(String, &TeamRules)> {
        [team.as_str(), ANY_TEAM].into_iter().find_map(|name| {
            let rules = self.teams.get(name)?;
            Some((format!("teams.{}", bare_or_quoted(name)), rules))
        })
    }

    /// Whether the team has an entry of its own.
    pub fn names(&self, team: &Team) -> bool {
        self.teams.contains_key(team.as_str())
    }

    /// Returns the names of the teams that have an entry of their own.
    pub fn team_names(&self) -> impl Iterator<Item = &str> {
        self.teams
            .keys()
            .map(String::as_str)
            .filter(|name| *name != ANY_TEAM)
    }

    /// Returns the team's caps. They are all zero for a team without rules.
    pub fn caps(&self, team: &Team) -> Caps {
        self.rules(team).map_or(
            Caps {
                max_numbers: Some(0),
                max_orders_per_day: Some(0),
                max_refused_per_hour: Some(0),
                monthly_budget: Some(Money::ZERO),
            },
            |(_, rules)| rules.caps(),
        )
    }

    /// Returns how long the release of a team's number is delayed; `None` sends it at once.
    pub fn release_delay(&self, team: &Team) -> Option<Duration> {
        let (_, rules) = self.rules(team)?;
        rules.release_delay.as_ref().map(ReleaseDelay::length)
    }

    /// Returns the entry of a service account of a cluster; `None` if the file does not list it.
    pub fn service_account(&self, issuer: &str, name: &ServiceAccountName) -> Option<&AccountEntry> {
        self.service_accounts.get(issuer)?.get(name)
    }

    /// Returns the estimated monthly price of a number in this country, used before the first bill.
    pub fn estimate(&self, country: Option<Country>) -> Option<Money> {
        country
            .and_then(|country| self.prices.get(&country).copied())
            .or(self.default_price)
    }

    /// Returns every Close group that a rule names. The service loads their members from Close.
    pub fn groups(&self) -> BTreeSet<GroupId> {
        self.teams
            .values()
            .filter_map(TeamRules::group)
            .cloned()
            .collect()
    }

    /// Returns what the file allows or names, but probably not as its author meant it.
    pub fn warnings(&self) -> &[FileFault] {
        &self.warnings
    }

    /// Returns twelve hexadecimal digits that change with the text of the file.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// Returns twelve hexadecimal digits that change with the text.
pub(super) fn fingerprint(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_and_the_policy_nothing_allow_nothing() {
        let empty = Policy::parse("policy.toml", "# nothing yet\n").unwrap();
        let team = "sales".parse().unwrap();
        for policy in [empty, Policy::nothing()] {
            assert!(policy.rules(&team).is_none());
            assert_eq!(policy.caps(&team).max_numbers, Some(0));
            assert!(policy.groups().is_empty());
        }
    }

    #[test]
    fn the_star_entry_applies_only_to_teams_without_an_entry() {
        let text = "[teams.sales]\nmax_numbers = 1\n[teams.\"*\"]\nmax_numbers = 2\n\
                    assign_to = { group = \"group_X\" }";
        let policy = Policy::parse("policy.toml", text).unwrap();
        let found = |team: &str| {
            let (path, rules) = policy.rules(&team.parse().unwrap()).unwrap();
            (path, rules.caps().max_numbers)
        };
        assert_eq!(found("sales"), ("teams.sales".into(), Some(1)));
        assert_eq!(found("support"), ("teams.\"*\"".into(), Some(2)));
        assert_eq!(policy.groups(), BTreeSet::from(["group_X".parse().unwrap()]));
    }

    #[test]
    fn a_team_name_with_a_dot_is_quoted_in_the_path() {
        let policy = Policy::parse("policy.toml", "[teams.\"sales.emea\"]").unwrap();
        let (path, _) = policy.rules(&"sales.emea".parse().unwrap()).unwrap();
        assert_eq!(path, "teams.\"sales.emea\"");
    }

    #[test]
    fn an_estimate_is_the_country_s_price_or_the_default() {
        let policy = Policy::parse("policy.toml", "[prices]\nUS = \"1.15\"\ndefault = \"5.00\"").unwrap();
        let cents = |country: Option<&str>| policy.estimate(country.map(|code| code.parse().unwrap()));
        assert_eq!(cents(Some("US")), Some(Money::from_cents(115)));
        assert_eq!(cents(Some("DE")), Some(Money::from_cents(500)));
        assert_eq!(cents(None), Some(Money::from_cents(500)));
        assert_eq!(Policy::nothing().estimate(Some("US".parse().unwrap())), None);
    }

    #[test]
    fn the_fingerprint_changes_with_the_text() {
        let of = |text| Policy::parse("p", text).unwrap().fingerprint();
        assert_eq!(of("").len(), 12);
        assert_eq!(of(""), Policy::nothing().fingerprint());
        assert_ne!(of("# a"), of("# b"));
    }
}
