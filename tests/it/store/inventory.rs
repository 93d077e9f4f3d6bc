//! The inventory: observations, tombstones, and transfers between teams.

use numberdesk::domain::decision::Refusal;
use numberdesk::store::{Cap, Transferred};

use super::*;

fn labelled(label: &str, as_of: Timestamp) -> Observation {
    let mut observation = observation("A", as_of);
    observation.facts.label = Some(label.into());
    observation
}

async fn label(store: &Store) -> Option<String> {
    let number = store
        .number(&Scope::system("test"), &number_id("A"))
        .await
        .unwrap();
    number.and_then(|number| number.facts.label)
}

/// Transfers the number from the team that has it now; a concurrent transfer may come first.
async fn try_transfer(store: &Store, id: &str, to: &str, caps: &Caps) -> Transferred {
    let known = store
        .number(&Scope::system("test"), &number_id(id))
        .await
        .unwrap();
    let Some(known) = known else {
        return Transferred::NotFound;
    };
    let row = audit_row(Action::NumberTransfer);
    store.transfer(&known, &team(to), caps, NOW, &row).await.unwrap()
}

async fn transfer(store: &Store, id: &str, to: &str, caps: &Caps) -> Transferred {
    loop {
        match try_transfer(store, id, to, caps).await {
            Transferred::Moved => {}
            done => return done,
        }
    }
}

on_both_stores! {
    the_latest_observation_wins_in_any_order_of_arrival,
    of_concurrent_observations_the_latest_wins,
    an_observation_changes_neither_team_nor_order_and_trues_up_the_price,
    times_that_version_0_1_stored_are_read_and_change_nothing,
    a_tombstone_of_a_released_number_survives_old_listings,
    a_transfer_moves_the_holding_within_the_receiver_s_caps,
    a_transfer_changes_nothing_if_another_team_got_the_number_meanwhile,
    concurrent_transfers_lose_no_number_exceed_no_cap_and_never_deadlock,
    the_last_number_within_a_cap_goes_to_an_order_or_a_transfer_not_both,
}

