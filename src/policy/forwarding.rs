//! Checks whether calls may be forwarded to a phone number.
//!
//! Toll fraud uses forwarding. The policy therefore denies every target that no rule allows.

use serde_json::json;

use crate::domain::number::Number;
use crate::domain::number_patch::NumberPatch;
use crate::domain::phone::E164;
use crate::policy::denial::{Denial, TeamPolicy, listed};

const KEY: &str = "forward_to_countries";

/// Checks every external phone that the patch would ring.
pub(super) fn check(
    team_policy: &TeamPolicy<'_>,
    number: &Number,
    patch: &NumberPatch,
) -> Result<(), Denial> {
    for target in patch
        .forward_to
        .iter()
        .chain(patch.phone_numbers.iter().flatten())
    {
        target_allowed(team_policy, target)?;
    }
    // A patch that enables forwarding sends calls to the present target, which another person may have set.
    if patch.forward_to_enabled == Some(true) && patch.forward_to.is_none() {
        let present = number
            .facts
            .object
            .get("forward_to")
            .and_then(|target| target.as_str().map(str::to_owned));
        if let Some(text) = present.filter(|text| !text.is_empty()) {
            let Ok(target) = text.parse() else {
                let hint =
                    "first set `forward_to` to a number in E.164: the present one is invalid".to_owned();
                return Err(team_policy.deny(KEY, text, &team_policy.rules.forward_to_countries, hint));
            };
            target_allowed(team_policy, &target)?;
        }
    }
    Ok(())
}

fn target_allowed(team_policy: &TeamPolicy<'_>, target: &E164) -> Result<(), Denial> {
    let allowed = &team_policy.rules.forward_to_countries;
    let country = target.country();
    if target.premium() {
        let hint =
            "use an ordinary landline or mobile number: premium-rate numbers are never allowed".to_owned();
        return Err(team_policy.deny(KEY, json!({"number": target, "premium": true}), allowed, hint));
    }
    if country.is_some_and(|country| allowed.contains(&country)) {
        return Ok(());
    }
    let rule = team_policy.rule(KEY);
    let hint = match (country, allowed.as_slice()) {
        (None, _) => format!(
            "use a number in one of {}: this one belongs to no country",
            listed(allowed)
        ),
        (Some(country), []) => format!("ask the platform team to add {country} to {rule}"),
        (Some(country), _) => format!(
            "use a number in one of {}, or ask the platform team to add {country} to {rule}",
            listed(allowed)
        ),
    };
    Err(team_policy.deny(KEY, json!({"number": target, "country": country}), allowed, hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Decision;
    use crate::domain::input::fields::read;
    use crate::policy::sample::{number, policy, sales};
    use serde_json::Value;

    const BERLIN: &str = "+4930901820";
    const KINGSTON: &str = "+18765230123";
    const PREMIUM: &str = "+499001234567";
    const SATELLITE: &str = "+881612345678";

    fn hint(rules: &str, present: &Value, patch: &Value) -> Option<String> {
        let (policy, team) = (policy(rules), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        let mut number = number();
        let forwarded = [("forward_to".to_owned(), present.clone())];
        number.facts.object = serde_json::Map::from_iter(forwarded).into();
        let patch = read(patch, NumberPatch::read).unwrap();
        let denial = check(&team_policy, &number, &patch).err()?;
        Some(Decision::from(denial).explanation().hint.clone())
    }

    const GERMANY: &str = "forward_to_countries = [\"DE\"]";

    #[test]
    fn calls_may_be_forwarded_only_to_listed_countries() {
        let berlin = json!({"forward_to": BERLIN, "phone_numbers": [BERLIN]});
        assert_eq!(hint(GERMANY, &Value::Null, &berlin), None);
        assert!(hint("", &Value::Null, &berlin).is_some());
        assert_eq!(
            hint(
                GERMANY,
                &Value::Null,
                &json!({"phone_numbers": [BERLIN, KINGSTON]})
            )
            .unwrap(),
            "use a number in one of DE, or ask the platform team to add JM to teams.sales.forward_to_countries"
        );
    }

    #[test]
    fn premium_numbers_and_numbers_without_a_country_are_never_allowed() {
        let premium = hint(GERMANY, &Value::Null, &json!({"forward_to": PREMIUM})).unwrap();
        assert!(premium.contains("premium-rate"), "{premium}");
        assert!(hint(GERMANY, &Value::Null, &json!({"forward_to": SATELLITE})).is_some());
    }

    #[test]
    fn a_patch_that_enables_forwarding_checks_the_present_target() {
        let on = json!({"forward_to_enabled": true});
        for (present, allowed) in [
            (json!(BERLIN), true),
            (json!(KINGSTON), false),
            (json!(PREMIUM), false),
            (json!("call me"), false),
            (json!(""), true),
            (Value::Null, true),
        ] {
            assert_eq!(hint(GERMANY, &present, &on).is_none(), allowed, "{present}");
        }
        assert_eq!(
            hint(GERMANY, &json!(KINGSTON), &json!({"forward_to_enabled": false})),
            None
        );
        let replaced = json!({"forward_to_enabled": true, "forward_to": BERLIN});
        assert_eq!(hint(GERMANY, &json!(KINGSTON), &replaced), None);
    }
}
