//! May calls be sent on to this number? Toll fraud lives here: what is not plainly allowed is denied.

use serde_json::json;

use crate::domain::number::Number;
use crate::domain::number_patch::Changes;
use crate::domain::phone::E164;
use crate::policy::denial::{Asked, Denial, listed};

const KEY: &str = "forward_to_countries";

/// Whether every outside phone that the changes bring into play may be called.
pub(super) fn check(asked: &Asked<'_>, number: &Number, changes: &Changes) -> Result<(), Denial> {
    for target in changes
        .forward_to
        .iter()
        .chain(changes.phone_numbers.iter().flatten())
    {
        target_allowed(asked, target)?;
    }
    // Switching it on sends calls to a target that somebody else may have set.
    if changes.forward_to_enabled == Some(true) && changes.forward_to.is_none() {
        let present = number
            .facts
            .object
            .get("forward_to")
            .and_then(|target| target.as_str().map(str::to_owned));
        if let Some(text) = present.filter(|text| !text.is_empty()) {
            let Ok(target) = text.parse() else {
                let hint =
                    "set `forward_to` to a number in E.164 first: the present one can't be read".to_owned();
                return Err(asked.deny(KEY, text, &asked.rules.forward_to_countries, hint));
            };
            target_allowed(asked, &target)?;
        }
    }
    Ok(())
}

fn target_allowed(asked: &Asked<'_>, target: &E164) -> Result<(), Denial> {
    let allowed = &asked.rules.forward_to_countries;
    let country = target.country();
    if target.premium() {
        let hint =
            "take an ordinary landline or mobile number: numbers that cost extra are never called".to_owned();
        return Err(asked.deny(KEY, json!({"number": target, "premium": true}), allowed, hint));
    }
    if country.is_some_and(|country| allowed.contains(&country)) {
        return Ok(());
    }
    let rule = asked.rule(KEY);
    let hint = match (country, allowed.as_slice()) {
        (None, _) => format!(
            "take a number of one of {}: this one belongs to no country",
            listed(allowed)
        ),
        (Some(country), []) => format!("have the platform team add {country} to {rule}"),
        (Some(country), _) => format!(
            "take a number of one of {}, or have the platform team add {country} to {rule}",
            listed(allowed)
        ),
    };
    Err(asked.deny(KEY, json!({"number": target, "country": country}), allowed, hint))
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

    fn hint(rules: &str, present: &Value, changes: &Value) -> Option<String> {
        let (policy, team) = (policy(rules), sales());
        let asked = Asked::of(&policy, &team).unwrap();
        let mut number = number();
        let forwarded = [("forward_to".to_owned(), present.clone())];
        number.facts.object = serde_json::Map::from_iter(forwarded).into();
        let changes = read(changes, Changes::read).unwrap();
        let denial = check(&asked, &number, &changes).err()?;
        Some(Decision::from(denial).explanation().hint.clone())
    }

    const GERMANY: &str = "forward_to_countries = [\"DE\"]";

    #[test]
    fn calls_go_to_listed_countries_and_without_a_list_nowhere() {
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
            "take a number of one of DE, or have the platform team add JM to teams.sales.forward_to_countries"
        );
    }

    #[test]
    fn premium_numbers_and_numbers_of_no_country_are_never_called() {
        let premium = hint(GERMANY, &Value::Null, &json!({"forward_to": PREMIUM})).unwrap();
        assert!(premium.contains("cost extra"), "{premium}");
        assert!(hint(GERMANY, &Value::Null, &json!({"forward_to": SATELLITE})).is_some());
    }

    #[test]
    fn switching_forwarding_on_asks_about_the_target_that_is_already_set() {
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
