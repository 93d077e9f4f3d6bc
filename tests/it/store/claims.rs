//! Claims: at most one sender for an order, and which orders are due.

use std::slice::from_ref;

use super::*;

on_both_stores! {
    of_concurrent_claims_of_an_order_exactly_one_succeeds,
    an_unverified_order_freezes_its_country_and_no_other,
    orders_in_progress_in_one_country_have_one_shape,
    of_concurrent_claims_in_one_country_only_orders_of_one_shape_succeed,
    a_claim_is_withdrawn_only_by_its_holder,
    an_expired_lease_freezes_its_country_and_is_found,
    a_requeued_order_waits_until_its_time_and_ignores_its_old_sender,
    the_oldest_order_is_due_first,
    no_team_waits_for_all_orders_of_another,
}

async fn of_concurrent_claims_of_an_order_exactly_one_succeeds(database: Database) {
    let store = database.store().await;
    let queued = order("sales", "k", "DE");
    insert(&store, &queued, &NO_CAPS).await;
    let id = queued.id.clone();
    let outcomes = run_concurrently(&database, 50, |store, _| {
        let id = id.clone();
        async move { claim(&store, &id, NOW).await }
    })
    .await;
    let succeeded: Vec<_> = outcomes
        .iter()
        .filter(|claim| matches!(claim, Claim::Claimed(_)))
        .collect();
    assert_eq!(succeeded, [&Claim::Claimed(queued.claimed(NOW).unwrap())]);
    assert_eq!(
        outcomes
            .iter()
            .filter(|claim| **claim == Claim::Unavailable)
            .count(),
        49
    );
    assert_eq!(
        database
            .query_integer("SELECT COUNT(*) FROM audit WHERE action = 'order.send'")
            .await,
        1
    );
}

async fn an_unverified_order_freezes_its_country_and_no_other(database: Database) {
    let store = database.store().await;
    let unverified_order = renting(&store, &order("sales", "unverified", "DE")).await;
    let in_progress = renting(&store, &order("sales", "in-progress", "DE")).await;
    let (same_country, other_country) = (order("support", "same", "DE"), order("support", "other", "FR"));
    let same_shape = order("sales", "same-shape", "DE");
    insert(&store, &same_country, &NO_CAPS).await;
    insert(&store, &same_shape, &NO_CAPS).await;
    insert(&store, &other_country, &NO_CAPS).await;
    assert!(settle(&store, &unverified_order, unverified(), None).await);

    assert_eq!(due_ids(&store, NOW, 10).await, from_ref(&other_country.id));
    assert_eq!(claim(&store, &same_country.id, NOW).await, Claim::Frozen);
    assert_eq!(claim(&store, &same_shape.id, NOW).await, Claim::Frozen);
    assert!(matches!(
        claim(&store, &other_country.id, NOW).await,
        Claim::Claimed(_)
    ));
    assert!(settle(&store, &in_progress, fulfilled("A"), Some(&observation("A", NOW))).await);
    assert_eq!(
        store
            .order(&Scope::system("test"), &same_country.id)
            .await
            .unwrap()
            .unwrap()
            .state,
        State::Queued
    );
    assert_eq!(
        store.usage(&team("sales"), NOW).await.unwrap().numbers_reserved,
        2,
        "for the unverified order, and for the queued one"
    );
    assert_books_balance(&database).await;
}

async fn orders_in_progress_in_one_country_have_one_shape(database: Database) {
    let store = database.store().await;
    let (first, other_shape) = (order("sales", "first", "DE"), order("support", "other", "DE"));
    let (same_shape, elsewhere) = (
        order("sales", "same-shape", "DE"),
        order("support", "elsewhere", "FR"),
    );
    for order in [&first, &other_shape, &same_shape, &elsewhere] {
        insert(&store, order, &NO_CAPS).await;
    }
    // Of orders that exclude each other, only those of one shape are due.
    let due = due_ids(&store, NOW, 10).await;
    assert!(due.contains(&elsewhere.id));
    let first_shape_is_due = due.contains(&first.id);
    assert_eq!(
        (due.contains(&same_shape.id), due.contains(&other_shape.id)),
        (first_shape_is_due, !first_shape_is_due)
    );
    let Claim::Claimed(first) = claim(&store, &first.id, NOW).await else {
        panic!("a claim succeeds while no order is in progress")
    };
    assert_eq!(claim(&store, &other_shape.id, NOW).await, Claim::Occupied);
    assert!(matches!(
        claim(&store, &same_shape.id, NOW).await,
        Claim::Claimed(_)
    ));
    assert!(matches!(
        claim(&store, &elsewhere.id, NOW).await,
        Claim::Claimed(_)
    ));
    assert_eq!(due_ids(&store, NOW, 10).await, []);
    assert!(settle(&store, &first, refused(), None).await);
    assert_eq!(
        claim(&store, &other_shape.id, NOW).await,
        Claim::Occupied,
        "an order of the first shape is still in progress"
    );
}

