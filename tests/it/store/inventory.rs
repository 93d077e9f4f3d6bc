//! The inventory: which word of Close counts, tombstones, and numbers that change hands.

use numberdesk::domain::decision::Refusal;
use numberdesk::store::{Cap, Transferred};

use super::*;

fn labelled(label: &str, as_of: Timestamp) -> Observation {
    let mut seen = seen("A", as_of);
    seen.facts.label = Some(label.into());
    seen
}

async fn label(store: &Store) -> Option<String> {
    let number = store
        .number(&Scope::system("test"), &number_id("A"))
        .await
        .unwrap();
    number.and_then(|number| number.facts.label)
}

async fn transfer(store: &Store, id: &str, to: &str, caps: &Caps) -> Transferred {
    let note = note(Action::NumberTransfer);
    store
        .transfer(&number_id(id), &team(to), caps, NOW, &note)
        .await
        .unwrap()
}

on_both_stores! {
    the_latest_word_of_close_counts_whatever_order_it_comes_in,
    many_observers_of_one_number_leave_the_latest_word,
    an_observation_changes_neither_team_nor_order_and_trues_up_the_price,
    a_released_number_leaves_a_tombstone_that_old_listings_do_not_wake,
    a_transfer_moves_the_holding_under_the_receiver_s_caps,
    transfers_that_race_neither_lose_a_number_nor_break_a_cap_nor_lock_each_other_out,
    the_last_place_goes_to_an_order_or_a_transfer_but_not_to_both,
}

async fn the_latest_word_of_close_counts_whatever_order_it_comes_in(database: Database) {
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
    // The same again is no change, but it is a later word.
    assert_eq!(store.observe(&[labelled("three", later(9))]).await.unwrap(), 0);
    store
        .observe_change(&labelled("eight", later(8)), &note(Action::NumberUpdate))
        .await
        .unwrap();
    assert_eq!(label(&store).await.as_deref(), Some("three"));
    store
        .observe_change(&labelled("nine", later(9)), &note(Action::NumberUpdate))
        .await
        .unwrap();
    assert_eq!(label(&store).await.as_deref(), Some("nine"));
    assert_eq!(database.ask("SELECT COUNT(*) FROM audit").await, 2);
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

async fn many_observers_of_one_number_leave_the_latest_word(database: Database) {
    let store = database.store().await;
    at_once(&database, 60, |store, index| async move {
        let seconds = 60 - index as u64;
        let all = ["A", "B", "C"].map(|id| {
            let mut seen = seen(id, later(seconds));
            seen.facts.label = Some(seconds.to_string());
            seen
        });
        store.observe(&all).await.unwrap()
    })
    .await;
    assert_eq!(label(&store).await.as_deref(), Some("60"));
    assert_eq!(
        store.known_number_ids(Timestamp::from_micros(0)).await.unwrap(),
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
            .ask("SELECT COUNT(*) FROM ledger WHERE kind = 'true_up'")
            .await,
        1
    );
    assert_books_balance(&database).await;
}

async fn a_released_number_leaves_a_tombstone_that_old_listings_do_not_wake(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let id = number_id("A");
    let known = store.number(&Scope::system("test"), &id).await.unwrap().unwrap();
    assert!(
        store
            .mark_releasing(&known, &note(Action::NumberRelease))
            .await
            .unwrap()
    );

    let gone = at_once(&database, 10, |store, _| {
        let (id, note) = (
            id.clone(),
            AuditRow::new(NOW, Actor::desk(), Action::NumberGone, "gone"),
        );
        async move { store.mark_gone(&id, later(1), &note).await.unwrap() }
    })
    .await;
    assert_eq!(gone.iter().filter(|done| **done).count(), 1);
    assert!(store.number(&Scope::system("test"), &id).await.unwrap().is_none());
    assert!(
        !store
            .mark_releasing(&known, &note(Action::NumberRelease))
            .await
            .unwrap()
    );
    assert_eq!(
        store.known_number_ids(Timestamp::from_micros(0)).await.unwrap(),
        []
    );
    assert_eq!(store.usage(&team("sales"), NOW).await.unwrap().numbers_held, 0);
    assert_books_balance(&database).await;

    assert_eq!(store.observe(&[seen("A", later(601))]).await.unwrap(), 0);
    assert!(store.number(&Scope::system("test"), &id).await.unwrap().is_none());
    // Seen well after: it is there after all, and paid for, so its team has it again.
    assert_eq!(store.observe(&[seen("A", later(602))]).await.unwrap(), 1);
    let back = store.number(&scope("sales"), &id).await.unwrap().unwrap();
    assert!(!back.releasing);
    assert_eq!(store.usage(&team("sales"), NOW).await.unwrap().numbers_held, 1);
    assert_books_balance(&database).await;
}

async fn a_transfer_moves_the_holding_under_the_receiver_s_caps(database: Database) {
    let store = database.store().await;
    store.observe(&[seen("A", NOW), seen("B", NOW)]).await.unwrap();
    assert!(
        store
            .number(&scope("sales"), &number_id("A"))
            .await
            .unwrap()
            .is_none()
    );
    let one = Caps {
        max_numbers: Some(1),
        ..ANY
    };
    let Transferred::Done(number) = transfer(&store, "A", "sales", &one).await else {
        panic!("room for one")
    };
    assert_eq!(number.team, Some(team("sales")));
    assert_eq!(
        transfer(&store, "A", "sales", &one).await,
        Transferred::Done(number)
    );
    let Transferred::Capped { refusal, cap, usage } = transfer(&store, "B", "sales", &one).await else {
        panic!("no room for two")
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
        ..ANY
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
        transfer(&store, "A", "support", &ANY).await,
        Transferred::Done(_)
    ));
    assert_eq!(store.usage(&team("sales"), NOW).await.unwrap().numbers_held, 0);
    assert_eq!(store.usage(&team("support"), NOW).await.unwrap().numbers_held, 1);
    assert_eq!(transfer(&store, "X", "sales", &ANY).await, Transferred::NotFound);
    store
        .mark_gone(&number_id("A"), NOW, &note(Action::NumberGone))
        .await
        .unwrap();
    assert_eq!(transfer(&store, "A", "sales", &ANY).await, Transferred::NotFound);
    assert_books_balance(&database).await;
}

