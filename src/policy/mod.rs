//! What each team may do: the reviewed policy file, and the decisions it makes. Pure: no I/O, no clock. What is
//! used up, who is in which group and who asks is handed in; nothing is allowed that is not written.

mod accounts;
mod approval;
mod assignees;
mod caps;
mod carriers;
mod countries;
mod decide;
mod denial;
mod explain;
mod forwarding;
mod groups;
mod read;
mod rules;
#[cfg(test)]
mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::caller::Team;
use crate::domain::country::Country;
use crate::domain::decision::{Caps, Decision, Explanation};
use crate::domain::id::{GroupId, UserId};
use crate::domain::input::document::{Document, FileFault, bare_or_quoted};
use crate::domain::input::fields;
use crate::domain::money::Money;
use crate::domain::order::Terms;
use crate::domain::service_account::AccountName;

use accounts::Accounts;
pub use accounts::Grant;
pub use approval::ApprovalRule;
pub use decide::{decide_receive, decide_rent, decide_update};
pub use explain::explain;
pub use rules::{AllowedCountries, Assignees, GroupRule, ReleaseDelay, TeamRules};

/// The entry for any team without one of its own.
const ANY_TEAM: &str = "*";

/// Who is in which Close group, as far as the desk knows; a group it knows nothing of is not there.
pub type Members = BTreeMap<GroupId, BTreeSet<UserId>>;

/// What policy says to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Yes or no, and why.
    pub decision: Decision,
    /// What will be sent and reserved; there exactly when the decision is a yes.
    pub terms: Option<Terms>,
    /// Why a second person has to agree first, if one has to; never there when the decision is a no.
    pub approval: Option<Explanation>,
}

/// A whole policy file.
#[derive(Debug, Clone)]
pub struct Policy {
    teams: BTreeMap<String, TeamRules>,
    prices: BTreeMap<Country, Money>,
    default_price: Option<Money>,
    accounts: Accounts,
    fingerprint: String,
}

impl Policy {
    /// The policy that allows nothing.
    pub fn nothing() -> Self {
        Self {
            teams: BTreeMap::new(),
            prices: BTreeMap::new(),
            default_price: None,
            accounts: Accounts::default(),
            fingerprint: fingerprint(""),
        }
    }

    /// Reads a policy file where no cluster is trusted, so that it can have no service accounts; `file` is the name
    /// that faults carry. An empty text allows nothing.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileFault>> {
        Self::parse_for(file, text, &[])
    }

    /// The same where `clusters` are the issuers whose service accounts it may speak of.
    pub fn parse_for(file: &str, text: &str, clusters: &[String]) -> Result<Self, Vec<FileFault>> {
        let document = Document::parse(file, text)?;
        let mut policy = fields::read(document.root(), |root| read::policy(root, clusters))
            .map_err(|faults| document.locate(faults))?;
        policy.fingerprint = fingerprint(text);
        Ok(policy)
    }

    /// Teams with an entry of their own.
    pub fn teams(&self) -> impl Iterator<Item = Team> {
        self.teams
            .keys()
            .filter(|name| *name != ANY_TEAM)
            .filter_map(|name| name.parse().ok())
    }

    /// The rules of every entry, that of `"*"` among them.
    pub fn every_rule(&self) -> impl Iterator<Item = &TeamRules> {
        self.teams.values()
    }

    /// The rules of a team and their path in the file, such as `teams.sales`; `teams."*"` for a team without
    /// an entry of its own. `None`: the team may do nothing.
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

    /// What the team may have at most. A team without rules may have nothing.
    pub fn caps(&self, team: &Team) -> Caps {
        self.rules(team).map_or(
            Caps {
                max_numbers: Some(0),
                max_orders_per_day: Some(0),
                monthly_budget: Some(Money::ZERO),
            },
            |(_, rules)| rules.caps(),
        )
    }

    /// How long after it was asked for the release of a team's number is sent to Close; `None`: at once.
    pub fn release_delay(&self, team: &Team) -> Option<Duration> {
        let (_, rules) = self.rules(team)?;
        rules.release_delay.as_ref().map(ReleaseDelay::length)
    }

    /// What a service account of the cluster may do; `None`: it is not in the file, and may do nothing.
    pub fn account(&self, issuer: &str, name: &AccountName) -> Option<&Grant> {
        self.accounts.get(issuer)?.get(name)
    }

    /// What a number of this country is reckoned at a month until Close has billed one.
    pub fn estimate(&self, country: Option<Country>) -> Option<Money> {
        country
            .and_then(|country| self.prices.get(&country).copied())
            .or(self.default_price)
    }

    /// Every Close group that a rule names; who is in them has to be asked of Close.
    pub fn groups(&self) -> BTreeSet<GroupId> {
        self.teams
            .values()
            .filter_map(TeamRules::group)
            .cloned()
            .collect()
    }

    /// Twelve hexadecimal digits that change when the text does.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

fn fingerprint(text: &str) -> String {
    hex::encode(&Sha256::digest(text)[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_and_no_policy_allow_nothing() {
        let empty = Policy::parse("policy.toml", "# nothing yet\n").unwrap();
        let team = "sales".parse().unwrap();
        for policy in [empty, Policy::nothing()] {
            assert!(policy.rules(&team).is_none());
            assert_eq!(policy.caps(&team).max_numbers, Some(0));
            assert!(policy.groups().is_empty());
        }
    }

    #[test]
    fn a_star_applies_to_teams_without_an_entry_and_to_no_other() {
        let text = "[teams.sales]\nmax_numbers = 1\n[teams.\"*\"]\nmax_numbers = 2\nassign_to = { group = \"group_X\" }";
        let policy = Policy::parse("policy.toml", text).unwrap();
        let found = |team: &str| {
            let (path, rules) = policy.rules(&team.parse().unwrap()).unwrap();
            (path, rules.max_numbers)
        };
        assert_eq!(found("sales"), ("teams.sales".into(), Some(1)));
        assert_eq!(found("support"), ("teams.\"*\"".into(), Some(2)));
        assert_eq!(policy.groups(), BTreeSet::from(["group_X".parse().unwrap()]));
    }

    #[test]
    fn a_team_with_a_dot_in_its_name_has_it_in_quotes_in_the_path() {
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
