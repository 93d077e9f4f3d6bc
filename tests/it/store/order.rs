//! Inserting and cancelling orders: idempotency keys, caps and reservations.

use numberdesk::domain::decision::Refusal;
use numberdesk::store::Cap;

use super::*;

fn count_new(outcomes: &[Inserted]) -> usize {
    outcomes
        .iter()
        .filter(|outcome| **outcome == Inserted::New)
        .count()
}

/// Inserts 200 orders of a new team concurrently: three are stored, and the others get this refusal and cap.
async fn assert_three_of_two_hundred(database: Database, caps: Caps, refusal: Refusal, cap: Cap) {
    let outcomes = run_concurrently(&database, 200, |store, index| async move {
        insert(&store, &order("sales", &format!("key-{index}"), "DE"), &caps).await
    })
    .await;
    assert_eq!(count_new(&outcomes), 3);
    for outcome in outcomes {
        match outcome {
            Inserted::New => {}
            Inserted::Capped {
                refusal: actual_refusal,
                cap: actual_cap,
                usage,
            } => {
                assert_eq!((actual_refusal, actual_cap), (refusal, cap));
                assert_eq!((usage.numbers_reserved, usage.orders_last_day), (3, 3));
                assert_eq!(usage.monthly_reserved, Money::from_cents(1500));
            }
            Inserted::Existing { .. } => panic!("no key was used twice"),
        }
    }
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM orders").await, 3);
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM audit").await, 3);
    assert_books_balance(&database).await;
}

on_both_stores! {
    two_hundred_orders_on_a_cap_of_three_numbers_leave_exactly_three,
    two_hundred_orders_on_a_budget_for_three_leave_exactly_three,
    two_hundred_orders_on_three_a_day_leave_exactly_three,
    fifty_requests_with_one_key_are_one_order,
    idempotency_keys_of_two_teams_do_not_collide,
    a_stored_order_reads_back_unchanged_within_its_scope,
    a_nul_in_a_text_is_stored_as_a_replacement_character,
    the_daily_cap_counts_the_last_24_hours_without_failed_orders,
    a_price_above_the_estimate_blocks_new_orders_but_keeps_held_numbers,
    an_order_is_cancelled_once_and_never_while_it_is_in_progress,
    of_a_concurrent_cancel_and_claim_exactly_one_succeeds,
}

async fn two_hundred_orders_on_a_cap_of_three_numbers_leave_exactly_three(database: Database) {
    let caps = Caps {
        max_numbers: Some(3),
        ..NO_CAPS
    };
    assert_three_of_two_hundred(database, caps, Refusal::Quota, Cap::Numbers).await;
}

async fn two_hundred_orders_on_a_budget_for_three_leave_exactly_three(database: Database) {
    let caps = Caps {
        monthly_budget: Some(Money::from_cents(1999)),
        ..NO_CAPS
    };
    assert_three_of_two_hundred(database, caps, Refusal::Budget, Cap::Budget).await;
}

async fn two_hundred_orders_on_three_a_day_leave_exactly_three(database: Database) {
    let caps = Caps {
        max_orders_per_day: Some(3),
        max_refused_per_hour: None,
        ..NO_CAPS
    };
    assert_three_of_two_hundred(database, caps, Refusal::Quota, Cap::OrdersPerDay).await;
}

