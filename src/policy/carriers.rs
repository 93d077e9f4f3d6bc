//! Which kind of line will it be?

use serde_json::Value;

use crate::domain::number::CarrierType;
use crate::policy::denial::{Asked, Denial, listed};

const KEY: &str = "carrier_types";

/// The kind that was asked for, if it is allowed; the only allowed one when none was; any when no rule says.
pub(super) fn choose(asked: &Asked<'_>, wanted: Option<CarrierType>) -> Result<Option<CarrierType>, Denial> {
    let Some(allowed) = asked.rules.carrier_types.as_deref() else {
        return Ok(wanted);
    };
    let rule = asked.rule(KEY);
    match (wanted, allowed) {
        (Some(kind), _) if allowed.contains(&kind) => Ok(wanted),
        (None, [only]) => Ok(Some(*only)),
        (None, []) => {
            let hint = format!("have the platform team add a kind of line to {rule}");
            Err(asked.deny(KEY, Value::Null, allowed, hint))
        }
        (None, _) => {
            let hint = format!("name one of {} as `carrier_type`", listed(allowed));
            Err(asked.deny(KEY, Value::Null, allowed, hint))
        }
        (Some(kind), []) => {
            let hint = format!("have the platform team add {kind} to {rule}");
            Err(asked.deny(KEY, kind, allowed, hint))
        }
        (Some(kind), _) => {
            let hint = format!(
                "ask for one of {}, or have the platform team add {kind} to {rule}",
                listed(allowed)
            );
            Err(asked.deny(KEY, kind, allowed, hint))
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
        let asked = Asked::of(&policy, &team).unwrap();
        choose(&asked, wanted).map_err(|denial| Decision::from(denial).explanation().hint.clone())
    }

    #[test]
    fn without_a_rule_any_kind_or_none_will_do() {
        assert_eq!(chosen("", None), Ok(None));
        assert_eq!(
            chosen("", Some(CarrierType::Mobile)),
            Ok(Some(CarrierType::Mobile))
        );
    }

    #[test]
    fn the_only_allowed_kind_is_filled_in_and_of_several_one_must_be_named() {
        assert_eq!(
            chosen("carrier_types = [\"local\"]", None),
            Ok(Some(CarrierType::Local))
        );
        assert_eq!(
            chosen("carrier_types = [\"local\", \"mobile\"]", None).unwrap_err(),
            "name one of local, mobile as `carrier_type`"
        );
    }

    #[test]
    fn a_kind_that_is_not_listed_is_denied_and_an_empty_list_allows_none() {
        assert_eq!(
            chosen("carrier_types = [\"local\"]", Some(CarrierType::TollFree)).unwrap_err(),
            "ask for one of local, or have the platform team add tollfree to teams.sales.carrier_types"
        );
        assert!(chosen("carrier_types = []", None).is_err());
        assert!(chosen("carrier_types = []", Some(CarrierType::Local)).is_err());
    }
}
