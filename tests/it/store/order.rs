//! Accepting and withdrawing: keys, caps, reservations.

use numberdesk::domain::decision::Refusal;
use numberdesk::store::Cap;

use super::*;

fn count_new(outcomes: &[Inserted]) -> usize {
    outcomes
        .iter()
        .filter(|outcome| **outcome == Inserted::New)
        .count()
}

/// 200 orders of a team that was never seen before, at once: three get in, and the rest hear which cap it was.
async fn three_of_two_hundred(database: Database, caps: Caps, refusal: Refusal, cap: Cap) {
    let outcomes = at_once(&database, 200, |store, index| async move {
        accept(&store, &order("sales", &format!("key-{index}"), "DE"), &caps).await
    })
    .await;
    assert_eq!(count_new(&outcomes), 3);
    for outcome in outcomes {
        match outcome {
            Inserted::New => {}
            Inserted::Capped {
                refusal: said,
                cap: by,
                usage,
            } => {
                assert_eq!((said, by), (refusal, cap));
                assert_eq!((usage.numbers_reserved, usage.orders_last_day), (3, 3));
                assert_eq!(usage.monthly_reserved, Money::from_cents(1500));
            }
            Inserted::Existing { .. } => panic!("no key was used twice"),
        }
    }
    assert_eq!(database.ask("SELECT COUNT(*) FROM orders").await, 3);
    assert_eq!(database.ask("SELECT COUNT(*) FROM audit").await, 3);
    assert_books_balance(&database).await;
}

on_both_stores! {
    two_hundred_orders_on_a_cap_of_three_numbers_leave_exactly_three,
    two_hundred_orders_on_a_budget_for_three_leave_exactly_three,
    two_hundred_orders_on_three_a_day_leave_exactly_three,
    fifty_requests_with_one_key_are_one_order,
    a_key_is_the_team_s_own,
    what_is_stored_reads_back_the_same,
    a_text_with_a_nul_is_stored_without_it,
    orders_of_a_day_are_a_rolling_day_and_failures_do_not_count,
    a_price_billed_above_the_estimate_blocks_new_orders_and_touches_nothing_held,
    an_order_is_withdrawn_once_and_not_when_it_is_being_sent,
    a_cancel_and_a_claim_at_once_never_both_win,
}

async fn two_hundred_orders_on_a_cap_of_three_numbers_leave_exactly_three(database: Database) {
    let caps = Caps {
        max_numbers: Some(3),
        ..ANY
    };
    three_of_two_hundred(database, caps, Refusal::Quota, Cap::Numbers).await;
}

async fn two_hundred_orders_on_a_budget_for_three_leave_exactly_three(database: Database) {
    let caps = Caps {
        monthly_budget: Some(Money::from_cents(1999)),
        ..ANY
    };
    three_of_two_hundred(database, caps, Refusal::Budget, Cap::Budget).await;
}

async fn two_hundred_orders_on_three_a_day_leave_exactly_three(database: Database) {
    let caps = Caps {
        max_orders_per_day: Some(3),
        ..ANY
    };
    three_of_two_hundred(database, caps, Refusal::Quota, Cap::OrdersPerDay).await;
}