async fn transfers_that_race_neither_lose_a_number_nor_break_a_cap_nor_lock_each_other_out(
    database: Database,
) {
    let store = database.store().await;
    let ids: Vec<String> = (0..8).map(|index| format!("N{index}")).collect();
    let all: Vec<_> = ids.iter().map(|id| seen(id, NOW)).collect();
    store.observe(&all).await.unwrap();
    let caps = Caps {
        max_numbers: Some(3),
        ..ANY
    };
    at_once(&database, 80, |store, index| {
        let (ids, all) = (ids.clone(), all.clone());
        async move {
            let to = ["red", "green", "blue"][index % 3];
            match index % 7 {
                // Prices change while numbers change hands.
                0 => {
                    let prices = all.into_iter().map(|mut seen| {
                        seen.facts.billed = Some(Money::from_cents(100 + i64::try_from(index).unwrap()));
                        seen
                    });
                    store.observe(&prices.collect::<Vec<_>>()).await.unwrap();
                }
                _ => drop(transfer(&store, &ids[(index * 5) % ids.len()], to, &caps).await),
            }
        }
    })
    .await;
    assert_eq!(
        store
            .known_number_ids(Timestamp::from_micros(0))
            .await
            .unwrap()
            .len(),
        8
    );
    for name in ["red", "green", "blue"] {
        assert!(store.usage(&team(name), NOW).await.unwrap().numbers_held <= 3);
    }
    assert_books_balance(&database).await;
}

async fn the_last_place_goes_to_an_order_or_a_transfer_but_not_to_both(database: Database) {
    let store = database.store().await;
    store.observe(&[seen("A", NOW)]).await.unwrap();
    let caps = Caps {
        max_numbers: Some(1),
        ..ANY
    };
    at_once(&database, 20, |store, index| async move {
        if index % 2 == 0 {
            accept(&store, &order("sales", &format!("key-{index}"), "DE"), &caps).await;
        } else {
            transfer(&store, "A", "sales", &caps).await;
        }
    })
    .await;
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!(usage.numbers_held + usage.numbers_reserved, 1);
    assert_books_balance(&database).await;
}
