//! Tests of whole decisions. Those about changes of a number are in `update`.

mod update;

use super::*;
use crate::domain::decision::Refusal;
use crate::domain::input::read::read;
use crate::domain::later_word::LaterMembers;
use crate::domain::number::CarrierType;
use crate::policy::sample::{alice, alice_with, app, members, number, policy, request, sales, user};
use proptest::prelude::*;

const OPEN: &str = "countries = [\"DE\", \"US\"]\nassign_to = \"anyone\"\n";

fn ruling(rules: &str, caller: &Caller, body: &Value, usage: &Usage) -> Ruling {
    decide_rent(
        &policy(rules),
        caller,
        &sales(),
        &request(body),
        usage,
        &Members::new(),
    )
}

fn rule(decision: &Decision) -> (bool, &str) {
    (decision.allowed(), &decision.explanation().rule)
}

#[test]
fn an_allowed_order_has_terms_and_a_hint_with_the_remaining_caps() {
    let rules = "countries = [\"US\"]\ncarrier_types = [\"local\"]\nmax_numbers = 50\n\
                 max_orders_per_day = 10\nmonthly_budget = \"120.00\"";
    let usage = Usage {
        numbers_held: 3,
        orders_last_day: 1,
        refused_last_hour: 0,
        refused_wait_seconds: 0,
        ..Usage::default()
    };
    let Ruling { decision, terms, .. } = ruling(rules, &alice(), &json!({"country": "US"}), &usage);
    assert_eq!(rule(&decision), (true, "teams.sales"));
    assert_eq!(
        decision.explanation().hint,
        "remaining for sales after this: 46 of 50 numbers, 8 of 10 orders in 24 hours, 118.85 of 120.00 USD a month"
    );
    let expected = Terms {
        carrier_type: Some(CarrierType::Local),
        assign_to: Some(vec![user("ALICE")]),
        monthly: Money::from_cents(115),
        later: LaterMembers::new(),
    };
    assert_eq!(terms, Some(expected));
}

#[test]
fn a_team_without_rules_may_do_nothing() {
    let stranger: Team = "strangers".parse().unwrap();
    let usage = Usage::default();
    let order = request(&json!({"country": "DE"}));
    let rent = decide_rent(
        &policy(OPEN),
        &alice(),
        &stranger,
        &order,
        &usage,
        &Members::new(),
    );
    assert_eq!(rule(&rent.decision), (false, "teams.strangers"));
    assert_eq!(rent.terms, None);
    let changes = read::<NumberPatch>(&json!({"label": "x"})).unwrap();
    let update = decide_update(
        &policy(OPEN),
        &alice(),
        &stranger,
        &number(),
        &changes,
        &Members::new(),
    );
    assert!(!update.allowed());
    assert!(!decide_receive(&policy(OPEN), &stranger, &number(), &usage).allowed());
    let nothing = decide_rent(
        &Policy::nothing(),
        &alice(),
        &sales(),
        &order,
        &usage,
        &Members::new(),
    );
    assert_eq!(rule(&nothing.decision), (false, "teams.sales"));
}

#[test]
fn the_first_failed_check_decides() {
    let full = Usage {
        numbers_held: 1,
        orders_last_day: 1,
        refused_last_hour: 0,
        refused_wait_seconds: 0,
        monthly_held: Money::from_cents(100),
        ..Usage::default()
    };
    let bad =
        json!({"country": "FR", "carrier_type": "mobile", "sharing": "group", "assign_to": ["user_BOB"]});
    let steps = [
        ("countries = [\"DE\"]", "countries"),
        (
            "countries = [\"FR\"]\ncarrier_types = [\"local\"]",
            "carrier_types",
        ),
        ("countries = [\"FR\"]", "group_numbers"),
        ("countries = [\"FR\"]\ngroup_numbers = true", "assign_to"),
        (
            "countries = [\"FR\"]\ngroup_numbers = true\nassign_to = \"anyone\"\nmax_numbers = 1",
            "max_numbers",
        ),
        (
            "countries = [\"FR\"]\ngroup_numbers = true\nassign_to = \"anyone\"\nmax_orders_per_day = 1",
            "max_orders_per_day",
        ),
        (
            "countries = [\"FR\"]\ngroup_numbers = true\nassign_to = \"anyone\"\nmonthly_budget = \"5.99\"",
            "monthly_budget",
        ),
    ];
    let caps = "\nmax_numbers = 1\nmax_orders_per_day = 1\nmonthly_budget = \"1.00\"";
    for (rules, key) in steps {
        let rules = if rules.contains("anyone") {
            rules.to_owned()
        } else {
            format!("{rules}{caps}")
        };
        let Ruling { decision, terms, .. } = ruling(&rules, &alice(), &bad, &full);
        assert_eq!(rule(&decision), (false, format!("teams.sales.{key}").as_str()));
        assert_eq!(terms, None);
    }
    let open =
        "countries = [\"FR\"]\ngroup_numbers = true\nassign_to = \"anyone\"\nmonthly_budget = \"6.00\"";
    assert!(ruling(open, &alice(), &bad, &full).decision.allowed());
}

