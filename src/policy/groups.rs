//! Checks whether the caller may have a group number, or add a Close group to a number.

use serde_json::json;

use crate::domain::caller::Caller;
use crate::domain::id::GroupId;
use crate::domain::number::Number;
use crate::policy::denial::{Denial, TeamPolicy};
use crate::policy::rules::{Assignees, GroupRule};

const KEY: &str = "group_numbers";

/// Checks whether the caller may have group numbers at all.
pub(super) fn check(team_policy: &TeamPolicy<'_>, caller: &Caller) -> Result<(), Denial> {
    let rule = team_policy.rule(KEY);
    match &team_policy.rules.group_numbers {
        GroupRule::Everybody => Ok(()),
        GroupRule::Permission(permission) if caller.permissions.contains(permission) => Ok(()),
        GroupRule::Permission(permission) => {
            let hint = format!(
                "add the permission {permission} to the token, or keep it a personal number of one user"
            );
            let have = json!({"sharing": "group", "permissions": caller.permissions});
            Err(team_policy.deny(KEY, have, json!({"permission": permission}), hint))
        }
        GroupRule::Nobody => {
            let hint = format!(
                "keep it a personal number of one user, or ask the platform team to allow group numbers in {rule}"
            );
            Err(team_policy.deny(
                KEY,
                json!({"sharing": "group"}),
                json!({"sharing": "personal"}),
                hint,
            ))
        }
    }
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
    use super::*;
    use crate::domain::decision::Decision;
    use crate::policy::sample::{alice, number, policy, sales};

    fn may_have(rules: &str, caller: &Caller) -> Result<(), String> {
        let (policy, team) = (policy(rules), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        check(&team_policy, caller).map_err(|denial| Decision::from(denial).explanation().hint.clone())
    }

    #[test]
    fn group_numbers_are_denied_unless_a_rule_allows_them() {
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
    fn the_permission_that_the_rule_names_allows_group_numbers() {
        let rules = "group_numbers = { permission = \"phones:shared\" }";
        let mut caller = alice();
        assert_eq!(
            may_have(rules, &caller).unwrap_err(),
            "add the permission phones:shared to the token, or keep it a personal number of one user"
        );
        caller.permissions.insert("phones:shared".into());
        assert!(may_have(rules, &caller).is_ok());
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
