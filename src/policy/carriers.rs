//! Chooses the kind of line for an order, and checks that the rules allow it.

use serde_json::Value;

use crate::domain::number::CarrierType;
use crate::policy::denial::{Denial, TeamPolicy, listed};

const KEY: &str = "carrier_types";

/// Returns the requested kind of line, or the only allowed one if the request names none.
///
/// `None` means any kind: neither the request nor the rules name one.
pub(super) fn choose(
    team_policy: &TeamPolicy<'_>,
    wanted: Option<CarrierType>,
) -> Result<Option<CarrierType>, Denial> {
    let Some(allowed) = team_policy.rules.carrier_types.as_deref() else {
        return Ok(wanted);
    };
    let rule = team_policy.rule(KEY);
    match (wanted, allowed) {
        (Some(kind), _) if allowed.contains(&kind) => Ok(wanted),
        (None, [only]) => Ok(Some(*only)),
        (None, []) => {
            let hint = format!("ask the platform team to add a kind of line to {rule}");
            Err(team_policy.deny(KEY, Value::Null, allowed, hint))
        }
        (None, _) => {
            let hint = format!("set `carrier_type` to one of {}", listed(allowed));
            Err(team_policy.deny(KEY, Value::Null, allowed, hint))
        }
        (Some(kind), []) => {
            let hint = format!("ask the platform team to add {kind} to {rule}");
            Err(team_policy.deny(KEY, kind, allowed, hint))
        }
        (Some(kind), _) => {
            let hint = format!(
                "request one of {}, or ask the platform team to add {kind} to {rule}",
                listed(allowed)
            );
            Err(team_policy.deny(KEY, kind, allowed, hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Decision;
    use crate::policy::sample::{policy, sales};

    fn chosen(rules: &str, wanted: Option<CarrierType>) -> Result<Option<CarrierType>, String> {
        let (policy, team) = (policy(rules), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        choose(&team_policy, wanted).map_err(|denial| Decision::from(denial).explanation().hint.clone())
    }

    #[test]
    fn without_a_rule_every_kind_is_allowed_and_none_is_chosen() {
        assert_eq!(chosen("", None), Ok(None));
        assert_eq!(
            chosen("", Some(CarrierType::Mobile)),
            Ok(Some(CarrierType::Mobile))
        );
    }

    #[test]
    fn the_only_allowed_kind_is_the_default_and_several_require_a_choice() {
        assert_eq!(
            chosen("carrier_types = [\"local\"]", None),
            Ok(Some(CarrierType::Local))
        );
        assert_eq!(
            chosen("carrier_types = [\"local\", \"mobile\"]", None).unwrap_err(),
            "set `carrier_type` to one of local, mobile"
        );
    }

    #[test]
    fn a_kind_that_is_not_listed_is_denied_and_an_empty_list_allows_none() {
        assert_eq!(
            chosen("carrier_types = [\"local\"]", Some(CarrierType::TollFree)).unwrap_err(),
            "request one of local, or ask the platform team to add tollfree to teams.sales.carrier_types"
        );
        assert!(chosen("carrier_types = []", None).is_err());
        assert!(chosen("carrier_types = []", Some(CarrierType::Local)).is_err());
    }
}
