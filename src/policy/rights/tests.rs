//! The engine gives exactly what a naive reading of the policy gives, and a grant can only add rights.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::input::pointer::Pointer;
use crate::domain::input::read::part;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::policy::grants::Grants;

const ISSUERS: [&str; 2] = ["https://one.example/", "https://two.example/"];
const CLAIMS: [&str; 3] = ["/groups", "/roles", "/acme/groups"];
const VALUES: [&str; 5] = ["leads", "agents", "Sales Leads", "/sales/emea", "Leads"];
const TEAMS: [&str; 4] = ["a", "b", "c", "d"];
const WORDS: [&str; 5] = [
    "numbers:read",
    "numbers:rent",
    "numbers:admin",
    "audit:read",
    "acme:share",
];

fn some_of(words: &'static [&'static str], least: usize) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(words, least..=words.len())
}

fn team(name: &str) -> Team {
    name.parse().unwrap()
}

fn owned(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(ToString::to_string).collect()
}

prop_compose! {
    fn a_grant()(
        issuer in proptest::option::of(0..2_usize), claims in some_of(&CLAIMS, 1), value in 0..5_usize,
        teams in some_of(&TEAMS, 1), everywhere in proptest::bool::weighted(0.2), permissions in some_of(&WORDS, 1),
    ) -> Grant {
        Grant {
            issuer: issuer.map(|index| ISSUERS[index].to_owned()),
            claims: part(&json!(claims), "").unwrap(),
            value: VALUES[value].to_owned(),
            reach: if everywhere {
                Reach::Everywhere
            } else {
                Reach::Teams(teams.iter().map(|name| team(name)).collect())
            },
            permissions: owned(&permissions),
        }
    }
}

/// A claim in one of the forms in which providers send lists.
fn a_claim() -> impl Strategy<Value = Value> {
    let array = some_of(&VALUES, 0).prop_map(|values| json!(values));
    let object = some_of(&VALUES, 0).prop_map(|values| {
        Value::Object(
            values
                .iter()
                .map(|value| (value.to_string(), json!({})))
                .collect(),
        )
    });
    let text = some_of(&VALUES, 0).prop_map(|values| json!(values.join(" ")));
    prop_oneof![array, object, text, Just(json!(7)), Just(Value::Null)]
}

prop_compose! {
    fn a_token()(
        issuer in 0..2_usize, teams in some_of(&TEAMS, 0), permissions in some_of(&WORDS, 0),
        groups in a_claim(), roles in a_claim(), nested in a_claim(),
    ) -> TokenIdentity {
        TokenIdentity {
            teams: teams.iter().map(|name| team(name)).collect(),
            permissions: owned(&permissions),
            claims: json!({"groups": groups, "roles": roles, "acme": {"groups": nested}}),
            ..TokenIdentity::named(ISSUERS[issuer], "alice")
        }
    }
}

fn policy_with(grants: Vec<Grant>) -> Policy {
    Policy {
        grants: Grants::new(grants),
        ..Policy::nothing()
    }
}

/// Whether a claim has a value, read without the functions of `domain::claim`.
fn has(claim: Option<&Value>, wanted: &str) -> bool {
    match claim {
        Some(Value::String(text)) => text == wanted || text.split(' ').any(|word| word == wanted),
        Some(Value::Array(items)) => items.iter().any(|item| item == wanted),
        Some(Value::Object(members)) => members.contains_key(wanted),
        _ => false,
    }
}

/// Where each permission holds: in a team, or everywhere (`None`). Written without any index.
fn naive(token: &TokenIdentity, grants: &[Grant]) -> BTreeMap<Option<Team>, BTreeSet<String>> {
    let mut held: BTreeMap<Option<Team>, BTreeSet<String>> = BTreeMap::new();
    for team in &token.teams {
        held.entry(Some(team.clone()))
            .or_default()
            .extend(token.permissions.clone());
    }
    if token.permissions.contains("numbers:admin") {
        held.entry(None).or_default().extend(token.permissions.clone());
    }
    for grant in grants {
        let right_issuer = grant.issuer.as_ref().is_none_or(|issuer| *issuer == token.issuer);
        let found = |pointer: &Pointer| has(token.claims.pointer(pointer.as_str()), &grant.value);
        if right_issuer && grant.claims.as_slice().iter().any(found) {
            match &grant.reach {
                Reach::Everywhere => held.entry(None).or_default().extend(grant.permissions.clone()),
                Reach::Teams(teams) => {
                    for team in teams {
                        held.entry(Some(team.clone()))
                            .or_default()
                            .extend(grant.permissions.clone());
                    }
                }
            }
        }
    }
    let reads = held
        .iter()
        .any(|(place, words)| place.is_some() && words.contains("numbers:read"));
    if let Some(everywhere) = held.get_mut(&None)
        && everywhere.contains("numbers:admin")
        && reads
    {
        everywhere.insert("numbers:read".to_owned());
    }
    held
}

