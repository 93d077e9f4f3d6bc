//! Lists: scope, filters, and pages that neither repeat nor skip rows.

use numberdesk::domain::page::Limit;
use numberdesk::inventory::NumberFilter;
use numberdesk::store::{AuditFilter, OrderFilter};

use super::snapshot::load_snapshot;
use super::*;

const MANY: u32 = 200;

fn limit(rows: u32) -> Limit {
    Limit::new(rows).unwrap()
}

/// Returns the ids of the numbers that the filter matches, without their prefix.
async fn matching_ids(store: &Store, scope: &Scope, filter: NumberFilter) -> Vec<String> {
    let page = load_snapshot(store)
        .await
        .numbers(scope, &filter, limit(MANY), None);
    page.rows
        .iter()
        .map(|number| number.facts.id.as_str()["phon_".len()..].to_owned())
        .collect()
}

on_both_stores! {
    pages_show_every_order_once_newest_first_while_orders_are_added,
    pages_of_several_teams_are_merged_in_one_order,
    orders_are_filtered_by_state_and_key,
    numbers_are_filtered_and_never_shown_to_other_teams,
    a_label_search_is_literal_and_ignores_case,
    numbers_are_paged_by_id_in_byte_order,
    audit_rows_are_listed_newest_first_and_filtered,
}

