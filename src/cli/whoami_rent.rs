//! What a caller needs to rent a number in one of its teams, and does not have.

use serde_json::Value;

use crate::domain::caller::Caller;
use crate::domain::country::Country;
use crate::domain::input::pointer::Pointer;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::policy::{AllowedCountries, ClaimedCountries, GroupRule, Policy};

/// Returns why the caller can't rent in any team.
///
/// Empty if it can, and if there is no caller: the report says that by itself.
pub(super) fn missing(caller: Option<&Caller>, policy: &Policy) -> Vec<String> {
    let Some(caller) = caller else {
        return Vec::new();
    };
    if caller.rights().teams().len() == 0 {
        return vec![format!(
            "a team: a name at the claim for teams, or a grant that matches, with the permission {}",
            Permission::NumbersRent
        )];
    }
    let each = caller
        .rights()
        .teams()
        .map(|team| missing_in(caller, policy, team));
    each.collect::<Option<Vec<String>>>().unwrap_or_default()
}

/// Returns why the caller can't rent in the team; `None` if it can, within quota and budget.
pub(super) fn missing_in(caller: &Caller, policy: &Policy, team: &Team) -> Option<String> {
    let need = Permission::NumbersRent;
    if !caller.rights().hold(need.as_str(), Some(team)) {
        return Some(format!("in {team}: the permission {need}"));
    }
    let Some((path, rules)) = policy.rules(team) else {
        let mut names = policy.team_names();
        let similar = names.find(|name| name.eq_ignore_ascii_case(team.as_str()));
        let hint = similar
            .map(|name| format!("; it has [teams.{name}], and upper and lower case count"))
            .unwrap_or_default();
        return Some(format!(
            "in {team}: rules of the team in the policy, [teams.{team}]{hint}"
        ));
    };
    match &rules.countries {
        AllowedCountries::List(countries) if countries.is_empty() => {
            Some(format!("in {team}: countries in the policy, {path}.countries"))
        }
        AllowedCountries::Claim(rule) if !names_a_country(rule, caller.claims()) => {
            let within = rule.within.as_ref().map_or("", |_| ", one of those in `within`");
            Some(format!(
                "in {team}: a country code at the claim {} of the token{within}, for {path}.countries",
                rule.pointer
            ))
        }
        _ => None,
    }
}

fn names_a_country(rule: &ClaimedCountries, claims: &Value) -> bool {
    let words = rule.pointer.words(claims).unwrap_or_default();
    let within = |country: &Country| rule.within.as_ref().is_none_or(|within| within.contains(country));
    words
        .iter()
        .filter_map(|word| word.parse().ok())
        .any(|country| within(&country))
}

/// Returns the claims that the rules of the caller's teams read, each once, with the name of the rule.
pub(super) fn claims_of_rules<'a>(caller: &Caller, policy: &'a Policy) -> Vec<(&'static str, &'a Pointer)> {
    let mut found = Vec::new();
    for team in caller.rights().teams() {
        let Some((_, rules)) = policy.rules(team) else {
            continue;
        };
        let countries = match &rules.countries {
            AllowedCountries::Claim(rule) => Some(("countries", &rule.pointer)),
            AllowedCountries::List(_) => None,
        };
        let people = match &rules.group_numbers {
            GroupRule::Claim(claim) => Some(("group_numbers", claim)),
            GroupRule::Nobody | GroupRule::Everybody | GroupRule::Permission(_) => None,
        };
        for claim in countries.into_iter().chain(people) {
            if !found.contains(&claim) {
                found.push(claim);
            }
        }
    }
    found
}