/// Every right that the engine answers with yes: a permission, and a team or an object without a team.
fn answered(rights: &Rights) -> BTreeSet<(String, Option<Team>)> {
    let places = TEAMS.iter().map(|name| Some(team(name))).chain([None]);
    places
        .flat_map(|place| WORDS.iter().map(move |word| (word.to_string(), place.clone())))
        .filter(|(word, place)| rights.hold(word, place.as_ref()))
        .collect()
}

fn rights(token: &TokenIdentity, grants: Vec<Grant>) -> Rights {
    let identity = Identity::Token(std::sync::Arc::new(token.clone()));
    let caller = policy_with(grants)
        .caller(identity)
        .expect("a token is always a caller");
    caller.rights().clone()
}

proptest! {
    #[test]
    fn the_engine_equals_a_naive_reading_of_the_policy(
        token in a_token(), grants in proptest::collection::vec(a_grant(), 0..8),
    ) {
        let held = naive(&token, &grants);
        let holds = |word: &str, place: &Option<Team>| {
            let given = |place: &Option<Team>| held.get(place).is_some_and(|words| words.contains(word));
            given(&None) || given(place)
        };
        let rights = rights(&token, grants);
        for place in TEAMS.iter().map(|name| Some(team(name))).chain([None]) {
            for word in WORDS {
                let expected = holds(word, &place);
                prop_assert_eq!(rights.hold(word, place.as_ref()), expected, "{} in {:?}", word, place);
                // A right always has a source, and a source is always a right.
                prop_assert_eq!(rights.source(word, place.as_ref()).is_some(), expected);
            }
        }
        let teams: BTreeSet<&Team> = rights.teams().collect();
        let expected: BTreeSet<&Team> = held.keys().flatten().chain(&token.teams).collect();
        prop_assert_eq!(teams, expected);
    }

    #[test]
    fn removing_a_grant_never_adds_a_right(
        token in a_token(), grants in proptest::collection::vec(a_grant(), 1..8), removed in any::<proptest::sample::Index>(),
    ) {
        let mut fewer = grants.clone();
        fewer.remove(removed.index(grants.len()));
        let (before, after) = (answered(&rights(&token, grants)), answered(&rights(&token, fewer)));
        prop_assert!(after.is_subset(&before), "{:?}", after.difference(&before).collect::<Vec<_>>());
    }

    #[test]
    fn a_team_of_another_caller_is_never_reached_by_a_right_in_one_s_own_team(
        token in a_token(), grants in proptest::collection::vec(a_grant(), 0..8),
    ) {
        let rights = rights(&token, grants);
        let foreign = team("foreign");
        for word in WORDS {
            prop_assert_eq!(rights.hold(word, Some(&foreign)), rights.hold_everywhere(word));
        }
        prop_assert!(!rights.include(&foreign));
    }
}

#[test]
fn a_grant_gives_a_team_that_the_token_does_not_name() {
    let grant = |value: &str| Grant {
        issuer: None,
        claims: "/groups".parse::<Pointer>().unwrap().into(),
        value: value.to_owned(),
        reach: Reach::Teams(vec![team("sales")]),
        permissions: owned(&[Permission::NumbersRent.as_str()]),
    };
    let token = TokenIdentity {
        claims: json!({"groups": ["5f1c8a52-0b1e-4b57-9a36-1a2d0c7be901", "/sales/emea"]}),
        ..TokenIdentity::named(ISSUERS[0], "alice")
    };
    for (value, given) in [
        ("5f1c8a52-0b1e-4b57-9a36-1a2d0c7be901", true),
        ("/sales/emea", true),
        ("sales", false),
        ("emea", false),
        ("5F1C8A52-0B1E-4B57-9A36-1A2D0C7BE901", false),
    ] {
        let rights = rights(&token, vec![grant(value)]);
        assert_eq!(
            rights.hold("numbers:rent", Some(&team("sales"))),
            given,
            "{value}"
        );
        assert_eq!(rights.teams().len(), usize::from(given));
    }
}
