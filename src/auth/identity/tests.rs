//! Tests of the identity that the claims of a token name.

use serde_json::json;

use super::*;
use crate::domain::identity::MAX_SHOWN_CHARS;

fn read(claims: Value) -> Result<TokenIdentity, Rejection> {
    let Value::Object(claims) = claims else {
        panic!("claims are an object")
    };
    identity(claims, &ClaimPointers::default())
}

#[test]
fn teams_and_permissions_are_read_from_arrays_and_from_strings_with_spaces() {
    let array = json!({"iss": "i", "sub": "s", "teams": ["a", "b", "a"], "scope": ["numbers:read", "x"]});
    let words = json!({"iss": "i", "sub": "s", "teams": "a b  a", "scope": "x numbers:read"});
    for claims in [array, words] {
        let caller = read(claims).unwrap();
        assert_eq!(
            caller.teams.iter().map(Team::as_str).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(
            caller.permissions.iter().collect::<Vec<_>>(),
            ["numbers:read", "x"]
        );
        assert_eq!(caller.close_user, None);
    }
}

#[test]
fn invalid_teams_and_users_are_ignored() {
    let caller = read(json!({
        "iss": "i", "sub": "s", "teams": ["*", "a/b", "", 7, null, "ok"], "scope": {"x": 1}, "close_user_id": "../me"
    }))
    .unwrap();
    assert_eq!(caller.teams.iter().map(Team::as_str).collect::<Vec<_>>(), ["ok"]);
    assert!(caller.permissions.contains("x"));
    assert_eq!(caller.close_user, None);
    let named = read(json!({"iss": "i", "sub": "s", "close_user_id": "user_abc"})).unwrap();
    assert_eq!(named.close_user.unwrap().as_str(), "user_abc");
}

fn read_at(pointers: &ClaimPointers, claims: Value) -> TokenIdentity {
    let Value::Object(claims) = claims else {
        panic!("claims are an object")
    };
    identity(claims, pointers).unwrap()
}

fn at(pointers: &[&str]) -> Vec<String> {
    pointers.iter().map(|pointer| (*pointer).to_owned()).collect()
}

fn names(identity: &TokenIdentity) -> Vec<&str> {
    identity.teams.iter().map(Team::as_str).collect()
}

#[test]
fn values_at_several_pointers_are_united_and_the_first_user_that_exists_counts() {
    let pointers = ClaimPointers {
        teams: at(&["/groups", "/roles", "/none"]),
        permissions: at(&["/roles", "/scp"]),
        close_user: at(&["/none", "/null", "/first", "/second"]),
        subject: Vec::new(),
    };
    let identity = read_at(
        &pointers,
        json!({
            "iss": "i", "sub": "s", "groups": ["a"], "roles": ["b", "numbers:read"], "scp": "numbers:rent",
            "null": null, "first": "user_1", "second": "user_2"
        }),
    );
    assert_eq!(names(&identity), ["a", "b"]);
    let permissions: Vec<_> = identity.permissions.iter().map(String::as_str).collect();
    assert_eq!(permissions, ["b", "numbers:read", "numbers:rent"]);
    assert_eq!(identity.close_user.unwrap().as_str(), "user_1");

    let wrong_first = json!({"iss": "i", "sub": "s", "first": ["user_1"], "second": "user_2"});
    assert_eq!(read_at(&pointers, wrong_first).close_user, None);
    let off = ClaimPointers {
        permissions: Vec::new(),
        ..ClaimPointers::default()
    };
    let claims = json!({"iss": "i", "sub": "s", "scope": "numbers:admin"});
    assert!(read_at(&off, claims).permissions.is_empty());
}

#[test]
fn the_name_is_the_first_claim_that_exists_and_the_sub_if_it_cannot_be_shown() {
    let pointers = ClaimPointers {
        subject: at(&["/preferred_username", "/oid"]),
        ..ClaimPointers::default()
    };
    let name = |claims: Value| {
        let identity = read_at(&pointers, claims);
        assert_eq!(identity.subject, "s");
        identity.name
    };
    assert_eq!(
        name(json!({"iss": "i", "sub": "s", "preferred_username": "alice", "oid": "o"})),
        "alice"
    );
    assert_eq!(
        name(json!({"iss": "i", "sub": "s", "preferred_username": null, "oid": "o"})),
        "o"
    );
    for odd in [
        json!(7),
        json!(""),
        json!(" "),
        json!("a\nb"),
        json!("x".repeat(256)),
        json!(["alice"]),
        json!("system:serviceaccount:crm:dialer"),
        json!("ali\u{202e}ce"),
        json!("alice\u{200b}"),
    ] {
        assert_eq!(
            name(json!({"iss": "i", "sub": "s", "preferred_username": odd})),
            "s",
            "{odd}"
        );
    }
    assert_eq!(name(json!({"iss": "i", "sub": "s"})), "s");
}

#[test]
fn names_that_are_no_team_are_kept_with_the_reason_bounded_and_printable() {
    let read = |teams: Value| read(json!({"iss": "i", "sub": "s", "teams": teams})).unwrap();
    let identity = read(json!([
        "/sales-emea",
        "/sales/emea",
        "Sales Leads",
        "numbers:rent",
        "ok",
        "a/b",
        "/"
    ]));
    assert_eq!(names(&identity), ["sales-emea", "ok"]);
    let ignored: Vec<_> = identity
        .ignored_teams
        .iter()
        .map(|team| (team.name.as_str(), team.reason))
        .collect();
    assert_eq!(
        ignored,
        [
            ("/sales/emea", IgnoredReason::GroupPath),
            ("Sales Leads", IgnoredReason::NotATeam),
            ("a/b", IgnoredReason::NotATeam),
            ("/", IgnoredReason::NotATeam),
        ]
    );
    let many: Vec<String> = (0..=MAX_IGNORED_TEAMS)
        .map(|number| format!("group {number}"))
        .collect();
    assert_eq!(read(json!(many)).ignored_teams.len(), MAX_IGNORED_TEAMS);
    let long = read(json!([format!("\u{1b}[31m\n{}", "é".repeat(5_000))]));
    let name = long.ignored_teams[0].shown();
    assert_eq!(name.chars().count(), MAX_SHOWN_CHARS);
    assert!(!name.contains(char::is_control));
    assert_eq!(
        names(&read(json!({"sales": {"org": "1"}, "off": false}))),
        ["sales"]
    );
}

#[test]
fn groups_that_entra_left_out_are_noticed_and_their_source_is_no_team() {
    let at_groups = ClaimPointers {
        teams: at(&["/groups"]),
        ..ClaimPointers::default()
    };
    let sources = json!({"src1": {"endpoint": "https://graph.microsoft.com/v1.0/users/x/getMemberObjects"}});
    for claims in [
        json!({"iss": "i", "sub": "s", "_claim_names": {"groups": "src1"}, "_claim_sources": sources}),
        json!({"iss": "i", "sub": "s", "groups": "src1", "_claim_sources": sources}),
        json!({"iss": "i", "sub": "s", "hasgroups": true}),
        json!({"iss": "i", "sub": "s", "hasgroups": "true"}),
        json!({"iss": "i", "sub": "s", "groups:src1": "https://graph.microsoft.com/"}),
    ] {
        let identity = read_at(&at_groups, claims.clone());
        assert!(identity.overage, "{claims}");
        assert!(identity.teams.is_empty(), "{claims}");
    }
    for claims in [
        json!({"iss": "i", "sub": "s", "groups": ["src1"]}),
        json!({"iss": "i", "sub": "s", "hasgroups": false}),
        json!({"iss": "i", "sub": "s", "_claim_names": {"address": "src1"}, "_claim_sources": sources}),
    ] {
        assert!(!read_at(&at_groups, claims.clone()).overage, "{claims}");
    }
}

#[test]
fn pointers_reach_into_nested_claims() {
    let pointers = ClaimPointers {
        teams: vec!["/https:~1~1example.com~1desk/teams".into()],
        permissions: vec!["/realm_access/roles".into()],
        close_user: vec!["/desk/0".into()],
        subject: Vec::new(),
    };
    let Value::Object(claims) = json!({
        "iss": "i", "sub": "s", "https://example.com/desk": {"teams": ["a"]},
        "realm_access": {"roles": ["numbers:rent"]}, "desk": ["user_1"]
    }) else {
        panic!("claims are an object")
    };
    let caller = identity(claims, &pointers).unwrap();
    assert_eq!(caller.teams.len(), 1);
    assert!(caller.permissions.contains("numbers:rent"));
    assert!(caller.close_user.is_some());
}

#[test]
fn a_service_account_is_read_from_the_subject_and_contradictions_are_refused() {
    let read = |claims: Value| {
        let Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        account(claims)
    };
    let sub = "system:serviceaccount:crm:dialer";
    let repeated =
        json!({"namespace": "crm", "serviceaccount": {"name": "dialer", "uid": "u"}, "pod": {"name": "p"}});
    for claims in [
        json!({"iss": "i", "sub": sub}),
        json!({"iss": "i", "sub": sub, "kubernetes.io": repeated, "teams": ["sales"], "scope": "numbers:admin"}),
    ] {
        let account = read(claims).unwrap();
        assert_eq!(
            (account.issuer.as_str(), account.name.to_string().as_str()),
            ("i", sub)
        );
    }
    for repeated in [
        json!(null),
        json!({}),
        json!("crm"),
        json!({"namespace": "crm"}),
        json!({"namespace": "crm", "serviceaccount": "dialer"}),
        json!({"namespace": "crm", "serviceaccount": {"name": "other"}}),
        json!({"namespace": "crn", "serviceaccount": {"name": "dialer"}}),
        json!({"namespace": ["crm"], "serviceaccount": {"name": "dialer"}}),
    ] {
        assert!(
            read(json!({"iss": "i", "sub": sub, "kubernetes.io": repeated})).is_err(),
            "{repeated}"
        );
    }
    for sub in [
        json!("alice"),
        json!(""),
        json!(null),
        json!([sub]),
        json!("system:serviceaccount:crm"),
    ] {
        assert!(read(json!({"iss": "i", "sub": sub})).is_err(), "{sub}");
    }
}

#[test]
fn a_subject_that_could_forge_a_log_line_is_refused() {
    for sub in [
        json!(""),
        json!("a\nb"),
        json!("\u{7f}"),
        json!("x".repeat(256)),
        json!(7),
        Value::Null,
        json!("system:serviceaccount:crm:dialer"),
        json!("system:serviceaccount:"),
    ] {
        assert!(read(json!({"iss": "i", "sub": sub})).is_err(), "{sub}");
    }
    assert!(read(json!({"iss": "i"})).is_err());
    assert!(read(json!({"iss": "i", "sub": "é".repeat(255)})).is_ok());
}
