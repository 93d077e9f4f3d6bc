//! The snapshot of the inventory in memory: it answers each query as SQL does.

use numberdesk::domain::number::Number;
use numberdesk::domain::page::Limit;
use numberdesk::inventory::{NumberFilter, Snapshot};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::support::listing::Listing;

on_both_stores! {
    a_snapshot_answers_every_query_like_sql,
    numbers_are_read_by_id_and_by_observation_time_unless_they_are_gone,
}

const TEAMS: [&str; 3] = ["Sales", "sales", "support"];
const LABELS: [&str; 6] = [
    "Berlin line",
    "BERLIN büro",
    "100% Büro",
    "team_nord!",
    "ẞ ǅ İ",
    "",
];

/// Loads the whole inventory in small pages.
pub(crate) async fn load_snapshot(store: &Store) -> Snapshot {
    let (mut snapshot, mut last) = (Snapshot::default(), None);
    loop {
        let numbers = store.numbers_after(last.as_ref(), 7).await.unwrap();
        let Some(number) = numbers.last() else {
            return snapshot;
        };
        last = Some(number.facts.id.clone());
        snapshot = snapshot.with(
            numbers
                .into_iter()
                .map(|number| (number.facts.id.clone(), Some(number))),
        );
    }
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let user = || prop::sample::select(vec!["user_anna", "user_bob", "user_carl"]);
    (
        "[aBc0-2]{1,3}",
        prop::option::of(prop::sample::select(vec!["DE", "FR"])),
        prop::option::of(prop::sample::select(LABELS.to_vec())),
        prop::collection::vec(user(), 0..3),
        prop::option::of(user()),
        prop::sample::select(vec!["internal", "external"]),
        0..4,
    )
        .prop_map(|(id, country, label, participants, user, kind, digit)| {
            let mut observation = observation(&id, NOW);
            observation.facts.country = country.map(|country| country.parse().unwrap());
            observation.facts.label = label.map(Into::into);
            observation.facts.participants = participants
                .into_iter()
                .map(|user| user.parse().unwrap())
                .collect();
            observation.facts.user = user.map(|user| user.parse().unwrap());
            observation.facts.kind = kind.into();
            observation.facts.number = format!("+493090182{digit}");
            observation
        })
}

fn query() -> impl Strategy<Value = (Scope, NumberFilter, u32)> {
    let (rarely, often) = (0.25, 0.5);
    let scope = prop_oneof![
        Just(Scope::system("test")),
        prop::collection::vec(prop::sample::select(TEAMS.to_vec()), 0..3)
            .prop_map(|teams| Scope::system("test").only(&teams.into_iter().map(team).collect::<Vec<_>>())),
    ];
    let filter = (
        prop::option::weighted(rarely, prop::sample::select(vec!["DE", "FR", "JP"])),
        prop::option::weighted(rarely, 0..5),
        prop::option::weighted(rarely, prop::sample::select(vec!["internal", "virtual"])),
        prop::option::weighted(
            often,
            prop::sample::select(vec![
                "BÜRO",
                "line",
                "0%",
                "m_n",
                "D!",
                "ß",
                "i",
                "Ǆ",
                "' OR 1=1 --",
                "",
            ]),
        ),
        prop::option::weighted(
            rarely,
            prop::sample::select(vec!["user_anna", "user_bob", "user_x"]),
        ),
        prop::option::weighted(rarely, any::<bool>()),
    )
        .prop_map(|(country, digit, kind, label, user, orphan)| NumberFilter {
            country: country.map(|country| country.parse().unwrap()),
            number: digit.map(|digit| format!("+493090182{digit}")),
            kind: kind.map(Into::into),
            label: label.map(Into::into),
            participant: user.map(|user| user.parse().unwrap()),
            orphan,
        });
    (scope, filter, 1..20_u32)
}

/// Returns values of the strategy, the same in every run.
fn sample<S: Strategy>(count: usize, strategy: &S) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

async fn a_snapshot_answers_every_query_like_sql(database: Database) {
    let store = database.store().await;
    store.observe(&sample(80, &any_observation())).await.unwrap();
    for (nth, name) in TEAMS.iter().enumerate() {
        let assign_team =
            format!("UPDATE numbers SET team = '{name}' WHERE LENGTH(number || label_folded) % 5 = {nth}");
        database.execute(&assign_team).await;
    }
    database
        .execute("UPDATE numbers SET gone_at = 1 WHERE id LIKE '%2'")
        .await;
    let snapshot = load_snapshot(&store).await;
    assert!(!snapshot.is_empty());
    for (scope, filter, limit) in sample(150, &query()) {
        let listing = Listing::new(&scope, &filter, Limit::new(200).unwrap(), None);
        let mut expected = database.query_texts(&listing.text, &listing.args).await;
        let (limit, mut after) = (Limit::new(limit).unwrap(), None);
        loop {
            let page = snapshot.numbers(&scope, &filter, limit, after.as_ref());
            let rest = expected.split_off(expected.len().min(limit.rows() as usize));
            let ids: Vec<_> = page
                .rows
                .iter()
                .map(|number| number.facts.id.to_string())
                .collect();
            assert_eq!(ids, expected, "{scope:?} {filter:?} {limit:?} after {after:?}");
            assert_eq!(page.next.as_ref(), expected.last().filter(|_| !rest.is_empty()));
            expected = rest;
            let Some(next) = page.next else { break };
            after = Some(next.parse().unwrap());
        }
    }
    for id in database.query_texts("SELECT id FROM numbers", &[]).await {
        let id: PhoneNumberId = id.parse().unwrap();
        for scope in [
            Scope::system("test"),
            scope("sales"),
            Scope::system("test").only(&[]),
        ] {
            let known = store.number(&scope, &id).await.unwrap();
            assert_eq!(
                snapshot.number(&scope, &id).map(|number| Number::clone(number)),
                known
            );
        }
    }
}

async fn numbers_are_read_by_id_and_by_observation_time_unless_they_are_gone(database: Database) {
    let store = database.store().await;
    store
        .observe(&[
            observation("A", NOW),
            observation("B", later(5)),
            observation("C", later(9)),
        ])
        .await
        .unwrap();
    let gone = audit_row(Action::NumberGone);
    assert!(store.mark_gone(&number_id("C"), later(9), &gone).await.unwrap());
    let ids_to_find = ["A", "B", "C", "D"].map(number_id);
    let numbers = store.numbers_by_id(&ids_to_find).await.unwrap();
    let mut ids: Vec<_> = numbers.into_iter().map(|number| number.facts.id).collect();
    ids.sort();
    assert_eq!(ids, ["A", "B"].map(number_id));
    assert_eq!(store.numbers_by_id(&[]).await.unwrap(), []);
    // More ids than fit into one statement.
    let many: Vec<_> = (0..1234).map(|nth| number_id(&format!("X{nth}"))).collect();
    let many = [many, ids_to_find.to_vec()].concat();
    assert_eq!(store.numbers_by_id(&many).await.unwrap().len(), 2);
    assert_eq!(
        store.numbers_seen_since(later(5)).await.unwrap(),
        [number_id("B")]
    );
    assert_eq!(store.numbers_seen_since(later(6)).await.unwrap(), []);
    assert_eq!(store.numbers_seen_since(NOW).await.unwrap().len(), 2);
}
