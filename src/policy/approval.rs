//! Decides whether a second person must approve an order.
//!
//! This check comes last, because only an allowed order can be approved.

use serde_json::{Value, json};

use crate::domain::decision::Explanation;
use crate::domain::money::Money;
use crate::domain::number::Number;
use crate::domain::order::Request;
use crate::domain::permission::Permission;
use crate::policy::amount::Amount;
use crate::policy::denial::{Denial, TeamPolicy, value};

const KEY: &str = "approval";

/// Returns why a second person must approve the order; `None` if the order needs no approval.
///
/// `price` is the estimated monthly price; `None` if it is unknown.
pub(super) fn required(
    team_policy: &TeamPolicy<'_>,
    request: &Request,
    price: Option<Money>,
) -> Option<Explanation> {
    let rule = team_policy.rules.approval.as_ref()?;
    let country = request.country;
    if rule
        .countries
        .as_ref()
        .is_some_and(|countries| countries.contains(&country))
    {
        return Some(second_person(
            team_policy,
            "countries",
            value(country),
            &format!("a number in {country}"),
        ));
    }
    if rule.group_numbers == Some(true) && request.several_people() {
        return Some(second_person(
            team_policy,
            "group_numbers",
            json!({"people": "several"}),
            "a number for several people",
        ));
    }
    let Amount(limit) = rule.above_monthly?;
    match price {
        Some(price) if price <= limit => None,
        Some(price) => {
            let what = format!("a number for {price} USD a month, which is above {limit}");
            Some(second_person(team_policy, "above_monthly", value(price), &what))
        }
        None => Some(second_person(
            team_policy,
            "above_monthly",
            Value::Null,
            "a number whose monthly price is unknown",
        )),
    }
}

/// Denies a patch that gives a number of one person to several, if such numbers need approval.
///
/// Otherwise a caller could order a number for one person and avoid the approval.
pub(super) fn forbid_bypass(team_policy: &TeamPolicy<'_>, number: &Number) -> Result<(), Denial> {
    let rule = team_policy
        .rules
        .approval
        .as_ref()
        .and_then(|rule| rule.group_numbers);
    if number.facts.group || rule != Some(true) {
        return Ok(());
    }
    let hint = "order a number for several people instead (`sharing: \"group\"`, or several users in `assign_to`): \
                a second person can approve an order, but not a change";
    let have = json!({"people": "one"});
    Err(team_policy.deny(&member("group_numbers"), have, need(), hint.to_owned()))
}

fn second_person(team_policy: &TeamPolicy<'_>, name: &str, have: Value, what: &str) -> Explanation {
    Explanation {
        rule: team_policy.rule(&member(name)),
        have,
        need: need(),
        hint: format!(
            "another person with the permission {} must approve {what}",
            Permission::OrdersApprove
        ),
    }
}

fn member(name: &str) -> String {
    format!("{KEY}.{name}")
}