async fn fifty_requests_with_one_key_are_one_order(database: Database) {
    // The cap has room for one: a repeat must not be turned away by what the first one took.
    let caps = Caps {
        max_numbers: Some(1),
        max_orders_per_day: Some(1),
        monthly_budget: Some(Money::from_cents(500)),
    };
    let outcomes = at_once(&database, 50, |store, _| async move {
        accept(&store, &order("sales", "the-key", "DE"), &caps).await
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

async fn a_key_is_the_team_s_own(database: Database) {
    let store = database.store().await;
    assert_eq!(
        accept(&store, &order("sales", "k", "DE"), &ANY).await,
        Inserted::New
    );
    assert_eq!(
        accept(&store, &order("support", "k", "DE"), &ANY).await,
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

async fn what_is_stored_reads_back_the_same(database: Database) {
    let store = database.store().await;
    let mut original = order("sales", "k", "DE");
    original.request.label = Some("Büro % \"Nord\"".into());
    original.request.assign_to = Some(vec!["user_anna".parse().unwrap()]);
    original.terms.assign_to.clone_from(&original.request.assign_to);
    accept(&store, &original, &ANY).await;
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

async fn a_text_with_a_nul_is_stored_without_it(database: Database) {
    let store = database.store().await;
    let mut odd = order("sales", "k", "DE");
    odd.created_by = "mal\0lory".into();
    assert_eq!(accept(&store, &odd, &ANY).await, Inserted::New);
    let stored = store
        .order(&Scope::system("test"), &odd.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.created_by, "mal\u{fffd}lory");
}

async fn orders_of_a_day_are_a_rolling_day_and_failures_do_not_count(database: Database) {
    let store = database.store().await;
    let caps = Caps {
        max_orders_per_day: Some(2),
        ..ANY
    };
    let refused_order = renting(&store, &order("sales", "refused", "DE")).await;
    assert!(settle(&store, &refused_order, refused(), None).await);
    let withdrawn = order("sales", "withdrawn", "DE");
    accept(&store, &withdrawn, &caps).await;
    assert!(
        store
            .cancel_order(&withdrawn.cancelled(NOW).unwrap(), &note(Action::OrderCancel))
            .await
            .unwrap()
    );
    let mut yesterday = order("sales", "yesterday", "DE");
    yesterday.created_at = NOW.minus(Duration::from_hours(24));
    assert_eq!(accept(&store, &yesterday, &caps).await, Inserted::New);
    assert_eq!(
        accept(&store, &order("sales", "one", "DE"), &caps).await,
        Inserted::New
    );
    assert_eq!(
        accept(&store, &order("sales", "two", "DE"), &caps).await,
        Inserted::New
    );
    assert!(matches!(
        accept(&store, &order("sales", "three", "DE"), &caps).await,
        Inserted::Capped {
            cap: Cap::OrdersPerDay,
            ..
        }
    ));
    assert_eq!(
        accept(&store, &order("support", "other-team", "DE"), &caps).await,
        Inserted::New
    );
    assert_eq!(store.usage(&team("sales"), NOW).await.unwrap().orders_last_day, 2);
}

async fn a_price_billed_above_the_estimate_blocks_new_orders_and_touches_nothing_held(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let mut billed = seen("A", later(1));
    billed.facts.billed = Some(Money::from_cents(5000));
    store.observe(&[billed]).await.unwrap();
    let caps = Caps {
        monthly_budget: Some(Money::from_cents(2000)),
        ..ANY
    };
    let Inserted::Capped { cap, usage, .. } = accept(&store, &order("sales", "next", "DE"), &caps).await
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

async fn an_order_is_withdrawn_once_and_not_when_it_is_being_sent(database: Database) {
    let store = database.store().await;
    let sent = renting(&store, &order("sales", "sent", "DE")).await;
    let mut as_queued = sent.clone();
    as_queued.state = State::Queued;
    assert!(
        !store
            .cancel_order(&as_queued.cancelled(NOW).unwrap(), &note(Action::OrderCancel))
            .await
            .unwrap()
    );
    let queued = order("sales", "queued", "DE");
    accept(&store, &queued, &ANY).await;
    let outcomes = at_once(&database, 20, |store, _| {
        let cancelled = queued.clone().cancelled(NOW).unwrap();
        async move {
            store
                .cancel_order(&cancelled, &note(Action::OrderCancel))
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

async fn a_cancel_and_a_claim_at_once_never_both_win(database: Database) {
    let store = database.store().await;
    for round in 0..20 {
        let queued = order("sales", &format!("key-{round}"), "DE");
        accept(&store, &queued, &ANY).await;
        let outcomes = at_once(&database, 2, |store, index| {
            let order = queued.clone();
            async move {
                if index == 0 {
                    let order = order.cancelled(NOW).unwrap();
                    store
                        .cancel_order(&order, &note(Action::OrderCancel))
                        .await
                        .unwrap()
                } else {
                    matches!(claim(&store, &order.id, NOW).await, Claim::Claimed(_))
                }
            }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|won| **won).count(), 1);
    }
    assert_books_balance(&database).await;
}
