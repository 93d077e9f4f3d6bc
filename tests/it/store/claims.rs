//! Claims: at most one sender for an order, and which orders are due.

use std::collections::BTreeSet;
use std::slice::from_ref;

use numberdesk::domain::order::turn::Wait;

use super::*;

on_both_stores! {
    of_concurrent_claims_of_an_order_exactly_one_succeeds,
    beside_one_unverified_order_claims_succeed_one_at_a_time_and_beside_two_not_at_all,
    overlapping_orders_in_progress_have_one_shape,
    orders_of_countries_with_one_calling_code_overlap,
    of_concurrent_claims_only_orders_of_one_shape_succeed,
    teams_take_turns_across_replicas_and_restarts,
    a_claim_is_withdrawn_only_by_its_holder,
    an_order_with_an_expired_lease_is_in_doubt_and_is_found,
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

async fn beside_one_unverified_order_claims_succeed_one_at_a_time_and_beside_two_not_at_all(
    database: Database,
) {
    let store = database.store().await;
    let first = renting(&store, &order("sales", "first", "DE")).await;
    let second = renting(&store, &order("sales", "second", "DE")).await;
    assert!(settle(&store, &first, unverified(), None).await);
    store.end_quiet(&[&first]).await.unwrap();
    let (waiting, elsewhere) = (order("support", "waiting", "DE"), order("support", "other", "FR"));
    let mut munich = order("support", "munich", "DE");
    munich.request.prefix = Some("89".into());
    for order in [&waiting, &elsewhere, &munich] {
        insert(&store, order, &NO_CAPS).await;
    }
    // The second order is still being sent.
    let due: BTreeSet<OrderId> = due_ids(&store, NOW, 10).await.into_iter().collect();
    assert_eq!(due, BTreeSet::from([elsewhere.id.clone(), munich.id.clone()]));
    assert_eq!(claim(&store, &waiting.id, NOW).await, Claim::Waiting(Wait::Calls));
    for independent in [&elsewhere, &munich] {
        assert!(matches!(
            claim(&store, &independent.id, NOW).await,
            Claim::Claimed(_)
        ));
    }
    assert!(settle(&store, &second, unverified(), None).await);
    assert_eq!(due_ids(&store, NOW, 10).await, []);
    assert_eq!(
        claim(&store, &waiting.id, NOW).await,
        Claim::Waiting(Wait::Doubts)
    );
    assert!(settle(&store, &second, fulfilled("A"), Some(&observation("A", NOW))).await);
    assert_eq!(due_ids(&store, NOW, 10).await, from_ref(&waiting.id));
    // A look that a call in progress kept from proving anything takes precedence over the next call.
    store.keep_quiet(&[&first], NOW).await.unwrap();
    assert_eq!(claim(&store, &waiting.id, NOW).await, Claim::Waiting(Wait::Look));
    assert_eq!(
        due_ids(&store, later(20), 10).await,
        from_ref(&waiting.id),
        "but not for ever"
    );
    store.end_quiet(&[&first]).await.unwrap();
    assert!(matches!(claim(&store, &waiting.id, NOW).await, Claim::Claimed(_)));
    assert_eq!(
        store.usage(&team("sales"), NOW).await.unwrap().numbers_reserved,
        1,
        "for the unverified order"
    );
    assert_books_balance(&database).await;
}

async fn overlapping_orders_in_progress_have_one_shape(database: Database) {
    let store = database.store().await;
    let first = renting(&store, &order("sales", "first", "DE")).await;
    let (same_shape, elsewhere) = (
        order("sales", "same-shape", "DE"),
        order("support", "elsewhere", "FR"),
    );
    let other_shape = order("support", "other", "DE");
    for order in [&same_shape, &elsewhere] {
        insert(&store, order, &NO_CAPS).await;
        assert!(matches!(claim(&store, &order.id, NOW).await, Claim::Claimed(_)));
    }
    insert(&store, &other_shape, &NO_CAPS).await;
    assert_eq!(
        claim(&store, &other_shape.id, NOW).await,
        Claim::Waiting(Wait::Calls)
    );
    // Nobody joins the calls in progress past the order that waits for them.
    let late = order("sales", "late", "DE");
    insert(&store, &late, &NO_CAPS).await;
    assert_eq!(claim(&store, &late.id, NOW).await, Claim::Waiting(Wait::Turn));
    assert_eq!(due_ids(&store, NOW, 10).await, []);
    assert!(settle(&store, &first, refused(), None).await);
    assert_eq!(
        claim(&store, &other_shape.id, NOW).await,
        Claim::Waiting(Wait::Calls),
        "an order of the first shape is still in progress"
    );
}

async fn orders_of_countries_with_one_calling_code_overlap(database: Database) {
    let store = database.store().await;
    let mut states = order("sales", "states", "US");
    states.request.prefix = None;
    renting(&store, &states).await;
    let mut island = order("support", "island", "PR");
    island.request.prefix = None;
    insert(&store, &island, &NO_CAPS).await;
    assert_eq!(claim(&store, &island.id, NOW).await, Claim::Waiting(Wait::Calls));
}

async fn of_concurrent_claims_only_orders_of_one_shape_succeed(database: Database) {
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
    let mut winners = BTreeSet::new();
    for claim in futures::future::join_all(claims).await {
        let (team, claim) = claim.unwrap();
        if matches!(claim, Claim::Claimed(_)) {
            winners.insert(team);
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?} are in progress at the same time");
}

async fn teams_take_turns_across_replicas_and_restarts(database: Database) {
    let store = database.store().await;
    // The greedy team ordered first, with different requests.
    for nth in 0..6 {
        let mut greedy = order("sales", &format!("greedy-{nth}"), "DE");
        greedy.request.assign_to = Some(vec![format!("user_{nth}").parse().unwrap()]);
        greedy.id = OrderId::generate(later(nth));
        insert(&store, &greedy, &NO_CAPS).await;
    }
    for nth in 0..3 {
        let mut modest = order("support", &format!("modest-{nth}"), "DE");
        modest.id = OrderId::generate(later(10 + nth));
        insert(&store, &modest, &NO_CAPS).await;
    }
    let mut sent = String::new();
    loop {
        // Each decision is made by a store that knows nothing of the earlier ones.
        let replica = database.store().await;
        let due = replica.due_orders(NOW, 10).await.unwrap();
        let [(id, team)] = due.as_slice() else {
            assert_eq!(due, []);
            break;
        };
        let Claim::Claimed(order) = claim(&replica, id, NOW).await else {
            panic!("the order that is due can be claimed")
        };
        sent.push(if team.as_str() == "sales" { 'g' } else { 'm' });
        assert!(settle(&replica, &order, refused(), None).await);
    }
    assert_eq!(sent, "gmgmgmggg");
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

async fn an_order_with_an_expired_lease_is_in_doubt_and_is_found(database: Database) {
    let store = database.store().await;
    let expired = renting(&store, &order("sales", "expired", "DE")).await;
    let waiting = order("sales", "waiting", "DE");
    insert(&store, &waiting, &NO_CAPS).await;
    let (before, after) = (NOW.plus(LEASE).minus(Duration::from_micros(1)), NOW.plus(LEASE));
    assert_eq!(store.lapsed_orders(before, LEASE, 10).await.unwrap(), []);
    let mut other = order("support", "other", "DE");
    other.id = OrderId::generate(later(1));
    insert(&store, &other, &NO_CAPS).await;
    assert_eq!(
        claim(&store, &other.id, before).await,
        Claim::Waiting(Wait::Calls)
    );
    assert_eq!(
        store.lapsed_orders(after, LEASE, 10).await.unwrap(),
        from_ref(&expired)
    );
    assert_eq!(
        due_ids(&store, after, 10).await,
        from_ref(&other.id),
        "one at a time beside a doubt, and the other team's turn comes first"
    );
    assert!(settle(&store, &expired, unverified(), None).await);
    assert_eq!(store.lapsed_orders(after, LEASE, 10).await.unwrap(), []);
    // The sender was only slow. Its certain result replaces `unverified`, but only once.
    assert!(settle(&store, &expired, fulfilled("A"), Some(&observation("A", NOW))).await);
    assert!(!settle(&store, &expired, unverified(), None).await);
    assert!(!settle(&store, &expired, refused(), None).await);
    assert!(matches!(claim(&store, &other.id, after).await, Claim::Claimed(_)));
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