async fn pages_of_several_teams_are_merged_in_one_order(database: Database) {
    let store = database.store().await;
    let teams = ["sales", "support", "legal"];
    let mut expected = Vec::new();
    for index in 0..12_u64 {
        let name = teams[usize::try_from(index * 7 % 5 % 3).unwrap()];
        let mut order = order(name, &format!("key-{index}"), "DE");
        order.id = OrderId::generate(later(index));
        insert(&store, &order, &NO_CAPS).await;
        if name != "legal" {
            expected.insert(0, order.id);
        }
    }
    let two = Scope::system("test").only(&[team("sales"), team("support")]);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .orders(&two, &OrderFilter::default(), limit(2), after.as_deref())
            .await
            .unwrap();
        assert!(page.rows.len() <= 2);
        listed.extend(page.rows.into_iter().map(|order| order.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(!expected.is_empty() && expected.len() < 12);
    assert_eq!(listed, expected);
}

async fn pages_show_every_order_once_newest_first_while_orders_are_added(database: Database) {
    let store = database.store().await;
    let mut expected = Vec::new();
    for index in 0..7_u64 {
        let mut order = order(
            if index == 3 { "support" } else { "sales" },
            &format!("key-{index}"),
            "DE",
        );
        order.id = OrderId::generate(later(index));
        insert(&store, &order, &NO_CAPS).await;
        if index != 3 {
            expected.insert(0, order.id);
        }
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store
            .orders(
                &scope("sales"),
                &OrderFilter::default(),
                limit(2),
                after.as_deref(),
            )
            .await
            .unwrap();
        assert!(page.rows.len() <= 2);
        listed.extend(page.rows.into_iter().map(|order| order.id));
        let mut newcomer = order("sales", &format!("newcomer-{}", listed.len()), "DE");
        newcomer.id = OrderId::generate(later(100));
        insert(&store, &newcomer, &NO_CAPS).await;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, expected);
    // A full last page has no next page.
    let all = store
        .orders(&scope("support"), &OrderFilter::default(), limit(1), None)
        .await
        .unwrap();
    assert_eq!((all.rows.len(), all.next), (1, None));
    assert_eq!(
        store
            .orders(
                &Scope::system("test").only(&[]),
                &OrderFilter::default(),
                limit(9),
                None
            )
            .await
            .unwrap()
            .rows,
        []
    );
    let both = Scope::system("test").only(&[team("sales"), team("support")]);
    assert_eq!(
        store
            .orders(&both, &OrderFilter::default(), limit(MANY), None)
            .await
            .unwrap()
            .rows
            .len(),
        10
    );
}

async fn orders_are_filtered_by_state_and_key(database: Database) {
    let store = database.store().await;
    insert(&store, &order("sales", "waiting", "DE"), &NO_CAPS).await;
    let rented = rented(&store, "sales", "A").await;
    let by_state = OrderFilter {
        state: Some(State::Fulfilled),
        idempotency_key: None,
    };
    assert_eq!(
        store
            .orders(&scope("sales"), &by_state, limit(9), None)
            .await
            .unwrap()
            .rows,
        [rented]
    );
    let by_key = OrderFilter {
        state: None,
        idempotency_key: Some("waiting".parse().unwrap()),
    };
    assert_eq!(
        store
            .orders(&scope("sales"), &by_key, limit(9), None)
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
    assert_eq!(
        store
            .orders(&scope("support"), &by_key, limit(9), None)
            .await
            .unwrap()
            .rows
            .len(),
        0
    );
}

async fn numbers_are_filtered_and_never_shown_to_other_teams(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let mut personal = observation("B", NOW);
    personal.facts.country = None;
    personal.facts.kind = "external".into();
    personal.facts.number = "+15550100".into();
    personal.facts.participants.clear();
    personal.facts.user = Some("user_bob".parse().unwrap());
    personal.facts.label = None;
    store.observe(&[personal, observation("C", NOW)]).await.unwrap();
    let gone = audit_row(Action::NumberGone);
    store.mark_gone(&number_id("C"), NOW, &gone).await.unwrap();

    let filter_with = |set: fn(&mut NumberFilter)| {
        let mut filter = NumberFilter::default();
        set(&mut filter);
        filter
    };
    let nothing = [""; 0];
    assert_eq!(
        matching_ids(&store, &Scope::system("test"), filter_with(|_| ())).await,
        ["A", "B"]
    );
    assert_eq!(
        matching_ids(&store, &scope("sales"), filter_with(|_| ())).await,
        ["A"]
    );
    assert_eq!(
        matching_ids(&store, &scope("support"), filter_with(|_| ())).await,
        nothing
    );
    let orphans = filter_with(|f| f.orphan = Some(true));
    assert_eq!(matching_ids(&store, &scope("sales"), orphans).await, nothing);
    for (filter, expected) in [
        (filter_with(|f| f.orphan = Some(true)), "B"),
        (filter_with(|f| f.orphan = Some(false)), "A"),
        (filter_with(|f| f.country = "DE".parse().ok()), "A"),
        (filter_with(|f| f.number = Some("+15550100".into())), "B"),
        (filter_with(|f| f.kind = Some("external".into())), "B"),
        (filter_with(|f| f.participant = "user_anna".parse().ok()), "A"),
        (filter_with(|f| f.participant = "user_bob".parse().ok()), "B"),
    ] {
        assert_eq!(
            matching_ids(&store, &Scope::system("test"), filter.clone()).await,
            [expected],
            "{filter:?}"
        );
    }
    // A participant that Close removed no longer matches.
    let mut moved = observation("A", later(1));
    moved.facts.participants = vec!["user_carl".parse().unwrap()];
    store.observe(&[moved]).await.unwrap();
    let anna = filter_with(|f| f.participant = "user_anna".parse().ok());
    assert_eq!(matching_ids(&store, &Scope::system("test"), anna).await, nothing);
}

async fn a_label_search_is_literal_and_ignores_case(database: Database) {
    let store = database.store().await;
    for (id, label) in [
        ("A", "100% Büro"),
        ("B", "1000 buero"),
        ("C", "team_nord!"),
        ("D", "teamXnord"),
    ] {
        let mut observation = observation(id, NOW);
        observation.facts.label = Some(label.into());
        store.observe(&[observation]).await.unwrap();
    }
    for (text, expected) in [
        ("0%", vec!["A"]),
        ("BÜRO", vec!["A"]),
        ("m_n", vec!["C"]),
        ("D!", vec!["C"]),
        ("TEAM", vec!["C", "D"]),
        ("' OR 1=1 --", vec![]),
        ("\0", vec![]),
    ] {
        let filter = NumberFilter {
            label: Some(text.into()),
            ..NumberFilter::default()
        };
        assert_eq!(
            matching_ids(&store, &Scope::system("test"), filter).await,
            expected,
            "{text}"
        );
    }
}

async fn numbers_are_paged_by_id_in_byte_order(database: Database) {
    let store = database.store().await;
    let ids = ["0", "Z", "ZZ", "a", "aB", "ab", "b"];
    store.observe(&ids.map(|id| observation(id, NOW))).await.unwrap();
    let (snapshot, mut listed, mut after) = (load_snapshot(&store).await, Vec::new(), None);
    loop {
        let page = snapshot.numbers(
            &Scope::system("test"),
            &NumberFilter::default(),
            limit(3),
            after.as_ref(),
        );
        listed.extend(page.rows.iter().map(|number| number.facts.id.clone()));
        let Some(next) = page.next else { break };
        after = Some(number_id(&next["phon_".len()..]));
    }
    assert_eq!(listed, ids.map(number_id));
}

async fn audit_rows_are_listed_newest_first_and_filtered(database: Database) {
    let store = database.store().await;
    let mut rows = Vec::new();
    for (index, (actor, team_name)) in [
        ("alice", Some("sales")),
        ("bob", Some("support")),
        ("alice", None),
    ]
    .into_iter()
    .enumerate()
    {
        let at = later(index as u64);
        let actor = Actor {
            issuer: "https://idp.example.com/".into(),
            subject: actor.into(),
            sub: None,
        };
        let mut row = AuditRow::new(at, actor, Action::OrderCreate, "denied")
            .team(team_name.map(team).as_ref())
            .order(&OrderId::generate(at))
            .detail(serde_json::json!({"request": {"country": "DE"}, "odd": "\u{0}"}));
        row.allowed = Some(index == 1);
        row.rule = Some("teams.sales.countries".into());
        store.record_audit(&row).await.unwrap();
        rows.insert(0, row);
    }
    let read = async |scope: Scope, filter: AuditFilter| {
        store.audit(&scope, &filter, limit(9), None).await.unwrap().rows
    };
    let none = AuditFilter::default;
    assert_eq!(read(Scope::system("test"), none()).await, rows);
    assert_eq!(read(scope("sales"), none()).await, rows[2..]);
    assert_eq!(
        read(
            Scope::system("test"),
            AuditFilter {
                actor: Some("alice".into()),
                ..none()
            }
        )
        .await
        .len(),
        2
    );
    assert_eq!(
        read(
            Scope::system("test"),
            AuditFilter {
                allowed: Some(true),
                ..none()
            }
        )
        .await,
        rows[1..2]
    );
    assert_eq!(
        read(
            Scope::system("test"),
            AuditFilter {
                order_id: rows[0].order_id.clone(),
                ..none()
            }
        )
        .await,
        rows[..1]
    );
    assert_eq!(
        read(
            Scope::system("test"),
            AuditFilter {
                action: Some(Action::NumberGone),
                ..none()
            }
        )
        .await,
        []
    );
    assert_eq!(
        read(
            Scope::system("test"),
            AuditFilter {
                phone_number_id: Some(number_id("A")),
                ..none()
            }
        )
        .await,
        []
    );
    let period = AuditFilter {
        since: Some(later(1)),
        until: Some(later(2)),
        ..none()
    };
    assert_eq!(read(Scope::system("test"), period).await, rows[1..2]);
}
