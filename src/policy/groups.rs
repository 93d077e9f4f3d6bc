//! Checks whether the caller may have a number for several people, or add a Close group to a number.
//!
//! *Several people* is this service's own term. It counts users and groups, and does not depend on how Close calls such a
//! number.

use serde_json::{Value, json};

use crate::domain::caller::Caller;
use crate::domain::id::GroupId;
use crate::domain::input::json_type::type_name;
use crate::domain::number::Number;
use crate::domain::rights::Permissions;
use crate::policy::choices::{Assignees, GroupRule};
use crate::policy::denial::{Denial, TeamPolicy};

const KEY: &str = "group_numbers";

/// Checks whether the caller may have numbers for several people at all.
pub(super) fn check(team_policy: &TeamPolicy<'_>, caller: &Caller) -> Result<(), Denial> {
    let rule = team_policy.rule(KEY);
    let held = caller.rights();
    match &team_policy.rules.group_numbers {
        GroupRule::Everybody => Ok(()),
        GroupRule::Permission(permission) if held.hold(permission, Some(team_policy.team)) => Ok(()),
        GroupRule::Permission(permission) => {
            let hint =
                format!("add the permission {permission} to the token, or keep the number for one person");
            let own = held.in_team(team_policy.team).map(Permissions::names);
            let own: Vec<&str> = own.into_iter().flatten().collect();
            let have = json!({"people": "several", "permissions": own});
            Err(team_policy.deny(KEY, have, json!({"permission": permission}), hint))
        }
        GroupRule::Claim(claim) => match caller.claims().pointer(claim.as_str()) {
            Some(value) if is_true(value) => Ok(()),
            value => {
                let hint =
                    format!("set the claim {claim} of the token to true, or keep the number for one person");
                // The value is left out: a claim may be of any size, and may hold what the caller should not repeat.
                let have = json!({"people": "several", "claim": value.map(type_name)});
                Err(team_policy.deny(KEY, have, json!({"claim": claim, "is": true}), hint))
            }
        },
        GroupRule::Nobody => {
            let hint = format!(
                "keep the number for one person, or ask the platform team to allow numbers for several people in {rule}"
            );
            Err(team_policy.deny(KEY, json!({"people": "several"}), json!({"people": "one"}), hint))
        }
    }
}

/// Whether the value of a claim is true: `true`, or the string `"true"`, as some providers send attributes of users.
fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true) || value == "true"
}

/// Checks that each group is already on the number, or that the rule allows the caller to add it.
pub(super) fn may_join(
    team_policy: &TeamPolicy<'_>,
    number: &Number,
    groups: &[GroupId],
) -> Result<(), Denial> {
    let allowed = |group: &&GroupId| match &team_policy.rules.assign_to {
        Assignees::Anyone => true,
        Assignees::Group(member) => *group == member,
        Assignees::SelfOnly | Assignees::Users(_) => false,
    };
    let present = |group: &&GroupId| number.facts.participant_groups.contains(group);
    match groups.iter().find(|group| !present(group) && !allowed(group)) {
        None => Ok(()),
        Some(group) => {
            let hint = format!(
                "leave {group} out, or ask the platform team to set {} = {{ group = \"{group}\" }}",
                team_policy.rule("assign_to")
            );
            Err(team_policy.deny("assign_to", group, &team_policy.rules.assign_to, hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::decision::Decision;
    use crate::domain::rights::Source;
    use crate::policy::sample::{alice, alice_with, number, policy, sales};

    fn may_have(rules: &str, caller: &Caller) -> Result<(), String> {
        let (policy, team) = (policy(rules), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        check(&team_policy, caller).map_err(|denial| Decision::from(denial).explanation().hint.clone())
    }

    #[test]
    fn numbers_for_several_people_are_denied_unless_a_rule_allows_them() {
        for rules in ["", "group_numbers = false"] {
            assert!(
                may_have(rules, &alice())
                    .unwrap_err()
                    .contains("teams.sales.group_numbers")
            );
        }
        assert!(may_have("group_numbers = true", &alice()).is_ok());
    }

    #[test]
    fn the_permission_that_the_rule_names_allows_numbers_for_several_people() {
        let rules = "group_numbers = { permission = \"phones:shared\" }";
        assert_eq!(
            may_have(rules, &alice()).unwrap_err(),
            "add the permission phones:shared to the token, or keep the number for one person"
        );
        let shared = BTreeSet::from(["phones:shared".to_owned()]);
        let permitted = alice_with(|token| token.permissions = shared.clone());
        assert!(may_have(rules, &permitted).is_ok());
        // The permission in another team is not enough.
        let mut rights = alice().rights().clone();
        rights.give(&["support".parse().unwrap()], &shared, Source::Grant(0));
        let elsewhere = Caller::new(alice().identity().clone(), None, rights);
        assert!(may_have(rules, &elsewhere).is_err());
    }

    #[test]
    fn the_claim_that_the_rule_names_must_be_true() {
        let rules = "group_numbers = { claim = \"/acme/may_rent_group\" }";
        let may = |value: Value| {
            let caller = alice_with(|token| token.claims = json!({"acme": {"may_rent_group": value}}));
            may_have(rules, &caller)
        };
        for value in [json!(true), json!("true")] {
            assert!(may(value.clone()).is_ok(), "{value}");
        }
        for value in [
            json!(false),
            json!(null),
            json!("True"),
            json!("yes"),
            json!("1"),
            json!(1),
            json!([true]),
            json!({"true": true}),
        ] {
            assert!(may(value.clone()).is_err(), "{value}");
        }
        assert_eq!(
            may_have(rules, &alice()).unwrap_err(),
            "set the claim /acme/may_rent_group of the token to true, or keep the number for one person"
        );
    }

    #[test]
    fn the_rule_must_allow_a_new_group_and_a_present_group_may_stay() {
        let joins = |rules: &str, groups: &[&str]| {
            let (policy, team) = (policy(rules), sales());
            let team_policy = TeamPolicy::of(&policy, &team).unwrap();
            let mut number = number();
            number.facts.participant_groups = vec!["group_OLD".parse().unwrap()];
            let groups: Vec<_> = groups.iter().map(|group| group.parse().unwrap()).collect();
            may_join(&team_policy, &number, &groups).is_ok()
        };
        assert!(joins("assign_to = \"self\"", &["group_OLD"]));
        assert!(!joins("assign_to = \"self\"", &["group_OLD", "group_A"]));
        assert!(joins("assign_to = { group = \"group_A\" }", &["group_A"]));
        assert!(!joins("assign_to = { group = \"group_A\" }", &["group_B"]));
        assert!(!joins("assign_to = [\"user_A\"]", &["group_A"]));
        assert!(joins("assign_to = \"anyone\"", &["group_A", "group_B"]));
    }
}