async fn the_latest_observation_wins_in_any_order_of_arrival(database: Database) {
    let store = database.store().await;
    assert_eq!(store.observe(&[labelled("one", later(1))]).await.unwrap(), 1);
    assert_eq!(
        store
            .observe(&[labelled("three", later(3)), labelled("two", later(2))])
            .await
            .unwrap(),
        1
    );
    assert_eq!(store.observe(&[labelled("two", later(2))]).await.unwrap(), 0);
    assert_eq!(label(&store).await.as_deref(), Some("three"));
    // An equal observation changes nothing, but it is newer.
    assert_eq!(store.observe(&[labelled("three", later(9))]).await.unwrap(), 0);
    store
        .observe_change(&labelled("eight", later(8)), &audit_row(Action::NumberUpdate))
        .await
        .unwrap();
    assert_eq!(label(&store).await.as_deref(), Some("three"));
    store
        .observe_change(&labelled("nine", later(9)), &audit_row(Action::NumberUpdate))
        .await
        .unwrap();
    assert_eq!(label(&store).await.as_deref(), Some("nine"));
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM audit").await, 2);
    let number = store
        .number(&Scope::system("test"), &number_id("A"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (number.team, number.order_id, number.as_of),
        (None, None, later(9))
    );
}

async fn of_concurrent_observations_the_latest_wins(database: Database) {
    let store = database.store().await;
    run_concurrently(&database, 60, |store, index| async move {
        let seconds = 60 - index as u64;
        let all = ["A", "B", "C"].map(|id| {
            let mut observation = observation(id, later(seconds));
            observation.facts.label = Some(seconds.to_string());
            observation
        });
        store.observe(&all).await.unwrap()
    })
    .await;
    assert_eq!(label(&store).await.as_deref(), Some("60"));
    assert_eq!(
        store.known_number_ids(NOW, Duration::ZERO).await.unwrap(),
        ["A", "B", "C"].map(number_id)
    );
}

async fn an_observation_changes_neither_team_nor_order_and_trues_up_the_price(database: Database) {
    let store = database.store().await;
    let order = rented(&store, "sales", "A").await;
    let mut billed = labelled("changed in Close", later(1));
    billed.facts.billed = Some(Money::from_cents(115));
    assert_eq!(store.observe(&[billed]).await.unwrap(), 1);
    let number = store
        .number(&scope("sales"), &number_id("A"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (number.order_id, number.monthly),
        (Some(order.id), Money::from_cents(115))
    );
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!(
        (usage.numbers_held, usage.monthly_held),
        (1, Money::from_cents(115))
    );
    assert_eq!(
        database
            .query_integer("SELECT COUNT(*) FROM ledger WHERE kind = 'true_up'")
            .await,
        1
    );
    assert_books_balance(&database).await;
}

/// Version 0.1 stored times as texts without trailing zeros, here inside the facts and as a setting.
async fn times_that_version_0_1_stored_are_read_and_change_nothing(database: Database) {
    let store = database.store().await;
    store.observe(&[labelled("one", later(1))]).await.unwrap();
    database
        .execute("UPDATE numbers SET facts = REPLACE(facts, '.000000Z', 'Z')")
        .await;
    let old_texts = "SELECT COUNT(*) FROM numbers WHERE facts LIKE '%:40Z%' AND facts NOT LIKE '%.000000Z%'";
    assert_eq!(database.query_integer(old_texts).await, 1);
    let number = store
        .number(&Scope::system("test"), &number_id("A"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(number.facts, labelled("one", later(1)).facts);
    // The same facts in the new text are no change, and so no event.
    let events = "SELECT COUNT(*) FROM events";
    let before = database.query_integer(events).await;
    assert_eq!(store.observe(&[labelled("one", later(2))]).await.unwrap(), 0);
    assert_eq!(database.query_integer(events).await, before);

    let half_a_second_later = NOW.plus(Duration::from_millis(500));
    let old = NOW.to_string().replace(".000000Z", "Z");
    database
        .execute(&format!(
            "INSERT INTO settings (name, value) VALUES ('log_read', '{old}')"
        ))
        .await;
    assert_eq!(store.event_log_position().await.unwrap(), Some(NOW));
    store
        .advance_event_log_position(half_a_second_later)
        .await
        .unwrap();
    assert_eq!(
        store.event_log_position().await.unwrap(),
        Some(half_a_second_later)
    );
    store.advance_event_log_position(NOW).await.unwrap();
    assert_eq!(
        store.event_log_position().await.unwrap(),
        Some(half_a_second_later),
        "an earlier time changes nothing"
    );
}

async fn a_tombstone_of_a_released_number_survives_old_listings(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let id = number_id("A");
    let known = store.number(&Scope::system("test"), &id).await.unwrap().unwrap();
    assert!(
        store
            .mark_releasing(&known, &audit_row(Action::NumberRelease))
            .await
            .unwrap()
    );

    let gone = run_concurrently(&database, 10, |store, _| {
        let (id, audit_row) = (
            id.clone(),
            AuditRow::new(NOW, Actor::desk(), Action::NumberGone, "gone"),
        );
        async move { store.mark_gone(&id, later(1), &audit_row).await.unwrap() }
    })
    .await;
    assert_eq!(gone.iter().filter(|done| **done).count(), 1);
    assert!(store.number(&Scope::system("test"), &id).await.unwrap().is_none());
    assert!(
        !store
            .mark_releasing(&known, &audit_row(Action::NumberRelease))
            .await
            .unwrap()
    );
    assert_eq!(store.known_number_ids(NOW, Duration::ZERO).await.unwrap(), []);
    assert_eq!(store.usage(&team("sales"), NOW).await.unwrap().numbers_held, 0);
    assert_books_balance(&database).await;

    assert_eq!(store.observe(&[observation("A", later(601))]).await.unwrap(), 0);
    assert!(store.number(&Scope::system("test"), &id).await.unwrap().is_none());
    // An observation long after the release shows that the number exists and is paid for, so its team holds it again.
    assert_eq!(store.observe(&[observation("A", later(602))]).await.unwrap(), 1);
    let back = store.number(&scope("sales"), &id).await.unwrap().unwrap();
    assert!(!back.releasing);
    assert_eq!(store.usage(&team("sales"), NOW).await.unwrap().numbers_held, 1);
    assert_books_balance(&database).await;
}

async fn a_transfer_moves_the_holding_within_the_receiver_s_caps(database: Database) {
    let store = database.store().await;
    store
        .observe(&[observation("A", NOW), observation("B", NOW)])
        .await
        .unwrap();
    assert!(
        store
            .number(&scope("sales"), &number_id("A"))
            .await
            .unwrap()
            .is_none()
    );
    let one = Caps {
        max_numbers: Some(1),
        ..NO_CAPS
    };
    let Transferred::Done(number) = transfer(&store, "A", "sales", &one).await else {
        panic!("the cap allows one number")
    };
    assert_eq!(number.team, Some(team("sales")));
    assert_eq!(
        transfer(&store, "A", "sales", &one).await,
        Transferred::Done(number)
    );
    let Transferred::Capped { refusal, cap, usage } = transfer(&store, "B", "sales", &one).await else {
        panic!("the cap does not allow two numbers")
    };
    assert_eq!(
        (refusal, cap, usage.numbers_held),
        (Refusal::Quota, Cap::Numbers, 1)
    );
    assert_eq!(
        store
            .number(&Scope::system("test"), &number_id("B"))
            .await
            .unwrap()
            .unwrap()
            .team,
        None
    );
    let poor = Caps {
        monthly_budget: Some(Money::from_cents(599)),
        ..NO_CAPS
    };
    assert!(matches!(
        transfer(&store, "A", "support", &poor).await,
        Transferred::Capped {
            refusal: Refusal::Budget,
            cap: Cap::Budget,
            ..
        }
    ));
    assert!(matches!(
        transfer(&store, "A", "support", &NO_CAPS).await,
        Transferred::Done(_)
    ));
    assert_eq!(store.usage(&team("sales"), NOW).await.unwrap().numbers_held, 0);
    assert_eq!(store.usage(&team("support"), NOW).await.unwrap().numbers_held, 1);
    assert_eq!(
        transfer(&store, "X", "sales", &NO_CAPS).await,
        Transferred::NotFound
    );
    store
        .mark_gone(&number_id("A"), NOW, &audit_row(Action::NumberGone))
        .await
        .unwrap();
    assert_eq!(
        transfer(&store, "A", "sales", &NO_CAPS).await,
        Transferred::NotFound
    );
    assert_books_balance(&database).await;
}

async fn a_transfer_changes_nothing_if_another_team_got_the_number_meanwhile(database: Database) {
    let store = database.store().await;
    store.observe(&[observation("A", NOW)]).await.unwrap();
    let number = async || {
        let number = store.number(&Scope::system("test"), &number_id("A")).await;
        number.unwrap().unwrap()
    };
    let unassigned = number().await;
    transfer(&store, "A", "sales", &NO_CAPS).await;
    let of_sales = number().await;
    transfer(&store, "A", "support", &NO_CAPS).await;
    let rows = database.query_integer("SELECT COUNT(*) FROM audit").await;
    for known in [unassigned, of_sales] {
        let row = audit_row(Action::NumberTransfer);
        let done = store.transfer(&known, &team("legal"), &NO_CAPS, NOW, &row).await;
        assert_eq!(done.unwrap(), Transferred::Moved);
        assert_eq!(number().await.team, Some(team("support")));
        // What the caller wanted is the case.
        let done = store
            .transfer(&known, &team("support"), &NO_CAPS, NOW, &row)
            .await;
        assert!(matches!(done.unwrap(), Transferred::Done(number) if number.team == Some(team("support"))));
    }
    assert_eq!(
        database.query_integer("SELECT COUNT(*) FROM audit").await,
        rows + 2
    );
    assert_books_balance(&database).await;
}

async fn concurrent_transfers_lose_no_number_exceed_no_cap_and_never_deadlock(database: Database) {
    let store = database.store().await;
    let ids: Vec<String> = (0..8).map(|index| format!("N{index}")).collect();
    let all: Vec<_> = ids.iter().map(|id| observation(id, NOW)).collect();
    store.observe(&all).await.unwrap();
    let caps = Caps {
        max_numbers: Some(3),
        ..NO_CAPS
    };
    run_concurrently(&database, 80, |store, index| {
        let (ids, all) = (ids.clone(), all.clone());
        async move {
            let to = ["red", "green", "blue"][index % 3];
            match index % 7 {
                // Prices change during the transfers.
                0 => {
                    let prices = all.into_iter().map(|mut observation| {
                        observation.facts.billed =
                            Some(Money::from_cents(100 + i64::try_from(index).unwrap()));
                        observation
                    });
                    store.observe(&prices.collect::<Vec<_>>()).await.unwrap();
                }
                _ => drop(try_transfer(&store, &ids[(index * 5) % ids.len()], to, &caps).await),
            }
        }
    })
    .await;
    assert_eq!(
        store.known_number_ids(NOW, Duration::ZERO).await.unwrap().len(),
        8
    );
    for name in ["red", "green", "blue"] {
        assert!(store.usage(&team(name), NOW).await.unwrap().numbers_held <= 3);
    }
    assert_books_balance(&database).await;
}

async fn the_last_number_within_a_cap_goes_to_an_order_or_a_transfer_not_both(database: Database) {
    let store = database.store().await;
    store.observe(&[observation("A", NOW)]).await.unwrap();
    let caps = Caps {
        max_numbers: Some(1),
        ..NO_CAPS
    };
    run_concurrently(&database, 20, |store, index| async move {
        if index % 2 == 0 {
            insert(&store, &order("sales", &format!("key-{index}"), "DE"), &caps).await;
        } else {
            transfer(&store, "A", "sales", &caps).await;
        }
    })
    .await;
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!(usage.numbers_held + usage.numbers_reserved, 1);
    assert_books_balance(&database).await;
}