async fn fifty_requests_with_one_key_are_one_order(database: Database) {
    // The caps allow one order: a repeat must not be refused because of the first request.
    let caps = Caps {
        max_numbers: Some(1),
        max_orders_per_day: Some(1),
        max_refused_per_hour: None,
        monthly_budget: Some(Money::from_cents(500)),
    };
    let outcomes = run_concurrently(&database, 50, |store, _| async move {
        insert(&store, &order("sales", "the-key", "DE"), &caps).await
    })
    .await;
    assert_eq!(count_new(&outcomes), 1);
    let store = database.store().await;
    let (stored, fingerprint) = store
        .order_by_key(&team("sales"), &"the-key".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(fingerprint, "fingerprint");
    for outcome in outcomes {
        if outcome != Inserted::New {
            assert_eq!(
                outcome,
                Inserted::Existing {
                    order: stored.clone(),
                    fingerprint: "fingerprint".into()
                }
            );
        }
    }
    assert_eq!(
        store.usage(&team("sales"), NOW).await.unwrap().numbers_reserved,
        1
    );
    assert_books_balance(&database).await;
}

async fn idempotency_keys_of_two_teams_do_not_collide(database: Database) {
    let store = database.store().await;
    assert_eq!(
        insert(&store, &order("sales", "k", "DE"), &NO_CAPS).await,
        Inserted::New
    );
    assert_eq!(
        insert(&store, &order("support", "k", "DE"), &NO_CAPS).await,
        Inserted::New
    );
    assert!(
        store
            .order_by_key(&team("other"), &"k".parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

async fn a_stored_order_reads_back_unchanged_within_its_scope(database: Database) {
    let store = database.store().await;
    let mut original = order("sales", "k", "DE");
    original.request.label = Some("Büro % \"Nord\"".into());
    original.request.assign_to = Some(vec!["user_anna".parse().unwrap()]);
    original.terms.assign_to.clone_from(&original.request.assign_to);
    insert(&store, &original, &NO_CAPS).await;
    assert_eq!(
        store.order(&scope("sales"), &original.id).await.unwrap(),
        Some(original.clone())
    );
    assert_eq!(
        store.order(&Scope::system("test"), &original.id).await.unwrap(),
        Some(original.clone())
    );
    assert_eq!(store.order(&scope("support"), &original.id).await.unwrap(), None);
    assert_eq!(
        store
            .order(&Scope::system("test").only(&[]), &original.id)
            .await
            .unwrap(),
        None
    );
}

async fn a_nul_in_a_text_is_stored_as_a_replacement_character(database: Database) {
    let store = database.store().await;
    let mut with_nul = order("sales", "k", "DE");
    with_nul.created_by = "mal\0lory".into();
    assert_eq!(insert(&store, &with_nul, &NO_CAPS).await, Inserted::New);
    let stored = store
        .order(&Scope::system("test"), &with_nul.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.created_by, "mal\u{fffd}lory");
}

async fn the_daily_cap_counts_the_last_24_hours_without_failed_orders(database: Database) {
    let store = database.store().await;
    let caps = Caps {
        max_orders_per_day: Some(2),
        max_refused_per_hour: None,
        ..NO_CAPS
    };
    let refused_order = renting(&store, &order("sales", "refused", "DE")).await;
    assert!(settle(&store, &refused_order, refused(), None).await);
    let cancelled_order = order("sales", "cancelled", "DE");
    insert(&store, &cancelled_order, &caps).await;
    assert!(
        store
            .cancel_order(
                &cancelled_order.cancelled(NOW).unwrap(),
                &audit_row(Action::OrderCancel)
            )
            .await
            .unwrap()
    );
    let mut yesterday = order("sales", "yesterday", "DE");
    yesterday.created_at = NOW.minus(Duration::from_hours(24));
    assert_eq!(insert(&store, &yesterday, &caps).await, Inserted::New);
    assert_eq!(
        insert(&store, &order("sales", "one", "DE"), &caps).await,
        Inserted::New
    );
    assert_eq!(
        insert(&store, &order("sales", "two", "DE"), &caps).await,
        Inserted::New
    );
    assert!(matches!(
        insert(&store, &order("sales", "three", "DE"), &caps).await,
        Inserted::Capped {
            cap: Cap::OrdersPerDay,
            ..
        }
    ));
    assert_eq!(
        insert(&store, &order("support", "other-team", "DE"), &caps).await,
        Inserted::New
    );
    assert_eq!(store.usage(&team("sales"), NOW).await.unwrap().orders_last_day, 2);
}

async fn a_price_above_the_estimate_blocks_new_orders_but_keeps_held_numbers(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let mut billed = observation("A", later(1));
    billed.facts.billed = Some(Money::from_cents(5000));
    store.observe(&[billed]).await.unwrap();
    let caps = Caps {
        monthly_budget: Some(Money::from_cents(2000)),
        ..NO_CAPS
    };
    let Inserted::Capped { cap, usage, .. } = insert(&store, &order("sales", "next", "DE"), &caps).await
    else {
        panic!("the budget is used up");
    };
    assert_eq!(cap, Cap::Budget);
    assert_eq!(
        (usage.numbers_held, usage.monthly_held),
        (1, Money::from_cents(5000))
    );
    assert!(
        store
            .number(&scope("sales"), &number_id("A"))
            .await
            .unwrap()
            .is_some()
    );
}

async fn an_order_is_cancelled_once_and_never_while_it_is_in_progress(database: Database) {
    let store = database.store().await;
    let in_progress = renting(&store, &order("sales", "sent", "DE")).await;
    let mut as_queued = in_progress.clone();
    as_queued.state = State::Queued;
    assert!(
        !store
            .cancel_order(
                &as_queued.cancelled(NOW).unwrap(),
                &audit_row(Action::OrderCancel)
            )
            .await
            .unwrap()
    );
    let queued = order("sales", "queued", "DE");
    insert(&store, &queued, &NO_CAPS).await;
    let outcomes = run_concurrently(&database, 20, |store, _| {
        let cancelled = queued.clone().cancelled(NOW).unwrap();
        async move {
            store
                .cancel_order(&cancelled, &audit_row(Action::OrderCancel))
                .await
                .unwrap()
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|done| **done).count(), 1);
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!(
        (usage.numbers_reserved, usage.monthly_reserved),
        (1, Money::from_cents(500))
    );
    assert_eq!(
        store
            .order(&Scope::system("test"), &queued.id)
            .await
            .unwrap()
            .unwrap(),
        queued.cancelled(NOW).unwrap()
    );
    assert_books_balance(&database).await;
}

async fn of_a_concurrent_cancel_and_claim_exactly_one_succeeds(database: Database) {
    let store = database.store().await;
    for round in 0..20 {
        let queued = order("sales", &format!("key-{round}"), "DE");
        insert(&store, &queued, &NO_CAPS).await;
        let outcomes = run_concurrently(&database, 2, |store, index| {
            let order = queued.clone();
            async move {
                if index == 0 {
                    let order = order.cancelled(NOW).unwrap();
                    store
                        .cancel_order(&order, &audit_row(Action::OrderCancel))
                        .await
                        .unwrap()
                } else {
                    matches!(claim(&store, &order.id, NOW).await, Claim::Claimed(_))
                }
            }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|succeeded| **succeeded).count(), 1);
    }
    assert_books_balance(&database).await;
}