#[test]
fn an_order_for_two_users_is_a_group_order_even_if_its_sharing_is_personal() {
    let two = json!({"country": "DE", "sharing": "personal", "assign_to": ["user_A", "user_B"]});
    let denied = ruling(OPEN, &alice(), &two, &Usage::default()).decision;
    assert_eq!(rule(&denied), (false, "teams.sales.group_numbers"));
    let rules = format!("{OPEN}group_numbers = true");
    assert!(
        ruling(&rules, &alice(), &two, &Usage::default())
            .decision
            .allowed()
    );
}

#[test]
fn a_budget_denies_a_number_without_a_known_price() {
    // A valid file has a price for each country that the team may order in, but a received number can be from another.
    let text = "[teams.sales]\ncountries = [\"US\"]\nmonthly_budget = \"10.00\"\n[prices]\nUS = \"1.15\"";
    let policy = Policy::parse("p", text).unwrap();
    let mut orphan = Number {
        team: None,
        monthly: Money::ZERO,
        ..number()
    };
    let denied = decide_receive(&policy, &sales(), &orphan, &Usage::default());
    assert_eq!(rule(&denied), (false, "prices"));
    orphan.facts.billed = Some(Money::from_cents(1_000));
    assert!(decide_receive(&policy, &sales(), &orphan, &Usage::default()).allowed());
    orphan.facts.billed = Some(Money::from_cents(1_001));
    let Decision::Denied(refusal, _) = decide_receive(&policy, &sales(), &orphan, &Usage::default()) else {
        panic!("a price above the budget was allowed");
    };
    assert_eq!(refusal, Refusal::Budget);
    orphan.facts.kind = "external".into();
    assert!(decide_receive(&policy, &sales(), &orphan, &Usage::default()).allowed());
}

#[test]
fn a_team_at_its_cap_receives_only_numbers_that_it_already_owns() {
    let full = Usage {
        numbers_held: 1,
        numbers_reserved: 1,
        ..Usage::default()
    };
    let orphan = Number {
        team: None,
        ..number()
    };
    let denied = decide_receive(&policy("max_numbers = 2"), &sales(), &orphan, &full);
    assert_eq!(rule(&denied), (false, "teams.sales.max_numbers"));
    assert!(decide_receive(&policy("max_numbers = 2"), &sales(), &number(), &full).allowed());
    assert!(
        decide_receive(
            &policy("max_numbers = 3\nmax_orders_per_day = 0"),
            &sales(),
            &orphan,
            &full
        )
        .allowed()
    );
}

#[test]
fn members_of_the_allowed_group_may_get_numbers() {
    let policy = policy("countries = [\"DE\"]\nassign_to = { group = \"group_A\" }");
    let order = request(&json!({"country": "DE", "assign_to": ["user_BOB"]}));
    let decide =
        |members: &Members| decide_rent(&policy, &app(), &sales(), &order, &Usage::default(), members);
    assert!(decide(&members("group_A", &["BOB"])).decision.allowed());
    assert!(!decide(&members("group_A", &["CAROL"])).decision.allowed());
    assert!(!decide(&members("group_B", &["BOB"])).decision.allowed());
}

