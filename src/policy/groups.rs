//! May this caller have a number that several people share, or put a Close group on one?

use serde_json::json;

use crate::domain::caller::Caller;
use crate::domain::id::GroupId;
use crate::domain::number::Number;
use crate::policy::denial::{Asked, Denial};
use crate::policy::rules::{Assignees, GroupRule};

const KEY: &str = "group_numbers";

/// Whether the caller may have a group number at all.
pub(super) fn check(asked: &Asked<'_>, caller: &Caller) -> Result<(), Denial> {
    let rule = asked.rule(KEY);
    match &asked.rules.group_numbers {
        GroupRule::Everybody => Ok(()),
        GroupRule::Permission(permission) if caller.permissions.contains(permission) => Ok(()),
        GroupRule::Permission(permission) => {
            let hint = format!(
                "get the permission {permission} into the token, or leave it a personal number of one user"
            );
            let have = json!({"sharing": "group", "permissions": caller.permissions});
            Err(asked.deny(KEY, have, json!({"permission": permission}), hint))
        }
        GroupRule::Nobody => {
            let hint = format!(
                "leave it a personal number of one user, or have the platform team allow group numbers in {rule}"
            );
            Err(asked.deny(
                KEY,
                json!({"sharing": "group"}),
                json!({"sharing": "personal"}),
                hint,
            ))
        }
    }
}

/// Whether each of the groups may be put on the number: it is there already, or it is the one of the rule.
pub(super) fn may_join(asked: &Asked<'_>, number: &Number, groups: &[GroupId]) -> Result<(), Denial> {
    let fits = |group: &&GroupId| match &asked.rules.assign_to {
        Assignees::Anyone => true,
        Assignees::Group(allowed) => *group == allowed,
        Assignees::SelfOnly | Assignees::Users(_) => false,
    };
    let present = |group: &&GroupId| number.facts.participant_groups.contains(group);
    match groups.iter().find(|group| !present(group) && !fits(group)) {
        None => Ok(()),
        Some(group) => {
            let hint = format!(
                "leave {group} out, or have the platform team write {} = {{ group = \"{group}\" }}",
                asked.rule("assign_to")
            );
            Err(asked.deny("assign_to", group, &asked.rules.assign_to, hint))
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
        let asked = Asked::of(&policy, &team).unwrap();
        check(&asked, caller).map_err(|denial| Decision::from(denial).explanation().hint.clone())
    }

    #[test]
    fn nobody_has_group_numbers_unless_it_is_written() {
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
    fn a_permission_in_the_token_opens_what_the_rule_ties_to_it() {
        let rules = "group_numbers = { permission = \"phones:shared\" }";
        let mut caller = alice();
        assert_eq!(
            may_have(rules, &caller).unwrap_err(),
            "get the permission phones:shared into the token, or leave it a personal number of one user"
        );
        caller.permissions.insert("phones:shared".into());
        assert!(may_have(rules, &caller).is_ok());
    }

    #[test]
    fn a_group_is_put_on_a_number_only_by_name_or_by_anyone_but_may_stay_where_it_is() {
        let joins = |rules: &str, groups: &[&str]| {
            let (policy, team) = (policy(rules), sales());
            let asked = Asked::of(&policy, &team).unwrap();
            let mut number = number();
            number.facts.participant_groups = vec!["group_OLD".parse().unwrap()];
            let groups: Vec<_> = groups.iter().map(|group| group.parse().unwrap()).collect();
            may_join(&asked, &number, &groups).is_ok()
        };
        assert!(joins("assign_to = \"self\"", &["group_OLD"]));
        assert!(!joins("assign_to = \"self\"", &["group_OLD", "group_A"]));
        assert!(joins("assign_to = { group = \"group_A\" }", &["group_A"]));
        assert!(!joins("assign_to = { group = \"group_A\" }", &["group_B"]));
        assert!(!joins("assign_to = [\"user_A\"]", &["group_A"]));
        assert!(joins("assign_to = \"anyone\"", &["group_A", "group_B"]));
    }
}
