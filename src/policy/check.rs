//! The rules about several values of the policy file, which its schema does not express.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::country::{Country, NotACountry};
use crate::domain::input::fault::Fault;
use crate::domain::input::pointer::child;
use crate::domain::input::read::part;
use crate::domain::team::{NotATeam, Team};
use crate::policy::amount::Amount;
use crate::policy::choices::AllowedCountries;
use crate::policy::rules::{ANY_TEAM, TeamRules};

/// The name of the price in countries that `[prices]` does not list.
pub(super) const DEFAULT: &str = "default";

/// Checks names, budgets and approvals.
pub(super) fn check(root: &Value, faults: &mut Vec<Fault>) {
    for (pointer, name, _) in members(root, "/prices") {
        if let Some(fault) = not_a_price(name) {
            faults.push(Fault {
                pointer,
                message: format!("the name, unless it is `{DEFAULT}`, {fault}"),
            });
        }
    }
    let prices = prices(root);
    for (pointer, name, rules) in members(root, "/teams") {
        if !is_team(name) {
            faults.push(Fault {
                pointer: pointer.clone(),
                message: format!("the name {NotATeam}, or \"*\" for any other team"),
            });
        }
        if let Some(prices) = &prices {
            budget(rules, &pointer, prices, faults);
        }
        approval(rules, &pointer, faults);
    }
}

/// Returns the teams of the file; `None` if one of them has a fault.
pub(super) fn teams(root: &Value) -> Option<BTreeMap<String, TeamRules>> {
    if root.get("teams").is_none() {
        return Some(BTreeMap::new());
    }
    let teams: BTreeMap<String, TeamRules> = part(root, "/teams")?;
    teams.keys().all(|name| is_team(name)).then_some(teams)
}

/// Returns the prices of the file; `None` if one of them has a fault.
fn prices(root: &Value) -> Option<BTreeMap<String, Amount>> {
    if root.get("prices").is_none() {
        return Some(BTreeMap::new());
    }
    let prices: BTreeMap<String, Amount> = part(root, "/prices")?;
    prices
        .keys()
        .all(|name| not_a_price(name).is_none())
        .then_some(prices)
}

fn is_team(name: &str) -> bool {
    name == ANY_TEAM || name.parse::<Team>().is_ok()
}

/// Returns why the name is not one of a price; `None` if it is.
fn not_a_price(name: &str) -> Option<NotACountry> {
    name.parse::<Country>().err().filter(|_| name != DEFAULT)
}

/// Returns the members of an object, each with its pointer and name.
fn members<'a>(root: &'a Value, parent: &'a str) -> impl Iterator<Item = (String, &'a str, &'a Value)> {
    let members = root.pointer(parent).and_then(Value::as_object);
    members
        .into_iter()
        .flat_map(Map::iter)
        .map(move |(name, value)| (child(parent, name), name.as_str(), value))
}

/// Checks that every allowed country has a price. Without one, the budget can't be checked.
fn budget(rules: &Value, pointer: &str, prices: &BTreeMap<String, Amount>, faults: &mut Vec<Fault>) {
    let (Some(_), Some(countries)) = (
        part::<Amount>(rules, "/monthly_budget"),
        part::<AllowedCountries>(rules, "/countries"),
    ) else {
        return;
    };
    if prices.contains_key(DEFAULT) {
        return;
    }
    let add = match countries.most() {
        None => format!("add `{DEFAULT}` to [prices], because a token can allow every country"),
        Some(countries) => {
            let missing: Vec<&str> = countries
                .iter()
                .map(Country::as_str)
                .filter(|country| !prices.contains_key(*country))
                .collect();
            if missing.is_empty() {
                return;
            }
            format!("add {} or `{DEFAULT}` to [prices]", missing.join(", "))
        }
    };
    faults.push(Fault {
        pointer: format!("{pointer}/monthly_budget"),
        message: format!("a budget needs a price for every allowed country: {add}"),
    });
}

/// Checks that a rule about approvals has a condition, and names only countries in which the team may order.
fn approval(rules: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let Some(Value::Object(approval)) = rules.get("approval") else {
        return;
    };
    if !["above_monthly", "group_numbers", "countries"]
        .iter()
        .any(|name| approval.contains_key(*name))
    {
        faults.push(Fault {
            pointer: format!("{pointer}/approval"),
            message: "must have at least one of `above_monthly`, `group_numbers` and `countries`, \
                      such as { group_numbers = true }"
                .to_owned(),
        });
    }
    let allowed = match rules.get("countries") {
        None => AllowedCountries::default(),
        Some(_) => match part(rules, "/countries") {
            Some(allowed) => allowed,
            None => return,
        },
    };
    let countries = approval.get("countries").and_then(Value::as_array);
    for (index, country) in countries.into_iter().flatten().enumerate() {
        if let Some(country) = part::<Country>(country, "")
            && allowed.most().is_some_and(|most| !most.contains(&country))
        {
            faults.push(Fault {
                pointer: format!("{pointer}/approval/countries/{index}"),
                message: format!(
                    "the team may not order in {country}: add it to the team's `countries`, or remove it here"
                ),
            });
        }
    }
}