fn need() -> Value {
    json!({"permission": Permission::OrdersApprove.as_str()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::{Decision, Refusal, Usage};
    use crate::policy::sample::{alice, number, policy, request, sales};
    use crate::policy::{Members, Policy, decide_rent, explain};

    const OPEN: &str = "countries = [\"DE\", \"US\"]\ngroup_numbers = true\nassign_to = \"anyone\"\n";

    fn approval(rule: &str, body: &Value) -> Option<Explanation> {
        let policy = policy(&format!("{OPEN}approval = {rule}"));
        let ruling = decide_rent(
            &policy,
            &alice(),
            &sales(),
            &request(body),
            &Usage::default(),
            &Members::new(),
        );
        assert!(ruling.decision.allowed());
        ruling.approval
    }

    fn faults(rules: &str) -> Vec<String> {
        let faults = Policy::parse("p.toml", &format!("[teams.sales]\n{rules}")).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_price_above_the_limit_needs_a_second_person_and_one_at_the_limit_does_not() {
        // The estimated price of a number in DE is 5.00.
        let order = json!({"country": "DE"});
        assert_eq!(approval("{ above_monthly = \"5.00\" }", &order), None);
        let why = approval("{ above_monthly = \"4.99\" }", &order).unwrap();
        assert_eq!(why.rule, "teams.sales.approval.above_monthly");
        assert_eq!(
            (why.have, why.need),
            (json!("5.00"), json!({"permission": "orders:approve"}))
        );
        assert_eq!(
            why.hint,
            "another person with the permission orders:approve must approve \
             a number for 5.00 USD a month, which is above 4.99"
        );
    }

    #[test]
    fn an_unknown_price_needs_a_second_person() {
        let text = format!("[teams.sales]\n{OPEN}approval = {{ above_monthly = \"50.00\" }}");
        let policy = Policy::parse("p", &text).unwrap();
        let order = request(&json!({"country": "DE"}));
        let ruling = decide_rent(
            &policy,
            &alice(),
            &sales(),
            &order,
            &Usage::default(),
            &Members::new(),
        );
        assert_eq!(ruling.terms.unwrap().monthly, Money::ZERO);
        assert_eq!(ruling.approval.unwrap().have, Value::Null);
    }

    #[test]
    fn group_numbers_and_numbers_in_listed_countries_need_a_second_person() {
        let group = "{ group_numbers = true }";
        assert_eq!(approval(group, &json!({"country": "DE"})), None);
        for body in [
            json!({"country": "DE", "sharing": "group"}),
            json!({"country": "DE", "assign_to": ["user_A", "user_B"]}),
        ] {
            assert_eq!(
                approval(group, &body).unwrap().rule,
                "teams.sales.approval.group_numbers"
            );
            assert_eq!(approval("{ group_numbers = false }", &body), None);
        }
        let country = "{ countries = [\"US\"] }";
        assert_eq!(approval(country, &json!({"country": "DE"})), None);
        let why = approval(country, &json!({"country": "US"})).unwrap();
        assert_eq!(
            (why.rule.as_str(), why.have),
            ("teams.sales.approval.countries", json!("US"))
        );
    }

    #[test]
    fn a_denied_order_needs_no_approval() {
        let policy = policy("countries = [\"DE\"]\nmax_numbers = 0\napproval = { countries = [\"DE\"] }");
        let order = request(&json!({"country": "DE"}));
        let ruling = decide_rent(
            &policy,
            &alice(),
            &sales(),
            &order,
            &Usage::default(),
            &Members::new(),
        );
        assert_eq!((ruling.terms, ruling.approval), (None, None));
    }

    #[test]
    fn a_patch_may_not_make_a_group_number_if_group_numbers_need_approval() {
        let (policy, team) = (
            policy(&format!("{OPEN}approval = {{ group_numbers = true }}")),
            sales(),
        );
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        let mut number = number();
        let denied = Decision::from(forbid_bypass(&team_policy, &number).unwrap_err());
        assert!(
            matches!(&denied, Decision::Denied(Refusal::Policy, why) if why.rule == "teams.sales.approval.group_numbers")
        );
        number.facts.group = true;
        assert!(forbid_bypass(&team_policy, &number).is_ok());
    }

    #[test]
    fn an_empty_or_impossible_rule_is_a_fault_with_line_and_key() {
        assert_eq!(
            faults("approval = {}"),
            [
                "p.toml:2: teams.sales.approval: must have at least one of `above_monthly`, `group_numbers` and \
                 `countries`, such as { group_numbers = true }"
            ]
        );
        assert_eq!(
            faults(
                "countries = [\"DE\"]\n[teams.sales.approval]\nabove_monthly = 50\ngroup_numbers = \"yes\"\n\
                 countries = [\"DE\", \"BR\"]\nabove_montly = \"1.00\""
            ),
            [
                "p.toml:4: teams.sales.approval.above_monthly: must be an amount in US dollars like \"120.00\": \
                 digits, a point and two decimals, in quotes",
                "p.toml:5: teams.sales.approval.group_numbers: must be true or false, not a string",
                "p.toml:6: teams.sales.approval.countries[1]: the team may not order in BR: \
                 add it to the team's `countries`, or remove it here",
                "p.toml:7: teams.sales.approval.above_montly: unknown key `above_montly`; \
                 did you mean `above_monthly`?",
            ]
        );
        assert_eq!(
            faults("approval = { countries = [\"DE\"] }").len(),
            1,
            "the team may order nowhere"
        );
        let claimed =
            "countries = { claim = \"/c\", within = [\"BR\"] }\napproval = { countries = [\"BR\"] }";
        assert!(Policy::parse("p", &format!("[teams.sales]\n{claimed}")).is_ok());
    }

    #[test]
    fn the_rule_is_serialized_as_written_and_explained() {
        let policy = policy(&format!(
            "{OPEN}approval = {{ above_monthly = \"1.00\", countries = [\"US\"] }}"
        ));
        let rules = serde_json::to_value(policy.rules(&sales()).unwrap().1).unwrap();
        assert_eq!(
            rules["approval"],
            json!({"above_monthly": "1.00", "countries": ["US"]})
        );
        let order = request(&json!({"country": "DE"}));
        let text = explain(&policy, &alice(), &sales(), &order, &Usage::default());
        assert!(
            text.contains(
                "approval by teams.sales.approval.above_monthly: another person with the permission orders:approve \
                 must approve a number for 5.00 USD a month, which is above 1.00\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("approval = { above_monthly = \"1.00\", countries = [\"US\"] }\n"),
            "{text}"
        );
    }
}