async fn of_concurrent_claims_in_one_country_only_orders_of_one_shape_succeed(database: Database) {
    let store = database.store().await;
    let mut ids = Vec::new();
    for n in 0..24 {
        let team = if n % 2 == 0 { "sales" } else { "support" };
        let order = order(team, &format!("k{n}"), "DE");
        insert(&store, &order, &NO_CAPS).await;
        ids.push((team, order.id));
    }
    let claims = ids.into_iter().map(|(team, id)| {
        let store = store.clone();
        tokio::spawn(async move { (team, claim(&store, &id, NOW).await) })
    });
    let mut winners = std::collections::BTreeSet::new();
    for claim in futures::future::join_all(claims).await {
        let (team, claim) = claim.unwrap();
        if matches!(claim, Claim::Claimed(_)) {
            winners.insert(team);
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?} are in progress at the same time");
}

async fn a_claim_is_withdrawn_only_by_its_holder(database: Database) {
    let store = database.store().await;
    let order = order("sales", "k", "DE");
    insert(&store, &order, &NO_CAPS).await;
    let row = audit_row(Action::OrderSend);
    let claimed = store
        .claim_order(&order.id, "desk/1", NOW, LEASE, &row)
        .await
        .unwrap();
    assert!(matches!(claimed, Claim::Claimed(_)));
    assert!(
        !store
            .unclaim_order(&order.id, "desk/2", &audit_row(Action::OrderSend))
            .await
            .unwrap()
    );
    assert!(
        store
            .unclaim_order(&order.id, "desk/1", &audit_row(Action::OrderSend))
            .await
            .unwrap()
    );
    let claimed_again = store
        .claim_order(&order.id, "desk/3", NOW, LEASE, &audit_row(Action::OrderSend))
        .await
        .unwrap();
    assert!(matches!(claimed_again, Claim::Claimed(_)));
    assert!(
        !store
            .unclaim_order(&order.id, "desk/1", &audit_row(Action::OrderSend))
            .await
            .unwrap()
    );
}

async fn an_expired_lease_freezes_its_country_and_is_found(database: Database) {
    let store = database.store().await;
    let expired = renting(&store, &order("sales", "expired", "DE")).await;
    let waiting = order("sales", "waiting", "DE");
    insert(&store, &waiting, &NO_CAPS).await;
    let (before, after) = (NOW.plus(LEASE).minus(Duration::from_micros(1)), NOW.plus(LEASE));
    assert_eq!(store.lapsed_orders(before, LEASE, 10).await.unwrap(), []);
    assert_eq!(due_ids(&store, before, 10).await, from_ref(&waiting.id));
    assert_eq!(
        store.lapsed_orders(after, LEASE, 10).await.unwrap(),
        from_ref(&expired)
    );
    assert_eq!(due_ids(&store, after, 10).await, []);
    assert_eq!(claim(&store, &waiting.id, after).await, Claim::Frozen);
    assert!(settle(&store, &expired, unverified(), None).await);
    assert_eq!(store.lapsed_orders(after, LEASE, 10).await.unwrap(), []);
    // The sender was only slow. Its certain result replaces `unverified`, but only once.
    assert!(settle(&store, &expired, fulfilled("A"), Some(&observation("A", NOW))).await);
    assert!(!settle(&store, &expired, unverified(), None).await);
    assert!(!settle(&store, &expired, refused(), None).await);
    assert!(matches!(
        claim(&store, &waiting.id, after).await,
        Claim::Claimed(_)
    ));
    assert_books_balance(&database).await;
}

async fn a_requeued_order_waits_until_its_time_and_ignores_its_old_sender(database: Database) {
    let store = database.store().await;
    let first = renting(&store, &order("sales", "k", "DE")).await;
    let requeued = Settlement::Requeued {
        not_before: later(30),
        reason: "429".into(),
    };
    assert!(settle(&store, &first, requeued, None).await);
    assert_eq!(due_ids(&store, later(29), 10).await, []);
    assert_eq!(claim(&store, &first.id, later(29)).await, Claim::Unavailable);
    assert_eq!(due_ids(&store, later(30), 10).await, from_ref(&first.id));
    let Claim::Claimed(second) = claim(&store, &first.id, later(30)).await else {
        panic!("a due order can be claimed")
    };
    assert_eq!((second.attempt, second.sent_at), (2, Some(later(30))));
    assert!(!settle(&store, &first, refused(), None).await);
    assert!(settle(&store, &second, refused(), None).await);
    assert_eq!(
        store.usage(&team("sales"), NOW).await.unwrap().numbers_reserved,
        0
    );
    assert_books_balance(&database).await;
}

/// Returns the ids of the orders that are due.
async fn due_ids(store: &Store, now: Timestamp, limit: u32) -> Vec<OrderId> {
    let due = store.due_orders(now, limit).await.unwrap();
    due.into_iter().map(|(id, _)| id).collect()
}

async fn no_team_waits_for_all_orders_of_another(database: Database) {
    let store = database.store().await;
    for nth in 0..6 {
        insert(&store, &order("sales", &format!("key-{nth}"), "DE"), &NO_CAPS).await;
    }
    let late = order("support", "late", "FR");
    insert(&store, &late, &NO_CAPS).await;
    let due = store.due_orders(NOW, 2).await.unwrap();
    assert!(due.contains(&(late.id, team("support"))), "{due:?}");
}

async fn the_oldest_order_is_due_first(database: Database) {
    let store = database.store().await;
    let mut ids = Vec::new();
    for age in 0..5_u64 {
        let mut order = order("sales", &format!("key-{age}"), "DE");
        order.id = OrderId::generate(NOW.minus(Duration::from_secs(age)));
        insert(&store, &order, &NO_CAPS).await;
        ids.insert(0, order.id);
    }
    assert_eq!(due_ids(&store, NOW, 3).await, ids[..3]);
}
