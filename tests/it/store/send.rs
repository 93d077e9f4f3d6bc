//! Claiming and settling: at most one sender, at most one end.

use std::slice::from_ref;

use super::*;

on_both_stores! {
    of_many_claims_exactly_one_wins,
    an_order_in_doubt_freezes_its_country_and_no_other,
    what_is_under_way_in_one_country_is_of_one_shape,
    of_many_claims_at_once_in_one_country_only_alike_ones_win,
    a_claim_is_taken_back_by_nobody_but_who_made_it,
    a_sender_that_died_freezes_its_country_and_is_found,
    an_order_is_settled_exactly_once,
    a_fulfilled_order_holds_what_it_reserved,
    a_number_that_a_listing_saw_first_becomes_the_order_s,
    a_number_that_was_adopted_meanwhile_goes_to_the_order_s_team_and_both_books_are_right,
    a_number_that_is_gone_before_its_order_is_settled_is_not_held,
    no_number_is_ever_two_orders_nor_an_order_fulfilled_without_one,
    a_requeued_order_waits_its_time_and_its_old_sender_has_no_say,
    the_oldest_order_is_due_first,
    of_two_teams_neither_waits_for_all_orders_of_the_other,
    a_label_is_due_until_it_is_set_or_the_number_is_gone,
}

async fn of_many_claims_exactly_one_wins(database: Database) {
    let store = database.store().await;
    let queued = order("sales", "k", "DE");
    accept(&store, &queued, &ANY).await;
    let id = queued.id.clone();
    let outcomes = at_once(&database, 50, |store, _| {
        let id = id.clone();
        async move { claim(&store, &id, NOW).await }
    })
    .await;
    let won: Vec<_> = outcomes
        .iter()
        .filter(|claim| matches!(claim, Claim::Claimed(_)))
        .collect();
    assert_eq!(won, [&Claim::Claimed(queued.claimed(NOW).unwrap())]);
    assert_eq!(
        outcomes
            .iter()
            .filter(|claim| **claim == Claim::Unavailable)
            .count(),
        49
    );
    assert_eq!(
        database
            .ask("SELECT COUNT(*) FROM audit WHERE action = 'order.send'")
            .await,
        1
    );
}

async fn an_order_in_doubt_freezes_its_country_and_no_other(database: Database) {
    let store = database.store().await;
    let doubtful = renting(&store, &order("sales", "doubtful", "DE")).await;
    let side_by_side = renting(&store, &order("sales", "side-by-side", "DE")).await;
    let (same, other) = (order("support", "same", "DE"), order("support", "other", "FR"));
    let alike = order("sales", "alike", "DE");
    accept(&store, &same, &ANY).await;
    accept(&store, &alike, &ANY).await;
    accept(&store, &other, &ANY).await;
    assert!(settle(&store, &doubtful, unverified(), None).await);

    assert_eq!(due_ids(&store, NOW, 10).await, from_ref(&other.id));
    assert_eq!(claim(&store, &same.id, NOW).await, Claim::Frozen);
    assert_eq!(claim(&store, &alike.id, NOW).await, Claim::Frozen);
    assert!(matches!(claim(&store, &other.id, NOW).await, Claim::Claimed(_)));
    assert!(settle(&store, &side_by_side, fulfilled("A"), Some(&seen("A", NOW))).await);
    assert_eq!(
        store
            .order(&Scope::system("test"), &same.id)
            .await
            .unwrap()
            .unwrap()
            .state,
        State::Queued
    );
    assert_eq!(
        store.usage(&team("sales"), NOW).await.unwrap().numbers_reserved,
        2,
        "of the one in doubt, and of the one that waits for it"
    );
    assert_books_balance(&database).await;
}

