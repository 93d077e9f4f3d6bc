//! Settlement: each order ends once, and its team holds the number that Close rented.

use super::*;

on_both_stores! {
    an_order_is_settled_exactly_once,
    a_fulfilled_order_holds_what_it_reserved,
    a_number_that_a_listing_showed_first_is_assigned_to_its_order,
    a_number_adopted_before_settlement_moves_to_the_team_of_the_order,
    a_number_that_is_gone_before_its_order_is_settled_is_not_held,
    no_number_belongs_to_two_orders_and_no_order_is_fulfilled_without_one,
    a_label_is_due_until_it_is_set_or_the_number_is_gone,
}

async fn an_order_is_settled_exactly_once(database: Database) {
    let store = database.store().await;
    let order = renting(&store, &order("sales", "k", "DE")).await;
    let outcomes = run_concurrently(&database, 30, |store, index| {
        let order = order.clone();
        async move {
            let settlement = if index % 2 == 0 { fulfilled("A") } else { refused() };
            settle(&store, &order, settlement, Some(&observation("A", NOW))).await
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|succeeded| **succeeded).count(), 1);
    assert_eq!(
        database
            .query_integer("SELECT COUNT(*) FROM audit WHERE action = 'order.settle'")
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
    assert_eq!(number.facts, observation("A", NOW).facts);
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

async fn a_number_that_a_listing_showed_first_is_assigned_to_its_order(database: Database) {
    let store = database.store().await;
    let order = renting(&store, &order("sales", "k", "DE")).await;
    let mut listed = observation("A", later(5));
    listed.facts.label = Some("as the later listing has it".into());
    assert_eq!(store.observe(std::slice::from_ref(&listed)).await.unwrap(), 1);
    assert!(settle(&store, &order, fulfilled("A"), Some(&observation("A", NOW))).await);
    let number = store
        .number(&scope("sales"), &number_id("A"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((number.facts, number.order_id), (listed.facts, Some(order.id)));
    assert_books_balance(&database).await;
}

async fn a_number_adopted_before_settlement_moves_to_the_team_of_the_order(database: Database) {
    let store = database.store().await;
    let orders = [
        renting(&store, &order("sales", "1", "DE")).await,
        renting(&store, &order("sales", "2", "DE")).await,
    ];
    for (id, adopter) in [("A", "support"), ("B", "sales")] {
        store.observe(&[observation(id, NOW)]).await.unwrap();
        let audit_row = audit_row(Action::NumberTransfer);
        let known = store.number(&Scope::system("test"), &number_id(id)).await;
        let known = known.unwrap().unwrap();
        store
            .transfer(&known, &team(adopter), &NO_CAPS, NOW, &audit_row)
            .await
            .unwrap();
    }
    assert!(settle(&store, &orders[0], fulfilled("A"), Some(&observation("A", NOW))).await);
    assert!(settle(&store, &orders[1], fulfilled("B"), Some(&observation("B", NOW))).await);
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!((usage.numbers_held, usage.numbers_reserved), (2, 0));
    assert_eq!(store.usage(&team("support"), NOW).await.unwrap().numbers_held, 0);
    assert_books_balance(&database).await;
}

async fn a_number_that_is_gone_before_its_order_is_settled_is_not_held(database: Database) {
    let store = database.store().await;
    let order = renting(&store, &order("sales", "k", "DE")).await;
    store.observe(&[observation("A", NOW)]).await.unwrap();
    assert!(
        store
            .mark_gone(&number_id("A"), later(1), &audit_row(Action::NumberGone))
            .await
            .unwrap()
    );
    assert!(settle(&store, &order, fulfilled("A"), Some(&observation("A", NOW))).await);
    let usage = store.usage(&team("sales"), NOW).await.unwrap();
    assert_eq!((usage.numbers_held, usage.numbers_reserved), (0, 0));
    assert_books_balance(&database).await;
}

async fn no_number_belongs_to_two_orders_and_no_order_is_fulfilled_without_one(database: Database) {
    let store = database.store().await;
    rented(&store, "sales", "A").await;
    let order = renting(&store, &order("sales", "again", "DE")).await;
    let settled = order.clone().settled(fulfilled("A"), NOW).unwrap();
    let audit_row = audit_row(Action::OrderSettle);
    assert!(
        !store
            .settle_order(&settled, Some(&observation("A", NOW)), &audit_row)
            .await
            .unwrap()
    );
    let settled = order.clone().settled(fulfilled("B"), NOW).unwrap();
    assert!(store.settle_order(&settled, None, &audit_row).await.is_err());
    assert!(
        store
            .settle_order(&settled, Some(&observation("C", NOW)), &audit_row)
            .await
            .is_err()
    );
    assert_eq!(
        store.order(&Scope::system("test"), &order.id).await.unwrap(),
        Some(order)
    );
    assert_books_balance(&database).await;
}

async fn a_label_is_due_until_it_is_set_or_the_number_is_gone(database: Database) {
    let store = database.store().await;
    let mut with_label = order("sales", "k", "DE");
    with_label.request.label = Some("Berlin line".into());
    let order = renting(&store, &with_label).await;
    assert_eq!(store.labels_due(NOW, 10).await.unwrap(), []);
    settle(&store, &order, fulfilled("A"), Some(&observation("A", NOW))).await;
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
