//! Explains a decision as text, for a person at a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use crate::domain::caller::Caller;
use crate::domain::decision::{Decision, Usage};
use crate::domain::id::UserId;
use crate::domain::order::Request;
use crate::domain::team::Team;
use crate::policy::decide::{Ruling, decide_rent};
use crate::policy::file::Policy;
use crate::policy::rules::Members;

/// Returns the decision about an order, its rule, values and hint, and the rules of the team.
///
/// The text has several lines, each with a line feed at its end. The members of Close groups are unknown here.
pub fn explain(policy: &Policy, caller: &Caller, team: &Team, request: &Request, usage: &Usage) -> String {
    let Ruling {
        decision,
        terms,
        approval,
    } = decide_rent(policy, caller, team, request, usage, &Members::new());
    let why = decision.explanation();
    let verdict = match &decision {
        Decision::Allowed(_) => "allowed",
        Decision::Denied(..) => "denied",
    };
    let mut lines = vec![(verdict, format!("by {}", why.rule))];
    lines.push(("have", shown(&why.have)));
    if !why.need.is_null() {
        lines.push(("need", shown(&why.need)));
    }
    lines.push(("hint", why.hint.clone()));
    if let Some(terms) = terms {
        let kind = terms.carrier_type.map_or("any", |kind| kind.as_str());
        let users = terms
            .assign_to
            .map_or("the owner of the API key".to_owned(), |users| {
                users.iter().map(UserId::as_str).collect::<Vec<_>>().join(", ")
            });
        lines.push((
            "terms",
            format!(
                "{kind} line for {users}, estimated at {} USD a month",
                terms.monthly
            ),
        ));
    }
    if let Some(why) = approval {
        lines.push(("approval", format!("by {}: {}", why.rule, why.hint)));
    }
    let mut text = String::new();
    for (name, content) in lines {
        writeln!(text, "{name:<8} {content}").expect("a write to a string never fails");
    }
    if let Some((path, rules)) = policy.rules(team) {
        writeln!(text, "\n[{path}]").expect("a write to a string never fails");
        if let Ok(Value::Object(rules)) = serde_json::to_value(rules) {
            for (key, rule) in &rules {
                writeln!(text, "{key} = {}", shown(rule)).expect("a write to a string never fails");
            }
        }
    }
    text
}

/// Returns a value as TOML on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let members: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{key} = {}", shown(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::{alice, policy, request, sales};
    use serde_json::json;

    #[test]
    fn a_denial_names_rule_have_need_and_hint_and_shows_the_rules() {
        let policy = policy("countries = [\"DE\"]\nmax_numbers = 5");
        let order = request(&json!({"country": "US"}));
        assert_eq!(
            explain(&policy, &alice(), &sales(), &order, &Usage::default()),
            "denied   by teams.sales.countries\n\
             have     \"US\"\n\
             need     [\"DE\"]\n\
             hint     request one of DE, or ask the platform team to add US to teams.sales.countries\n\
             \n\
             [teams.sales]\n\
             countries = [\"DE\"]\n\
             group_numbers = false\n\
             max_numbers = 5\n\
             forward_to_countries = []\n\
             assign_to = \"self\"\n"
        );
    }

    #[test]
    fn an_allowed_order_shows_its_terms_and_the_remaining_budget() {
        let policy = policy("countries = [\"DE\"]\ncarrier_types = [\"local\"]\nmonthly_budget = \"20.00\"");
        let order = request(&json!({"country": "DE"}));
        let text = explain(&policy, &alice(), &sales(), &order, &Usage::default());
        assert!(text.starts_with("allowed  by teams.sales\n"), "{text}");
        assert!(
            text.contains("terms    local line for user_ALICE, estimated at 5.00 USD a month\n"),
            "{text}"
        );
        assert!(
            text.contains("remaining for sales after this: 15.00 of 20.00 USD a month"),
            "{text}"
        );
    }

    #[test]
    fn the_denial_of_a_team_without_rules_names_no_other_team() {
        let policy = policy("countries = [\"DE\"]");
        let text = explain(
            &policy,
            &alice(),
            &"b".parse().unwrap(),
            &request(&json!({"country": "DE"})),
            &Usage::default(),
        );
        assert!(
            text.starts_with("denied   by teams.b\n") && !text.contains("sales"),
            "{text}"
        );
    }
}
