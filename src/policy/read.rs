//! Reads the policy file strictly: unknown, impossible and incomplete entries are faults with file, line and key.

use std::collections::BTreeMap;

use crate::domain::country::{Country, NotACountry};
use crate::domain::input::document::{Document, FileFault};
use crate::domain::input::fields::{self, Node};
use crate::domain::money::{Money, NotMoney};
use crate::domain::team::{NotATeam, Team};
use crate::policy::file::{Policy, fingerprint};
use crate::policy::rules::{ANY_TEAM, AllowedCountries, ApprovalRule, Assignees, GroupRule, TeamRules};
use crate::policy::service_accounts;

/// The largest cap. It is more than any organization needs, and keeps every sum in range.
const MOST: i64 = 1_000_000;

impl Policy {
    /// Parses a policy file without service accounts; `file` is the file name in faults.
    ///
    /// An empty text is a policy that allows nothing.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<FileFault>> {
        Self::parse_for(file, text, &[])
    }

    /// Parses a policy file that may grant permissions to service accounts of these clusters (issuers).
    pub fn parse_for(file: &str, text: &str, clusters: &[String]) -> Result<Self, Vec<FileFault>> {
        let document = Document::parse(file, text)?;
        let mut policy = fields::read(document.root(), |root| policy(root, clusters))
            .map_err(|faults| document.locate(faults))?;
        policy.fingerprint = fingerprint(text);
        Ok(policy)
    }
}

/// Reads the whole file: `[teams.…]`, `[[service_accounts]]` and `[prices]`.
fn policy(root: Node<'_>, clusters: &[String]) -> Option<Policy> {
    let mut file = root.fields()?;
    // Prices come first, because the check of a team's budget needs them.
    let prices = file.optional("prices", |node| node.entries(|name, node| price(name, &node)));
    let listed: Option<BTreeMap<Option<Country>, Money>> =
        prices.map(|prices| prices.into_iter().flatten().collect());
    let teams = file.optional("teams", |node| {
        node.entries(|name, node| team(name, &node, listed.as_ref()))
    });
    let teams: Option<BTreeMap<String, TeamRules>> = teams.map(|teams| teams.into_iter().flatten().collect());
    let accounts = file.optional("service_accounts", |node| {
        service_accounts::read(&node, teams.as_ref(), clusters)
    });
    file.finish()?;
    let mut prices = listed?;
    Some(Policy {
        teams: teams?,
        service_accounts: accounts?.unwrap_or_default(),
        default_price: prices.remove(&None),
        prices: prices
            .into_iter()
            .filter_map(|(country, price)| Some((country?, price)))
            .collect(),
        fingerprint: String::new(),
    })
}

/// Reads one price: of a country, or of all other countries (`default` in the file, `None` here).
fn price(name: &str, node: &Node<'_>) -> Option<(Option<Country>, Money)> {
    let country = match name.parse() {
        Ok(country) => Some(Some(country)),
        Err(_) if name == "default" => Some(None),
        Err(NotACountry) => node.fault(format!("the name {NotACountry}, or `default`")),
    };
    let amount = money(node);
    Some((country?, amount?))
}

fn team(
    name: &str,
    node: &Node<'_>,
    prices: Option<&BTreeMap<Option<Country>, Money>>,
) -> Option<(String, TeamRules)> {
    let named = if name == ANY_TEAM || name.parse::<Team>().is_ok() {
        Some(())
    } else {
        node.fault(format!("the name {NotATeam}, or \"*\" for any other team"))
    };
    let mut fields = node.clone().fields()?;
    let countries = fields.optional("countries", |node| allowed_countries(&node));
    let group_numbers = fields.optional("group_numbers", |node| group_rule(&node));
    let carrier_types = fields.optional("carrier_types", |node| node.list(|item| item.parse()));
    let max_numbers = fields.optional("max_numbers", |node| node.integer(0, MOST));
    let max_orders_per_day = fields.optional("max_orders_per_day", |node| node.integer(0, MOST));
    let monthly_budget = fields.optional("monthly_budget", |node| {
        let budget = money(&node)?;
        if let (Some(Some(countries)), Some(prices)) = (&countries, prices) {
            budget_has_prices(&node, countries, prices)?;
        }
        Some(budget)
    });
    let forward_to_countries = fields.optional("forward_to_countries", |node| country_list(&node));
    let assign_to = fields.optional("assign_to", |node| assignees(&node));
    let approval = fields.optional("approval", |node| {
        let allowed = countries
            .as_ref()
            .map(|countries| countries.as_ref().map_or(&[][..], AllowedCountries::most));
        approval_rule(node, allowed)
    });
    let release_delay = fields.optional("release_delay", |node| node.parse());
    fields.finish()?;
    named?;
    let rules = TeamRules {
        countries: countries?.unwrap_or_default(),
        group_numbers: group_numbers?.unwrap_or_default(),
        carrier_types: carrier_types?,
        max_numbers: max_numbers?,
        max_orders_per_day: max_orders_per_day?,
        monthly_budget: monthly_budget?,
        forward_to_countries: forward_to_countries?.unwrap_or_default(),
        assign_to: assign_to?.unwrap_or_default(),
        approval: approval?,
        release_delay: release_delay?,
    };
    Some((name.to_owned(), rules))
}

