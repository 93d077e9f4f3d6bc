//! Compares snapshots with a plain list of numbers: after any changes, both give the same result for every query.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

use proptest::prelude::*;

use super::*;
use crate::domain::money::Money;
use crate::domain::number::Facts;
use crate::domain::raw_object::RawObject;
use crate::domain::time::Timestamp;

// The values of random numbers and filters. There are few, so that filters often match.
const TEAMS: [&str; 3] = ["sales", "support", "Sales"];
const COUNTRIES: [&str; 2] = ["DE", "FR"];
const LABELS: [&str; 5] = ["Berlin line", "BERLIN büro", "100% Büro", "team_nord!", ""];
const USERS: [&str; 3] = ["user_anna", "user_bob", "user_carl"];
const KINDS: [&str; 2] = ["internal", "external"];

fn id() -> impl Strategy<Value = PhoneNumberId> {
    "phon_[aBc0-2]{1,2}".prop_map(|id| id.parse().unwrap())
}

fn word<T: FromStr<Err: Debug> + Debug>(words: &'static [&'static str]) -> impl Strategy<Value = T> {
    prop::sample::select(words).prop_map(|word| word.parse().unwrap())
}

fn number(id: PhoneNumberId) -> impl Strategy<Value = Number> {
    (
        prop::option::of(word::<Team>(&TEAMS)),
        prop::option::of(word(&COUNTRIES)),
        prop::option::of(word::<String>(&LABELS)),
        prop::collection::vec(word(&USERS), 0..3),
        prop::option::of(word(&USERS)),
        word::<String>(&KINDS),
        0..3,
    )
        .prop_map(
            move |(team, country, label, participants, user, kind, digit)| Number {
                facts: Facts {
                    id: id.clone(),
                    organization: None,
                    number: format!("+493090182{digit}"),
                    country,
                    kind,
                    label,
                    carrier_type: None,
                    participants,
                    participant_groups: Vec::new(),
                    user,
                    group: false,
                    sms: None,
                    billed: None,
                    created_at: None,
                    updated_at: None,
                    object: RawObject::default(),
                },
                team,
                order_id: None,
                monthly: Money::ZERO,
                as_of: Timestamp::from_micros(0),
                releasing: false,
                release_at: None,
                provenance: None,
            },
        )
}

fn change() -> impl Strategy<Value = (PhoneNumberId, Option<Number>)> {
    id().prop_flat_map(|id| (Just(id.clone()), prop::option::weighted(0.8, number(id))))
}

fn filter() -> impl Strategy<Value = NumberFilter> {
    let sometimes = 0.2;
    (
        prop::option::weighted(sometimes, word(&COUNTRIES)),
        prop::option::weighted(sometimes, (0..3).prop_map(|digit| format!("+493090182{digit}"))),
        prop::option::weighted(sometimes, word(&KINDS)),
        prop::option::weighted(sometimes, word(&["BÜRO", "line", "0%", "_n", ""])),
        prop::option::weighted(sometimes, word(&USERS)),
        prop::option::weighted(sometimes, any::<bool>()),
    )
        .prop_map(
            |(country, number, kind, label, participant, orphan)| NumberFilter {
                country,
                number,
                kind,
                label,
                participant,
                orphan,
            },
        )
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::system("test")),
        prop::collection::vec(word(&TEAMS), 0..4).prop_map(|teams| Scope::system("test").only(&teams)),
    ]
}

/// Returns the expected rows of a list, by the simplest possible code.
fn expected_rows(
    known: &BTreeMap<PhoneNumberId, Number>,
    scope: &Scope,
    filter: &NumberFilter,
) -> Vec<Number> {
    let in_scope = |number: &&Number| match (scope.teams(), &number.team) {
        (None, _) => true,
        (Some(teams), Some(team)) => teams.contains(team),
        (Some(_), None) => false,
    };
    let matches = |number: &&Number| {
        let facts = &number.facts;
        let label = facts.label.clone().unwrap_or_default().to_lowercase();
        let text = filter.label.clone().unwrap_or_default().to_lowercase();
        (filter.country.is_none() || filter.country == facts.country)
            && (filter.number.is_none() || filter.number.as_ref() == Some(&facts.number))
            && (filter.kind.is_none() || filter.kind.as_ref() == Some(&facts.kind))
            && label.contains(&text)
            && filter
                .participant
                .as_ref()
                .is_none_or(|user| facts.participants.contains(user) || facts.user.as_ref() == Some(user))
            && filter.orphan.is_none_or(|orphan| orphan == number.team.is_none())
    };
    known.values().filter(in_scope).filter(matches).cloned().collect()
}

/// Returns the rows of all pages, and the number of pages.
fn pages(snapshot: &Snapshot, scope: &Scope, filter: &NumberFilter, limit: u32) -> (Vec<Number>, usize) {
    let limit = Limit::new(limit).unwrap();
    let (mut rows, mut count, mut after) = (Vec::new(), 0, None);
    loop {
        let page = snapshot.numbers(scope, filter, limit, after.as_ref());
        assert!(page.rows.len() <= limit.rows() as usize);
        rows.extend(page.rows.iter().map(|number| Number::clone(number)));
        count += 1;
        let Some(next) = page.next else {
            return (rows, count);
        };
        assert_eq!(rows.last().unwrap().facts.id.as_str(), next);
        after = Some(next.parse().unwrap());
    }
}

proptest! {
    #[test]
    fn after_any_changes_a_snapshot_returns_the_same_rows_as_a_plain_list(
        changes in prop::collection::vec(change(), 0..60),
        queries in prop::collection::vec((scope(), filter(), 1..5_u32), 1..20),
    ) {
        let mut known = BTreeMap::new();
        let mut snapshot = Snapshot::default();
        for batch in changes.chunks(7) {
            let before = (snapshot.clone(), known.clone());
            snapshot = snapshot.with(batch.iter().cloned());
            for (id, number) in batch {
                match number {
                    Some(number) => known.insert(id.clone(), number.clone()),
                    None => known.remove(id),
                };
            }
            prop_assert_eq!(snapshot.len(), known.len());
            for (scope, filter, limit) in &queries {
                // The previous snapshot shares data with the new one, and must not have changed.
                for (snapshot, known) in [(&snapshot, &known), (&before.0, &before.1)] {
                    let expected = expected_rows(known, scope, filter);
                    let (rows, count) = pages(snapshot, scope, filter, *limit);
                    let full = usize::try_from(*limit).unwrap();
                    prop_assert_eq!(count, expected.len().div_ceil(full).max(1));
                    prop_assert_eq!(rows, expected);
                }
            }
            for (scope, ..) in &queries {
                let visible = expected_rows(&known, scope, &NumberFilter::default());
                for id in known.keys() {
                    let found = snapshot.number(scope, id).map(|number| Number::clone(number));
                    prop_assert_eq!(found.as_ref(), visible.iter().find(|number| number.facts.id == *id));
                }
            }
        }
        // Without numbers, no index has entries.
        let empty = snapshot.with(known.into_keys().map(|id| (id, None)));
        prop_assert!(empty.is_empty() && empty.indexes.is_empty());
    }
}