async fn what_is_under_way_in_one_country_is_of_one_shape(database: Database) {
    let store = database.store().await;
    let (first, other) = (order("sales", "first", "DE"), order("support", "other", "DE"));
    let (alike, elsewhere) = (order("sales", "alike", "DE"), order("support", "elsewhere", "FR"));
    for order in [&first, &other, &alike, &elsewhere] {
        accept(&store, order, &ANY).await;
    }
    // Of those that exclude each other, only one kind is due.
    let due = due_ids(&store, NOW, 10).await;
    assert!(due.contains(&elsewhere.id));
    let ours = due.contains(&first.id);
    assert_eq!((due.contains(&alike.id), due.contains(&other.id)), (ours, !ours));
    let Claim::Claimed(first) = claim(&store, &first.id, NOW).await else {
        panic!("nothing is in its way")
    };
    assert_eq!(claim(&store, &other.id, NOW).await, Claim::Occupied);
    assert!(matches!(claim(&store, &alike.id, NOW).await, Claim::Claimed(_)));
    assert!(matches!(
        claim(&store, &elsewhere.id, NOW).await,
        Claim::Claimed(_)
    ));
    assert_eq!(due_ids(&store, NOW, 10).await, []);
    assert!(settle(&store, &first, refused(), None).await);
    assert_eq!(
        claim(&store, &other.id, NOW).await,
        Claim::Occupied,
        "one is left"
    );
}

