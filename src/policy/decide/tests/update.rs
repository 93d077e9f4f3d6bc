//! Decisions about changes of a number.

use super::*;

fn updated(rules: &str, number: &Number, changes: &Value) -> Decision {
    let changes = read::<NumberPatch>(changes).unwrap();
    decide_update(
        &policy(rules),
        &alice(),
        &sales(),
        number,
        &changes,
        &Members::new(),
    )
}

#[test]
fn a_patch_that_makes_a_group_number_needs_the_same_permission_as_an_order() {
    let anyone = "assign_to = \"anyone\"";
    let mut personal = number();
    personal.facts.user = Some(user("ALICE"));
    for changes in [
        json!({"participants": ["user_ALICE", "user_BOB"]}),
        json!({"participant_groups": ["group_A"]}),
        json!({"participants": [], "participant_groups": ["group_A"]}),
    ] {
        assert_eq!(
            rule(&updated(anyone, &personal, &changes)),
            (false, "teams.sales.group_numbers")
        );
        assert!(updated(&format!("{anyone}\ngroup_numbers = true"), &personal, &changes).allowed());
    }
    assert!(updated(anyone, &personal, &json!({"participants": ["user_BOB"]})).allowed());
    assert!(
        updated(
            "",
            &personal,
            &json!({"participants": ["user_ALICE"], "label": "x"})
        )
        .allowed()
    );
}

#[test]
fn only_the_permission_allows_a_patch_to_widen_a_group_number() {
    let mut shared = number();
    shared.facts.participants = vec![user("ALICE"), user("BOB"), user("CAROL")];
    shared.facts.group = true;
    let anyone = "assign_to = \"anyone\"";
    assert!(updated(anyone, &shared, &json!({"label": "x"})).allowed());
    assert!(
        updated(
            anyone,
            &shared,
            &json!({"participants": ["user_ALICE", "user_BOB"]})
        )
        .allowed()
    );
    let widened = json!({"participants": ["user_ALICE", "user_BOB", "user_DAVE"]});
    assert_eq!(
        rule(&updated(anyone, &shared, &widened)),
        (false, "teams.sales.group_numbers")
    );
}

#[test]
fn new_participants_must_be_allowed_assignees_and_present_ones_may_stay() {
    let mut shared = number();
    shared.facts.participants = vec![user("BOB")];
    let rules = "group_numbers = true\nassign_to = \"self\"";
    assert!(
        updated(
            rules,
            &shared,
            &json!({"participants": ["user_BOB", "user_ALICE"]})
        )
        .allowed()
    );
    let denied = updated(
        rules,
        &shared,
        &json!({"participants": ["user_BOB", "user_CAROL"]}),
    );
    assert_eq!(rule(&denied), (false, "teams.sales.assign_to"));
    let group = updated(rules, &shared, &json!({"participant_groups": ["group_A"]}));
    assert_eq!(rule(&group), (false, "teams.sales.assign_to"));
}

#[test]
fn an_update_checks_forwarding() {
    let abroad = json!({"forward_to": "+18765230123"});
    let denied = updated("forward_to_countries = [\"DE\"]", &number(), &abroad);
    assert_eq!(rule(&denied), (false, "teams.sales.forward_to_countries"));
    assert!(updated("forward_to_countries = [\"JM\"]", &number(), &abroad).allowed());
}
