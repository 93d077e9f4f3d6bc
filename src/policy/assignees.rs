//! Who is the number for, and may it be for them?

use serde_json::{Value, json};

use crate::domain::caller::Caller;
use crate::domain::id::UserId;
use crate::policy::Members;
use crate::policy::denial::{Asked, Denial, listed};
use crate::policy::rules::Assignees;

const KEY: &str = "assign_to";

/// The users that were named, if each may have it. When none was named it is for the caller's own user; when the
/// token names none either it is left to Close (`None`: the owner of the API key).
pub(super) fn choose(
    asked: &Asked<'_>,
    caller: &Caller,
    members: &Members,
    named: Option<&[UserId]>,
) -> Result<Option<Vec<UserId>>, Denial> {
    let users = match (named, &caller.close_user) {
        (Some(users), _) => users.to_vec(),
        (None, Some(own)) => vec![own.clone()],
        (None, None) => return Ok(None),
    };
    for user in &users {
        check(asked, caller, members, user)?;
    }
    Ok(Some(users))
}

/// Whether this one user may be given a number.
pub(super) fn check(
    asked: &Asked<'_>,
    caller: &Caller,
    members: &Members,
    user: &UserId,
) -> Result<(), Denial> {
    let rule = asked.rule(KEY);
    match &asked.rules.assign_to {
        Assignees::Anyone => Ok(()),
        Assignees::SelfOnly => match &caller.close_user {
            Some(own) if own == user => Ok(()),
            Some(own) => {
                let hint = format!("ask for {own}, your own user, or have the platform team widen {rule}");
                Err(asked.deny(KEY, user, json!([own]), hint))
            }
            None => {
                let hint = format!(
                    "the token names no Close user: leave the user out, get the claim into the token, \
                     or have the platform team widen {rule}"
                );
                Err(asked.deny(KEY, user, Value::Null, hint))
            }
        },
        Assignees::Users(users) if users.contains(user) => Ok(()),
        Assignees::Users(users) => {
            let hint = format!(
                "assign it to one of {}, or have the platform team add {user} to {rule}",
                listed(users)
            );
            Err(asked.deny(KEY, user, users, hint))
        }
        Assignees::Group(group) => match members.get(group) {
            Some(members) if members.contains(user) => Ok(()),
            Some(_) => {
                let hint =
                    format!("have {user} made a member of {group} in Close, or assign it to one who is");
                Err(asked.deny(KEY, user, json!({"group": group}), hint))
            }
            None => {
                let hint = format!(
                    "who is in {group} is not known yet: Close has to be asked first; try again soon"
                );
                Err(asked.deny(KEY, user, json!({"group": group}), hint))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Decision;
    use crate::policy::sample::{alice, app, members, policy, sales, user};

    fn chosen(rules: &str, caller: &Caller, named: Option<&[&str]>) -> Result<Option<Vec<UserId>>, String> {
        let (policy, team) = (policy(rules), sales());
        let asked = Asked::of(&policy, &team).unwrap();
        let named: Option<Vec<UserId>> = named.map(|names| names.iter().map(|name| user(name)).collect());
        choose(
            &asked,
            caller,
            &members("group_A", &["ALICE", "BOB"]),
            named.as_deref(),
        )
        .map_err(|denial| Decision::from(denial).explanation().hint.clone())
    }

    #[test]
    fn without_a_rule_a_number_is_for_the_caller_s_own_user_and_no_other() {
        assert_eq!(chosen("", &alice(), None), Ok(Some(vec![user("ALICE")])));
        assert_eq!(
            chosen("", &alice(), Some(&["ALICE"])),
            Ok(Some(vec![user("ALICE")]))
        );
        assert_eq!(
            chosen("", &alice(), Some(&["ALICE", "BOB"])).unwrap_err(),
            "ask for user_ALICE, your own user, or have the platform team widen teams.sales.assign_to"
        );
    }

    #[test]
    fn a_token_without_a_close_user_leaves_it_to_the_owner_of_the_key_but_may_name_nobody() {
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
    fn with_a_list_or_a_group_the_own_user_must_be_in_it_too() {
        assert!(
            chosen("assign_to = [\"user_BOB\"]", &alice(), None)
                .unwrap_err()
                .contains("one of user_BOB")
        );
        assert!(chosen("assign_to = [\"user_BOB\"]", &alice(), Some(&["BOB"])).is_ok());
        assert!(chosen("assign_to = []", &alice(), None).is_err());
        assert!(chosen("assign_to = { group = \"group_A\" }", &alice(), None).is_ok());
        let carol = Caller {
            close_user: Some(user("CAROL")),
            ..alice()
        };
        assert!(chosen("assign_to = { group = \"group_A\" }", &carol, None).is_err());
    }

    #[test]
    fn a_group_that_close_was_not_asked_about_denies() {
        let no = chosen("assign_to = { group = \"group_B\" }", &alice(), None).unwrap_err();
        assert!(no.contains("not known yet"), "{no}");
    }

    #[test]
    fn anyone_is_anyone() {
        assert!(chosen("assign_to = \"anyone\"", &alice(), Some(&["BOB", "CAROL"])).is_ok());
    }
}