/// Checks that every allowed country has a price. Without one, the budget can't be checked.
fn budget_has_prices(
    node: &Node<'_>,
    countries: &AllowedCountries,
    prices: &BTreeMap<Option<Country>, Money>,
) -> Option<()> {
    let lacks = |country: &&Country| !prices.contains_key(&None) && !prices.contains_key(&Some(**country));
    let missing: Vec<&str> = countries
        .most()
        .iter()
        .filter(lacks)
        .map(Country::as_str)
        .collect();
    if missing.is_empty() {
        Some(())
    } else {
        node.fault(format!(
            "a budget needs a price for every allowed country: add {} or `default` to [prices]",
            missing.join(", ")
        ))
    }
}

fn allowed_countries(node: &Node<'_>) -> Option<AllowedCountries> {
    if node.value().is_array() {
        return country_list(node).map(AllowedCountries::List);
    }
    if !node.value().is_object() {
        return node.fault(
            "must be a list like [\"DE\", \"FR\"], or { claim = \"/phone/countries\", within = [\"DE\", \"FR\"] }",
        );
    }
    let mut fields = node.clone().fields()?;
    let pointer = fields.required("claim", |node| node.parse());
    let within = fields.required("within", |node| country_list(&node));
    fields.finish()?;
    Some(AllowedCountries::Claim {
        pointer: pointer?,
        within: within?,
    })
}

fn country_list(node: &Node<'_>) -> Option<Vec<Country>> {
    node.list(|item| item.parse())
}

fn group_rule(node: &Node<'_>) -> Option<GroupRule> {
    if let Some(everybody) = node.value().as_bool() {
        return Some(if everybody {
            GroupRule::Everybody
        } else {
            GroupRule::Nobody
        });
    }
    if !node.value().is_object() {
        return node.fault("must be true, false, or { permission = \"numbers:group\" }");
    }
    let mut fields = node.clone().fields()?;
    let permission = fields.required("permission", |node| {
        let text = node.string()?;
        if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Some(text.to_owned())
        } else {
            node.fault("must be a permission like \"numbers:group\", without spaces")
        }
    });
    fields.finish()?;
    permission.map(GroupRule::Permission)
}

fn assignees(node: &Node<'_>) -> Option<Assignees> {
    match node.value() {
        serde_json::Value::String(text) if text == "self" => Some(Assignees::SelfOnly),
        serde_json::Value::String(text) if text == "anyone" => Some(Assignees::Anyone),
        serde_json::Value::Array(_) => node.list(|item| item.parse()).map(Assignees::Users),
        serde_json::Value::Object(_) => {
            let mut fields = node.clone().fields()?;
            let group = fields.required("group", |node| node.parse());
            fields.finish()?;
            group.map(Assignees::Group)
        }
        _ => node.fault(
            "must be \"self\", \"anyone\", a list of Close user ids like [\"user_…\"], or { group = \"group_…\" }",
        ),
    }
}

/// Reads `{ above_monthly, group_numbers, countries }`.
///
/// `allowed` are the countries in which the team may order; `None` if they have a fault.
fn approval_rule(node: Node<'_>, allowed: Option<&[Country]>) -> Option<ApprovalRule> {
    let mut fields = node.fields()?;
    let empty = ["above_monthly", "group_numbers", "countries"]
        .iter()
        .all(|name| !fields.has(name));
    let above_monthly = fields.optional("above_monthly", |node| money(&node));
    let group_numbers = fields.optional("group_numbers", |node| node.boolean());
    let countries = fields.optional("countries", |node| {
        node.list(|item| {
            let country = item.parse()?;
            if allowed.is_some_and(|allowed| !allowed.contains(&country)) {
                return item.fault(format!(
                    "the team may not order in {country}: add it to the team's `countries`, or remove it here"
                ));
            }
            Some(country)
        })
    });
    let whole = fields.node().clone();
    fields.finish()?;
    if empty {
        return whole.fault(
            "must have at least one of `above_monthly`, `group_numbers` and `countries`, \
             such as { group_numbers = true }",
        );
    }
    Some(ApprovalRule {
        above_monthly: above_monthly?,
        group_numbers: group_numbers?,
        countries: countries?,
    })
}

fn money(node: &Node<'_>) -> Option<Money> {
    if node.value().is_number() {
        return node.fault(format!("{NotMoney}, in quotes"));
    }
    node.parse()
}

#[cfg(test)]
mod tests;