#[test]
fn no_denial_names_another_team() {
    let text = "[teams.sales]\n[teams.secret]\ncountries = [\"DE\"]\nassign_to = [\"user_SECRET\"]";
    let policy = Policy::parse("p", text).unwrap();
    let order = request(&json!({"country": "DE"}));
    for team in ["sales", "unknown"] {
        let team = team.parse().unwrap();
        let ruling = decide_rent(
            &policy,
            &alice(),
            &team,
            &order,
            &Usage::default(),
            &Members::new(),
        );
        let text = serde_json::to_string(ruling.decision.explanation())
            .unwrap()
            .to_lowercase();
        assert!(!text.contains("secret"), "{text}");
    }
}

/// The example policy of the documentation.
const EXAMPLE: &str = r#"
[teams.sales]
countries = ["DE", "FR", "GB"]
group_numbers = { permission = "numbers:group" }
carrier_types = ["local", "mobile"]
max_numbers = 50
max_orders_per_day = 10
monthly_budget = "120.00"
forward_to_countries = ["DE", "FR", "GB"]
assign_to = "self"

[prices]
US = "1.15"
default = "5.00"
"#;

#[test]
fn the_example_policy_decides_as_documented() {
    let policy = Policy::parse("policy.toml", EXAMPLE).unwrap();
    let decide = |caller: &Caller, body: Value, usage: &Usage| {
        let decision =
            decide_rent(&policy, caller, &sales(), &request(&body), usage, &Members::new()).decision;
        decision.explanation().rule.clone()
    };
    let none = Usage::default();
    let local = json!({"country": "DE", "carrier_type": "local"});
    assert_eq!(decide(&alice(), local.clone(), &none), "teams.sales");
    assert_eq!(
        decide(&alice(), json!({"country": "US"}), &none),
        "teams.sales.countries"
    );
    assert_eq!(
        decide(&alice(), json!({"country": "DE"}), &none),
        "teams.sales.carrier_types"
    );
    let group = json!({"country": "DE", "carrier_type": "local", "sharing": "group"});
    assert_eq!(
        decide(&alice(), group.clone(), &none),
        "teams.sales.group_numbers"
    );
    let permitted = alice_with(|token| {
        token.permissions.insert("numbers:group".into());
    });
    assert_eq!(decide(&permitted, group, &none), "teams.sales");
    let spent = Usage {
        monthly_held: Money::from_cents(11_501),
        ..none
    };
    assert_eq!(decide(&alice(), local, &spent), "teams.sales.monthly_budget");
}

proptest! {
    #[test]
    fn an_allowed_order_never_exceeds_a_cap(
        max_numbers in 0..6_i64, max_orders in 0..6_i64, budget in 0..3_000_i64,
        held in 0..6_i64, reserved in 0..6_i64, orders in 0..6_i64,
        monthly_held in 0..3_000_i64, monthly_reserved in 0..3_000_i64,
        country in "(DE|US|FR)",
    ) {
        let budget = Money::from_cents(budget);
        let rules = format!(
            "{OPEN}max_numbers = {max_numbers}\nmax_orders_per_day = {max_orders}\nmonthly_budget = \"{budget}\""
        );
        let usage = Usage {
            numbers_held: held,
            numbers_reserved: reserved,
            orders_last_day: orders,
            refused_last_hour: 0,
            refused_wait_seconds: 0,
            monthly_held: Money::from_cents(monthly_held),
            monthly_reserved: Money::from_cents(monthly_reserved),
        };
        let Ruling { decision, terms, .. } = ruling(&rules, &alice(), &json!({"country": country}), &usage);
        prop_assert_eq!(decision.allowed(), terms.is_some());
        let price = if country == "US" { 115 } else { 500 };
        let fits = country != "FR"
            && held + reserved < max_numbers
            && orders < max_orders
            && monthly_held + monthly_reserved + price <= budget.cents();
        prop_assert_eq!(decision.allowed(), fits);
        if let Some(terms) = terms {
            prop_assert_eq!(terms.monthly.cents(), price);
        }
    }
}