async fn of_many_claims_at_once_in_one_country_only_alike_ones_win(database: Database) {
    let store = database.store().await;
    let mut ids = Vec::new();
    for n in 0..24 {
        let team = if n % 2 == 0 { "sales" } else { "support" };
        let order = order(team, &format!("k{n}"), "DE");
        accept(&store, &order, &ANY).await;
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
    assert_eq!(winners.len(), 1, "{winners:?} are under way side by side");
}

async fn a_claim_is_taken_back_by_nobody_but_who_made_it(database: Database) {
    let store = database.store().await;
    let order = order("sales", "k", "DE");
    accept(&store, &order, &ANY).await;
    let row = note(Action::OrderSend);
    let claimed = store
        .claim_order(&order.id, "desk/1", NOW, LEASE, &row)
        .await
        .unwrap();
    assert!(matches!(claimed, Claim::Claimed(_)));
    assert!(
        !store
            .unclaim_order(&order.id, "desk/2", &note(Action::OrderSend))
            .await
            .unwrap()
    );
    assert!(
        store
            .unclaim_order(&order.id, "desk/1", &note(Action::OrderSend))
            .await
            .unwrap()
    );
    let again = store
        .claim_order(&order.id, "desk/3", NOW, LEASE, &note(Action::OrderSend))
        .await
        .unwrap();
    assert!(matches!(again, Claim::Claimed(_)));
    assert!(
        !store
            .unclaim_order(&order.id, "desk/1", &note(Action::OrderSend))
            .await
            .unwrap()
    );
}

async fn a_sender_that_died_freezes_its_country_and_is_found(database: Database) {
    let store = database.store().await;
    let dead = renting(&store, &order("sales", "dead", "DE")).await;
    let waiting = order("sales", "waiting", "DE");
    accept(&store, &waiting, &ANY).await;
    let (before, after) = (NOW.plus(LEASE).minus(Duration::from_micros(1)), NOW.plus(LEASE));
    assert_eq!(store.lapsed_orders(before, 10).await.unwrap(), []);
    assert_eq!(due_ids(&store, before, 10).await, from_ref(&waiting.id));
    assert_eq!(store.lapsed_orders(after, 10).await.unwrap(), from_ref(&dead));
    assert_eq!(due_ids(&store, after, 10).await, []);
    assert_eq!(claim(&store, &waiting.id, after).await, Claim::Frozen);
    assert!(settle(&store, &dead, unverified(), None).await);
    assert_eq!(store.lapsed_orders(after, 10).await.unwrap(), []);
    // The sender was only slow. What it knows for certain counts more than the doubt, once.
    assert!(settle(&store, &dead, fulfilled("A"), Some(&seen("A", NOW))).await);
    assert!(!settle(&store, &dead, unverified(), None).await);
    assert!(!settle(&store, &dead, refused(), None).await);
    assert!(matches!(
        claim(&store, &waiting.id, after).await,
        Claim::Claimed(_)
    ));
    assert_books_balance(&database).await;
}

async fn an_order_is_settled_exactly_once(database: Database) {
    let store = database.store().await;
    let order = renting(&store, &order("sales", "k", "DE")).await;
    let outcomes = at_once(&database, 30, |store, index| {
        let order = order.clone();
        async move {
            let end = if index % 2 == 0 { fulfilled("A") } else { refused() };
            settle(&store, &order, end, Some(&seen("A", NOW))).await
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|won| **won).count(), 1);
    assert_eq!(
        database
            .ask("SELECT COUNT(*) FROM audit WHERE action = 'order.settle'")
            .await,
        1
    );
    assert_books_balance(&database).await;
}

async fn a_fulfilled_order_holds_what_it_reserved(database: Database) {
    let store = database.store().await;
    let order = rented(&store, "sales", "A").await;
    assert_eq!(order.state, State::Fulfilled);
    assert_eq!(order.phone_number_id, Some(number_id("A")));
    let number = store
        .number(&scope("sales"), &number_id("A"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(number.facts, seen("A", NOW).facts);
    assert_eq!(
        (number.team, number.order_id),
        (Some(team("sales")), Some(order.id))
    );
    assert_eq!(
        (number.monthly, number.as_of, number.releasing),
        (Money::from_cents(600), NOW, false)
    );
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!(
        (usage.numbers_held, usage.numbers_reserved, usage.orders_last_day),
        (1, 0, 1)
    );
    assert_eq!(
        (usage.monthly_held, usage.monthly_reserved),
        (Money::from_cents(600), Money::ZERO)
    );
    assert_books_balance(&database).await;
}

async fn a_number_that_a_listing_saw_first_becomes_the_order_s(database: Database) {
    let store = database.store().await;
    let order = renting(&store, &order("sales", "k", "DE")).await;
    let mut listed = seen("A", later(5));
    listed.facts.label = Some("as the later listing has it".into());
    assert_eq!(store.observe(std::slice::from_ref(&listed)).await.unwrap(), 1);
    assert!(settle(&store, &order, fulfilled("A"), Some(&seen("A", NOW))).await);
    let number = store
        .number(&scope("sales"), &number_id("A"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((number.facts, number.order_id), (listed.facts, Some(order.id)));
    assert_books_balance(&database).await;
}

async fn a_number_that_was_adopted_meanwhile_goes_to_the_order_s_team_and_both_books_are_right(
    database: Database,
) {
    let store = database.store().await;
    let orders = [
        renting(&store, &order("sales", "1", "DE")).await,
        renting(&store, &order("sales", "2", "DE")).await,
    ];
    for (id, adopter) in [("A", "support"), ("B", "sales")] {
        store.observe(&[seen(id, NOW)]).await.unwrap();
        let note = note(Action::NumberTransfer);
        store
            .transfer(&number_id(id), &team(adopter), &ANY, NOW, &note)
            .await
            .unwrap();
    }
    assert!(settle(&store, &orders[0], fulfilled("A"), Some(&seen("A", NOW))).await);
    assert!(settle(&store, &orders[1], fulfilled("B"), Some(&seen("B", NOW))).await);
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!((usage.numbers_held, usage.numbers_reserved), (2, 0));
    assert_eq!(store.usage(&team("support"), NOW).await.unwrap().numbers_held, 0);
    assert_books_balance(&database).await;
}

async fn a_number_that_is_gone_before_its_order_is_settled_is_not_held(database: Database) {
    let store = database.store().await;
    let order = renting(&store, &order("sales", "k", "DE")).await;
    store.observe(&[seen("A", NOW)]).await.unwrap();
    assert!(
        store
            .mark_gone(&number_id("A"), later(1), &note(Action::NumberGone))
            .await
            .unwrap()
    );
    assert!(settle(&store, &order, fulfilled("A"), Some(&seen("A", NOW))).await);
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!((usage.numbers_held, usage.numbers_reserved), (0, 0));
    assert_books_balance(&database).await;
}

async fn no_number_is_ever_two_orders_nor_an_order_fulfilled_without_one(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let order = renting(&store, &order("sales", "again", "DE")).await;
    let settled = order.clone().settled(fulfilled("A"), NOW).unwrap();
    let note = note(Action::OrderSettle);
    assert!(
        !store
            .settle_order(&settled, Some(&seen("A", NOW)), &note)
            .await
            .unwrap()
    );
    let settled = order.clone().settled(fulfilled("B"), NOW).unwrap();
    assert!(store.settle_order(&settled, None, &note).await.is_err());
    assert!(
        store
            .settle_order(&settled, Some(&seen("C", NOW)), &note)
            .await
            .is_err()
    );
    assert_eq!(
        store.order(&Scope::system("test"), &order.id).await.unwrap(),
        Some(order)
    );
    assert_books_balance(&database).await;
}

async fn a_requeued_order_waits_its_time_and_its_old_sender_has_no_say(database: Database) {
    let store = database.store().await;
    let first = renting(&store, &order("sales", "k", "DE")).await;
    let again = Settlement::Requeued {
        not_before: later(30),
        reason: "429".into(),
    };
    assert!(settle(&store, &first, again, None).await);
    assert_eq!(due_ids(&store, later(29), 10).await, []);
    assert_eq!(claim(&store, &first.id, later(29)).await, Claim::Unavailable);
    assert_eq!(due_ids(&store, later(30), 10).await, from_ref(&first.id));
    let Claim::Claimed(second) = claim(&store, &first.id, later(30)).await else {
        panic!("due")
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

/// What is due, without the teams.
async fn due_ids(store: &Store, now: Timestamp, limit: u32) -> Vec<OrderId> {
    let due = store.due_orders(now, limit).await.unwrap();
    due.into_iter().map(|(id, _)| id).collect()
}

async fn of_two_teams_neither_waits_for_all_orders_of_the_other(database: Database) {
    let store = database.store().await;
    for nth in 0..6 {
        accept(&store, &order("sales", &format!("key-{nth}"), "DE"), &ANY).await;
    }
    let late = order("support", "late", "FR");
    accept(&store, &late, &ANY).await;
    let due = store.due_orders(NOW, 2).await.unwrap();
    assert!(due.contains(&(late.id, team("support"))), "{due:?}");
}

async fn the_oldest_order_is_due_first(database: Database) {
    let store = database.store().await;
    let mut ids = Vec::new();
    for age in 0..5_u64 {
        let mut order = order("sales", &format!("key-{age}"), "DE");
        order.id = OrderId::generate(NOW.minus(Duration::from_secs(age)));
        accept(&store, &order, &ANY).await;
        ids.insert(0, order.id);
    }
    assert_eq!(due_ids(&store, NOW, 3).await, ids[..3]);
}

async fn a_label_is_due_until_it_is_set_or_the_number_is_gone(database: Database) {
    let store = database.store().await;
    let mut with_label = order("sales", "k", "DE");
    with_label.request.label = Some("Berlin line".into());
    let order = renting(&store, &with_label).await;
    assert_eq!(store.labels_due(NOW, 10).await.unwrap(), []);
    settle(&store, &order, fulfilled("A"), Some(&seen("A", NOW))).await;
    rented(&store, "sales", "B").await;
    let due = [(order.id.clone(), number_id("A"), "Berlin line".to_owned())];
    assert_eq!(store.labels_due(NOW, 10).await.unwrap(), due);
    store.retry_label(&order.id, later(9)).await.unwrap();
    assert_eq!(store.labels_due(later(8), 10).await.unwrap(), []);
    assert_eq!(store.labels_due(later(9), 10).await.unwrap(), due);
    store.finish_label(&order.id).await.unwrap();
    store.retry_label(&order.id, NOW).await.unwrap();
    assert_eq!(store.labels_due(later(99), 10).await.unwrap(), []);
}
