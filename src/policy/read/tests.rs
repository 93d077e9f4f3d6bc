//! Tests of the policy reader.

use crate::policy::Policy;
use proptest::prelude::*;
use serde_json::json;

fn faults(text: &str) -> Vec<String> {
    Policy::parse("policy.toml", text)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn all_faults_are_reported_at_once_with_file_line_and_key() {
    let text = r#"[teams.sales]
countries = ["DE", "Germany", 5]
group_numbers = "yes"
carrier_types = ["local", "fax"]
max_numbers = -1
max_orders_per_day = 1.5
monthly_budget = "120.5"
forward_to_countries = "DE"
assign_to = ["user_A", "bob"]
contries = []

[teams.claimed]
countries = { claim = "phone.countries" }
group_numbers = { permission = "" }
monthly_budget = 120.00
assign_to = { group = "user_A" }

[teams."a b"]
assign_to = "me"

[teams.poor]
countries = ["DE", "US"]
monthly_budget = "10.00"

[prices]
US = "1.15"
XX = "1.00"
FR = 1

[price]
"#;
    let expected = r#"policy.toml:2: teams.sales.countries[1]: must be an ISO 3166 country code of two capital letters, like "DE"
policy.toml:2: teams.sales.countries[2]: must be a string, not a number
policy.toml:3: teams.sales.group_numbers: must be true, false, { permission = "numbers:group" }, or { claim = "/may_rent_group" }
policy.toml:4: teams.sales.carrier_types[1]: must be one of local, national, mobile, tollfree
policy.toml:5: teams.sales.max_numbers: must be a whole number from 0 to 1000000
policy.toml:6: teams.sales.max_orders_per_day: must be a whole number from 0 to 1000000
policy.toml:7: teams.sales.monthly_budget: must be an amount in US dollars like "120.00": digits, a point and two decimals
policy.toml:8: teams.sales.forward_to_countries: must be an array, not a string
policy.toml:9: teams.sales.assign_to[1]: must be an id like `user_…`: the prefix and 1 to 64 letters or digits
policy.toml:10: teams.sales.contries: unknown key `contries`; did you mean `countries`?
policy.toml:13: teams.claimed.countries.claim: must be a JSON pointer into the token, which begins with a slash, like "/phone/countries"; in the name of a claim, `/` is written `~1` and `~` is written `~0`
policy.toml:14: teams.claimed.group_numbers.permission: must be a permission like "numbers:group", without spaces
policy.toml:15: teams.claimed.monthly_budget: must be an amount in US dollars like "120.00": digits, a point and two decimals, in quotes
policy.toml:16: teams.claimed.assign_to.group: must be an id like `group_…`: the prefix and 1 to 64 letters or digits
policy.toml:18: teams."a b": the name must be a team name: 1 to 64 letters, digits, `-`, `_` or `.`, or "*" for any other team
policy.toml:19: teams."a b".assign_to: must be "self", "anyone", a list of Close user ids like ["user_…"], or { group = "group_…" }
policy.toml:27: prices.XX: the name, unless it is `default`, must be a country code of ISO 3166, which `XX` is not
policy.toml:28: prices.FR: must be an amount in US dollars like "120.00": digits, a point and two decimals, in quotes
policy.toml:30: price: unknown key `price`; did you mean `prices`?"#;
    let expected: Vec<&str> = expected.lines().collect();
    assert_eq!(faults(text), expected);
}

#[test]
fn a_budget_without_a_price_for_an_allowed_country_and_without_a_default_is_a_fault() {
    let team =
        "[teams.s]\ncountries = { claim = \"/c\", within = [\"DE\", \"US\"] }\nmonthly_budget = \"1.00\"\n";
    assert_eq!(
        faults(&format!("{team}[prices]\nUS = \"1.15\"")),
        [
            "policy.toml:3: teams.s.monthly_budget: a budget needs a price for every allowed country: \
             add DE or `default` to [prices]"
        ]
    );
    assert_eq!(faults(team).len(), 1);
    assert!(Policy::parse("p", &format!("{team}[prices]\ndefault = \"5.00\"")).is_ok());
    assert!(Policy::parse("p", &format!("{team}[prices]\nUS = \"1.15\"\nDE = \"5.00\"")).is_ok());
}

#[test]
fn rules_are_serialized_as_they_were_written() {
    let text = r#"
        [teams.full]
        countries = { claim = "/phone/countries", within = ["DE", "FR"] }
        group_numbers = { permission = "numbers:group" }
        carrier_types = ["local", "mobile"]
        max_numbers = 50
        max_orders_per_day = 10
        monthly_budget = "120.00"
        forward_to_countries = ["DE"]
        assign_to = { group = "group_A" }
        release_delay = "24h"
        [teams.short]
        [teams.other]
        countries = ["DE"]
        group_numbers = true
        assign_to = ["user_A"]
        [prices]
        default = "5.00"
    "#;
    let policy = Policy::parse("p", text).unwrap();
    let shown = |team: &str| serde_json::to_value(policy.rules(&team.parse().unwrap()).unwrap().1).unwrap();
    assert_eq!(
        shown("full"),
        json!({"countries": {"claim": "/phone/countries", "within": ["DE", "FR"]},
            "group_numbers": {"permission": "numbers:group"}, "carrier_types": ["local", "mobile"],
            "max_numbers": 50, "max_orders_per_day": 10, "monthly_budget": "120.00",
            "forward_to_countries": ["DE"], "assign_to": {"group": "group_A"}, "release_delay": "24h"})
    );
    assert_eq!(
        shown("short"),
        json!({"countries": [], "group_numbers": false, "forward_to_countries": [], "assign_to": "self"})
    );
    assert_eq!(shown("other")["assign_to"], json!(["user_A"]));
}

#[test]
fn a_release_delay_is_from_one_minute_to_90_days() {
    let policy = |delay: &str| format!("[teams.s]\nrelease_delay = {delay}\n");
    for good in ["1m", "60s", "24h", "90d"] {
        let policy = Policy::parse("p", &policy(&format!("\"{good}\""))).unwrap();
        let team = "s".parse().unwrap();
        assert_eq!(
            policy.release_delay(&team),
            Some(good.parse::<crate::domain::time::Span>().unwrap().0)
        );
        assert_eq!(policy.release_delay(&"other".parse().unwrap()), None);
    }
    for bad in [
        "\"59s\"",
        "\"0s\"",
        "\"2161h\"",
        "\"91d\"",
        "\"a day\"",
        "\"\"",
        "\"-1h\"",
    ] {
        assert_eq!(
            faults(&policy(bad)),
            [
                "policy.toml:2: teams.s.release_delay: must be a length of time from \"1m\" to \"90d\", \
                 like \"24h\""
            ],
            "{bad}"
        );
    }
    assert_eq!(
        faults(&policy("24")),
        ["policy.toml:2: teams.s.release_delay: must be a string, not a number"]
    );
}

#[test]
fn a_syntax_error_names_the_file() {
    assert!(faults("[teams.sales]\ncountries = [\"DE\"\nmax_numbers = 1\n")[0].starts_with("policy.toml:"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        key in "(teams|prices|teams\\.a|teams\\.\"\\*\"|\\PC{0,9})",
        field in "(countries|group_numbers|monthly_budget|assign_to|max_numbers|default|US|\\PC{0,9})",
        value in "(\\[\"DE\"\\]|true|-?[0-9]{1,30}|\"\\PC{0,9}\"|\\{ ?(claim|group|within) ?= ?\"/?[a-z~]{0,3}\" ?\\}|\\PC{0,20})",
    ) {
        let _ = Policy::parse("p", &format!("[{key}]\n{field} = {value}\n"));
    }
}
