//! Checks whether the caller may order a number in a country.

use serde_json::json;

use crate::domain::caller::Caller;
use crate::domain::country::Country;
use crate::policy::choices::{AllowedCountries, ClaimedCountries};
use crate::policy::denial::{Denial, TeamPolicy, listed};

const KEY: &str = "countries";

/// Returns the countries in which the caller may order, if `country` is one of them.
pub(super) fn check(
    team_policy: &TeamPolicy<'_>,
    caller: &Caller,
    country: Country,
) -> Result<Vec<Country>, Denial> {
    let (allowed, claim) = match &team_policy.rules.countries {
        AllowedCountries::List(countries) => (countries.clone(), None),
        AllowedCountries::Claim(ClaimedCountries { pointer, within }) => {
            let Some(claimed) = pointer.words(caller.claims()) else {
                let hint = format!(
                    "add the claim {pointer} to the token, as an array or a string of country codes: {} requires it",
                    team_policy.rule(KEY)
                );
                return Err(team_policy.deny(KEY, json!(null), json!({"claim": pointer}), hint));
            };
            let mut allowed: Vec<Country> = Vec::new();
            for country in claimed.iter().filter_map(|word| word.parse().ok()) {
                if is_within(within.as_deref(), country) && !allowed.contains(&country) {
                    allowed.push(country);
                }
            }
            (allowed, Some((pointer, within)))
        }
    };
    if allowed.contains(&country) {
        return Ok(allowed);
    }
    let rule = team_policy.rule(KEY);
    let remedy = match claim {
        Some((pointer, within)) if is_within(within.as_deref(), country) => {
            format!("add {country} to the token's claim {pointer}")
        }
        Some(_) => format!("ask the platform team to add {country} to {rule}.within"),
        None => format!("ask the platform team to add {country} to {rule}"),
    };
    let hint = if allowed.is_empty() {
        remedy
    } else {
        format!("request one of {}, or {remedy}", listed(&allowed))
    };
    Err(team_policy.deny(KEY, country, allowed, hint))
}

/// Whether the rule allows a token to name the country. Without `within`, it allows every country.
fn is_within(within: Option<&[Country]>, country: Country) -> bool {
    within.is_none_or(|within| within.contains(&country))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::{Decision, Explanation};
    use crate::policy::sample::{alice, alice_with, policy, sales};
    use serde_json::{Value, json};

    fn denied(rules: &str, caller: &Caller, country: &str) -> Explanation {
        let (policy, team) = (policy(rules), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        let denial = check(&team_policy, caller, country.parse().unwrap()).unwrap_err();
        Decision::from(denial).explanation().clone()
    }

    #[test]
    fn an_unlisted_country_is_denied_with_the_list_and_two_remedies() {
        let why = denied("countries = [\"DE\", \"FR\", \"GB\"]", &alice(), "US");
        assert_eq!(why.rule, "teams.sales.countries");
        assert_eq!((why.have, why.need), (json!("US"), json!(["DE", "FR", "GB"])));
        assert_eq!(
            why.hint,
            "request one of DE, FR, GB, or ask the platform team to add US to teams.sales.countries"
        );
        assert_eq!(
            denied("", &alice(), "US").hint,
            "ask the platform team to add US to teams.sales.countries"
        );
    }

    #[test]
    fn a_claim_allows_only_the_countries_that_within_lists_too() {
        let rules = "countries = { claim = \"/phone/countries\", within = [\"DE\", \"FR\"] }";
        let (policy, team) = (policy(rules), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        // Alice's token names DE, US and XX.
        let allowed = check(&team_policy, &alice(), "DE".parse().unwrap()).unwrap();
        assert_eq!(allowed, ["DE".parse().unwrap()]);
        assert_eq!(
            denied(rules, &alice(), "FR").hint,
            "request one of DE, or add FR to the token's claim /phone/countries"
        );
        assert_eq!(
            denied(rules, &alice(), "US").hint,
            "request one of DE, or ask the platform team to add US to teams.sales.countries.within"
        );
    }

    #[test]
    fn without_within_the_claim_decides() {
        let rules = "countries = { claim = \"/phone/countries\" }";
        let (policy, team) = (policy(rules), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        // Alice's token names DE, US and XX, which is no country.
        let allowed = check(&team_policy, &alice(), "US".parse().unwrap()).unwrap();
        assert_eq!(allowed, ["DE", "US"].map(|code| code.parse().unwrap()));
        assert_eq!(
            denied(rules, &alice(), "FR").hint,
            "request one of DE, US, or add FR to the token's claim /phone/countries"
        );
        for claims in [
            json!({"phone": {"countries": "FR GB"}}),
            json!({"phone": {"countries": {"FR": {}}}}),
        ] {
            let caller = alice_with(|token| token.claims = claims);
            assert!(check(&team_policy, &caller, "FR".parse().unwrap()).is_ok());
            assert!(check(&team_policy, &caller, "DE".parse().unwrap()).is_err());
        }
        let nobody = alice_with(|token| token.claims = json!({}));
        assert_eq!(
            denied(rules, &nobody, "DE").need,
            json!({"claim": "/phone/countries"})
        );
    }

    #[test]
    fn a_missing_or_malformed_claim_denies() {
        let rules = "countries = { claim = \"/phone/countries\", within = [\"DE\"] }";
        for claims in [
            json!({}),
            json!({"phone": {"countries": 5}}),
            json!({"phone": {"countries": ["DE", null]}}),
        ] {
            let caller = alice_with(|token| token.claims = claims);
            let why = denied(rules, &caller, "DE");
            assert_eq!(
                (why.have, why.need),
                (Value::Null, json!({"claim": "/phone/countries"}))
            );
        }
    }
}
