//! Chooses the users who get a number, and checks that the rule allows them.

use serde_json::{Value, json};

use crate::domain::caller::Caller;
use crate::domain::id::UserId;
use crate::policy::choices::Assignees;
use crate::policy::denial::{Denial, TeamPolicy, listed};
use crate::policy::rules::Members;

const KEY: &str = "assign_to";

/// Returns the users who get the number, if the rule allows each of them.
///
/// These are the named users, or else the caller's own user. If the token names no user either, the result is `None`
/// and Close assigns the number to the owner of the API key.
pub(super) fn choose(
    team_policy: &TeamPolicy<'_>,
    caller: &Caller,
    members: &Members,
    named: Option<&[UserId]>,
) -> Result<Option<Vec<UserId>>, Denial> {
    let users = match (named, caller.close_user()) {
        (Some(users), _) => users.to_vec(),
        (None, Some(own)) => vec![own.clone()],
        (None, None) => return Ok(None),
    };
    for user in &users {
        check(team_policy, caller, members, user)?;
    }
    Ok(Some(users))
}

/// Checks whether the rule allows this user to get a number.
pub(super) fn check(
    team_policy: &TeamPolicy<'_>,
    caller: &Caller,
    members: &Members,
    user: &UserId,
) -> Result<(), Denial> {
    let rule = team_policy.rule(KEY);
    match &team_policy.rules.assign_to {
        Assignees::Anyone => Ok(()),
        Assignees::SelfOnly => match caller.close_user() {
            Some(own) if own == user => Ok(()),
            Some(own) => {
                let hint =
                    format!("assign it to {own}, your own user, or ask the platform team to extend {rule}");
                Err(team_policy.deny(KEY, user, json!([own]), hint))
            }
            None => {
                let hint = format!(
                    "the token names no Close user: leave the user out, add the claim to the token, \
                     or ask the platform team to extend {rule}"
                );
                Err(team_policy.deny(KEY, user, Value::Null, hint))
            }
        },
        Assignees::Users(users) if users.contains(user) => Ok(()),
        Assignees::Users(users) => {
            let hint = format!(
                "assign it to one of {}, or ask the platform team to add {user} to {rule}",
                listed(users)
            );
            Err(team_policy.deny(KEY, user, users, hint))
        }
        Assignees::Group(group) => match members.get(group) {
            Some(members) if members.contains(user) => Ok(()),
            Some(_) => {
                let hint = format!("add {user} to {group} in Close, or assign it to a member of that group");
                Err(team_policy.deny(KEY, user, json!({"group": group}), hint))
            }
            None => {
                let hint = format!(
                    "the members of {group} are not known yet: the service still loads them from Close; try again soon"
                );
                Err(team_policy.deny(KEY, user, json!({"group": group}), hint))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Decision;
    use crate::policy::sample::{alice, alice_with, app, members, policy, sales, user};

    fn chosen(rules: &str, caller: &Caller, named: Option<&[&str]>) -> Result<Option<Vec<UserId>>, String> {
        let (policy, team) = (policy(rules), sales());
        let team_policy = TeamPolicy::of(&policy, &team).unwrap();
        let named: Option<Vec<UserId>> = named.map(|names| names.iter().map(|name| user(name)).collect());
        choose(
            &team_policy,
            caller,
            &members("group_A", &["ALICE", "BOB"]),
            named.as_deref(),
        )
        .map_err(|denial| Decision::from(denial).explanation().hint.clone())
    }

    #[test]
    fn without_a_rule_only_the_caller_s_own_user_may_get_a_number() {
        assert_eq!(chosen("", &alice(), None), Ok(Some(vec![user("ALICE")])));
        assert_eq!(
            chosen("", &alice(), Some(&["ALICE"])),
            Ok(Some(vec![user("ALICE")]))
        );
        assert_eq!(
            chosen("", &alice(), Some(&["ALICE", "BOB"])).unwrap_err(),
            "assign it to user_ALICE, your own user, or ask the platform team to extend teams.sales.assign_to"
        );
    }

    #[test]
    fn a_token_without_a_close_user_may_name_users_only_if_the_rule_lists_them() {
        for rules in ["", "assign_to = [\"user_BOB\"]", "assign_to = \"anyone\""] {
            assert_eq!(chosen(rules, &app(), None), Ok(None));
        }
        assert!(
            chosen("", &app(), Some(&["BOB"]))
                .unwrap_err()
                .contains("names no Close user")
        );
        assert!(chosen("assign_to = [\"user_BOB\"]", &app(), Some(&["BOB"])).is_ok());
    }

    #[test]
    fn a_list_or_a_group_must_contain_the_caller_s_own_user_too() {
        assert!(
            chosen("assign_to = [\"user_BOB\"]", &alice(), None)
                .unwrap_err()
                .contains("one of user_BOB")
        );
        assert!(chosen("assign_to = [\"user_BOB\"]", &alice(), Some(&["BOB"])).is_ok());
        assert!(chosen("assign_to = []", &alice(), None).is_err());
        assert!(chosen("assign_to = { group = \"group_A\" }", &alice(), None).is_ok());
        let carol = alice_with(|token| token.close_user = Some(user("CAROL")));
        assert!(chosen("assign_to = { group = \"group_A\" }", &carol, None).is_err());
    }

    #[test]
    fn a_group_with_unknown_members_denies() {
        let hint = chosen("assign_to = { group = \"group_B\" }", &alice(), None).unwrap_err();
        assert!(hint.contains("not known yet"), "{hint}");
    }

    #[test]
    fn the_rule_anyone_allows_every_user() {
        assert!(chosen("assign_to = \"anyone\"", &alice(), Some(&["BOB", "CAROL"])).is_ok());
    }
}
