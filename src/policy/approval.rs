//! Must a second person agree? It is asked last: only what is allowed can be approved.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::caller::Permission;
use crate::domain::country::Country;
use crate::domain::decision::Explanation;
use crate::domain::input::fields::Node;
use crate::domain::money::Money;
use crate::domain::number::Number;
use crate::domain::order::Request;
use crate::policy::denial::{Asked, Denial, value};
use crate::policy::read::money;

const KEY: &str = "approval";

/// Which orders of a team a second person has to approve: those that meet one of these. It is written as in the
/// policy file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApprovalRule {
    /// Those for a number whose monthly price is above this, or not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_monthly: Option<Money>,
    /// Those for a number that several people share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_numbers: Option<bool>,
    /// Those for a number in one of these countries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countries: Option<Vec<Country>>,
}

impl ApprovalRule {
    /// Reads `{ above_monthly, group_numbers, countries }`. `allowed` is where the team may order, as far as that
    /// could be read.
    pub(super) fn read(node: Node<'_>, allowed: Option<&[Country]>) -> Option<Self> {
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
                        "the team may not order in {country}: add it to the team's `countries`, or leave it out here"
                    ));
                }
                Some(country)
            })
        });
        let whole = fields.node().clone();
        fields.finish()?;
        if empty {
            return whole.fault(
                "must say for what: `above_monthly`, `group_numbers` or `countries`, such as { group_numbers = true }",
            );
        }
        Some(Self {
            above_monthly: above_monthly?,
            group_numbers: group_numbers?,
            countries: countries?,
        })
    }
}

/// The first member of the team's rule that asks for a second person; `price` is the estimate, if there is one.
pub(super) fn asks(asked: &Asked<'_>, request: &Request, price: Option<Money>) -> Option<Explanation> {
    let rule = asked.rules.approval.as_ref()?;
    let country = request.country;
    if rule
        .countries
        .as_ref()
        .is_some_and(|countries| countries.contains(&country))
    {
        return Some(second_person(
            asked,
            "countries",
            value(country),
            &format!("a number in {country}"),
        ));
    }
    if rule.group_numbers == Some(true) && request.group() {
        return Some(second_person(
            asked,
            "group_numbers",
            json!("group"),
            "a number that several people share",
        ));
    }
    let limit = rule.above_monthly?;
    match price {
        Some(price) if price <= limit => None,
        Some(price) => {
            let what = format!("a number for {price} USD a month, which is above {limit}");
            Some(second_person(asked, "above_monthly", value(price), &what))
        }
        None => Some(second_person(
            asked,
            "above_monthly",
            Value::Null,
            "a number whose monthly price is not known",
        )),
    }
}

/// A personal number that a change would make a group number has not been approved as one.
pub(super) fn no_way_round(asked: &Asked<'_>, number: &Number) -> Result<(), Denial> {
    let rule = asked.rules.approval.as_ref().and_then(|rule| rule.group_numbers);
    if number.facts.group || rule != Some(true) {
        return Ok(());
    }
    let hint = "order a number with `sharing: \"group\"`, which a second person can approve: a change can't wait for one";
    Err(asked.deny(&member("group_numbers"), "personal", need(), hint.to_owned()))
}

fn second_person(asked: &Asked<'_>, name: &str, have: Value, what: &str) -> Explanation {
    Explanation {
        rule: asked.rule(&member(name)),
        have,
        need: need(),
        hint: format!(
            "someone else with the permission {} has to approve {what}",
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

    fn why(rule: &str, body: &Value) -> Option<Explanation> {
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
        // A number in DE is reckoned at 5.00.
        let order = json!({"country": "DE"});
        assert_eq!(why("{ above_monthly = \"5.00\" }", &order), None);
        let why = why("{ above_monthly = \"4.99\" }", &order).unwrap();
        assert_eq!(why.rule, "teams.sales.approval.above_monthly");
        assert_eq!(
            (why.have, why.need),
            (json!("5.00"), json!({"permission": "orders:approve"}))
        );
        assert_eq!(
            why.hint,
            "someone else with the permission orders:approve has to approve \
             a number for 5.00 USD a month, which is above 4.99"
        );
    }

    #[test]
    fn a_price_that_nobody_knows_needs_a_second_person() {
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
    fn a_number_for_several_people_and_one_in_a_country_that_is_named_need_a_second_person() {
        let group = "{ group_numbers = true }";
        assert_eq!(why(group, &json!({"country": "DE"})), None);
        for body in [
            json!({"country": "DE", "sharing": "group"}),
            json!({"country": "DE", "assign_to": ["user_A", "user_B"]}),
        ] {
            assert_eq!(
                why(group, &body).unwrap().rule,
                "teams.sales.approval.group_numbers"
            );
            assert_eq!(why("{ group_numbers = false }", &body), None);
        }
        let country = "{ countries = [\"US\"] }";
        assert_eq!(why(country, &json!({"country": "DE"})), None);
        let why = why(country, &json!({"country": "US"})).unwrap();
        assert_eq!(
            (why.rule.as_str(), why.have),
            ("teams.sales.approval.countries", json!("US"))
        );
    }

    #[test]
    fn what_is_denied_needs_nobody_s_approval() {
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
    fn a_personal_number_is_not_made_a_group_number_behind_the_second_person_s_back() {
        let (policy, team) = (
            policy(&format!("{OPEN}approval = {{ group_numbers = true }}")),
            sales(),
        );
        let asked = Asked::of(&policy, &team).unwrap();
        let mut number = number();
        let no = Decision::from(no_way_round(&asked, &number).unwrap_err());
        assert!(
            matches!(&no, Decision::Denied(Refusal::Policy, why) if why.rule == "teams.sales.approval.group_numbers")
        );
        number.facts.group = true;
        assert!(no_way_round(&asked, &number).is_ok());
    }

    #[test]
    fn a_rule_that_says_nothing_or_names_what_can_t_be_is_a_fault_with_line_and_key() {
        assert_eq!(
            faults("approval = {}"),
            [
                "p.toml:2: teams.sales.approval: must say for what: `above_monthly`, `group_numbers` or `countries`, \
                 such as { group_numbers = true }"
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
                 add it to the team's `countries`, or leave it out here",
                "p.toml:7: teams.sales.approval.above_montly: unknown key `above_montly`; did you mean `above_monthly`?",
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
    fn the_rule_is_shown_as_it_is_written_and_explained() {
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
                "approval by teams.sales.approval.above_monthly: someone else with the permission orders:approve \
                 has to approve a number for 5.00 USD a month, which is above 1.00\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("approval = { above_monthly = \"1.00\", countries = [\"US\"] }\n"),
            "{text}"
        );
    }
}
