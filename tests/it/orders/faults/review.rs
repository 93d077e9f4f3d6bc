//! Orders that a person must review, and numbers that appear after their order ended.

use super::*;

on_both_stores_and_next_close! {
    ambiguous_evidence_needs_a_review_whose_finding_must_match_close,
    the_finding_that_nothing_was_rented_is_accepted_only_if_close_agrees,
    an_order_is_settled_with_the_number_that_an_administrator_adopted_for_its_team,
    a_number_that_a_team_has_adopted_does_not_contradict_that_nothing_was_rented,
    a_number_that_appears_after_its_order_was_refused_is_linked_to_that_order,
    a_number_of_an_unverified_order_is_not_linked_to_an_earlier_refused_order,
}

async fn ambiguous_evidence_needs_a_review_whose_finding_must_match_close(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 4).await;
    let sales = caller("sales");
    // Close shows no events, so the service cannot tell which of the two numbers belongs to the order.
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    let other_number = test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.settle().await;
    let order = stored_order(&test_desk, &created).await;
    assert_eq!(order.state, State::NeedsReview, "{order:?}");
    let (held, _) = test_desk.rented_by_key().await;
    let ours = held.first().unwrap().clone();
    let reason = order.reason.clone().unwrap();
    for id in [&ours, other_number["id"].as_str().unwrap()] {
        assert!(reason.contains(id), "{reason}");
    }
    let usage = test_desk
        .store()
        .usage(&order.team, order.updated_at)
        .await
        .unwrap();
    assert_eq!(usage.numbers_reserved, 1, "the order keeps its reservation");
    // An order in review does not hold back other orders for its country.
    test_desk.order(&sales, "another", &berlin()).await.unwrap();

    let settle = |finding: Finding| test_desk.run(settle_review(&sales, &order.id, finding));
    let number = |id: &str| Finding::Number(id.parse().unwrap());
    let other_country = test_desk.close.person_rents(json!({ "country": "US" })).await;
    for wrong in ["phon_doesNotExist", other_country["id"].as_str().unwrap()] {
        let refused = settle(number(wrong)).await;
        assert!(
            matches!(refused, Err(Error::SettleContradicted { .. })),
            "{wrong}: {refused:?}"
        );
    }
    let settled = settle(number(&ours)).await.unwrap().order;
    assert_eq!(
        (
            settled.state,
            settled.evidence,
            settled.phone_number_id.unwrap().to_string()
        ),
        (State::Fulfilled, Some(Evidence::SettledByPerson), ours)
    );
    let again = settle(Finding::Absent).await;
    assert!(matches!(again, Err(Error::OrderNotInReview { .. })), "{again:?}");
    assert_books_balance(&test_desk.database).await;
}

async fn the_finding_that_nothing_was_rented_is_accepted_only_if_close_agrees(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 5).await;
    let sales = caller("sales");
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&sales, "rented", &berlin()).await.unwrap();
    test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.settle().await;
    assert_eq!(stored_order(&test_desk, &created).await.state, State::NeedsReview);
    // Now the event log appears. It shows that the service's API key rented one of the two.
    test_desk.close.set(json!({ "event_lag": "0s" })).await;
    let refused = test_desk
        .run(settle_review(&sales, &created.order.id, Finding::Absent))
        .await;
    let Err(Error::SettleContradicted { reason }) = refused else {
        panic!("{refused:?}")
    };
    let (held, _) = test_desk.rented_by_key().await;
    assert!(reason.contains(held.first().unwrap()), "{reason}");
    let ours = Finding::Number(held.first().unwrap().parse().unwrap());
    test_desk
        .run(settle_review(&sales, &created.order.id, ours))
        .await
        .unwrap();

    // Close rented nothing for this order. Two numbers that persons rented make its outcome ambiguous.
    test_desk.advance_clock(Duration::from_mins(30));
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost_answer(false)).await;
    let created = test_desk.order(&sales, "not-rented", &berlin()).await.unwrap();
    for _ in 0..2 {
        test_desk
            .close
            .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
            .await;
    }
    test_desk.settle().await;
    assert_eq!(stored_order(&test_desk, &created).await.state, State::NeedsReview);
    let settled = test_desk
        .run(settle_review(&sales, &created.order.id, Finding::Absent))
        .await
        .unwrap()
        .order;
    assert_eq!(
        (settled.state, settled.evidence),
        (State::Refused, Some(Evidence::SettledByPerson))
    );
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_appears_after_its_order_was_refused_is_linked_to_that_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 6).await;
    let sales = caller("sales");
    test_desk.order(&sales, "own", &berlin()).await.unwrap();
    // The listing, the event log and reads lag longer than the settling period, so the service cannot find the number.
    test_desk
        .close
        .set(json!({ "listing_lag": "2h", "event_lag": "2h", "read_lag": "2h" }))
        .await;
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&sales, "late", &berlin()).await.unwrap();
    test_desk.settle().await;
    assert_eq!(stored_order(&test_desk, &created).await.state, State::Refused);
    let persons_number = test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.advance_clock(Duration::from_hours(3));
    test_desk
        .close
        .set(json!({ "listing_lag": "0s", "event_lag": "0s", "read_lag": "0s" }))
        .await;
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let (_, rented) = test_desk.rented_by_key().await;
    let named = test_desk
        .database
        .query_integer("SELECT COUNT(*) FROM numbers WHERE team IS NULL AND order_id IS NOT NULL")
        .await;
    assert_eq!(
        (rented.len(), named),
        (2, 1),
        "the late number is linked to its order"
    );
    let scope = Scope::system("test");
    for id in rented {
        let number = test_desk
            .store()
            .number(&scope, &id.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert!(number.order_id.is_some(), "{id} is linked to no order");
    }
    let id = persons_number["id"].as_str().unwrap().parse().unwrap();
    let persons_number = test_desk.store().number(&scope, &id).await.unwrap().unwrap();
    assert_eq!(
        persons_number.order_id, None,
        "a number that a person rented is linked to no order"
    );
    // The order keeps its final state, and its idempotency key never rents again.
    let again = test_desk.order(&sales, "late", &berlin()).await.unwrap();
    assert_eq!(again.order.state, State::Refused);
    assert_eq!(test_desk.close.rents().await.len(), 2);
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_of_an_unverified_order_is_not_linked_to_an_earlier_refused_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 10).await;
    let sales = caller("sales");
    test_desk.close.fault(lost_answer(false)).await;
    let refused = test_desk.order(&sales, "refused", &berlin()).await.unwrap();
    test_desk.settle().await;
    assert_eq!(stored_order(&test_desk, &refused).await.state, State::Refused);
    test_desk.close.fault(lost_answer(true)).await;
    let unverified = test_desk.order(&sales, "unverified", &berlin()).await.unwrap();
    // The inventory sync sees the number before the order is reconciled.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    test_desk.settle().await;
    assert_eq!(
        stored_order(&test_desk, &unverified).await.state,
        State::Fulfilled
    );
    assert_books_balance(&test_desk.database).await;
}

/// Leaves an order in review, with two numbers in question: the own one, whose id is returned, and a person's.
async fn order_in_review(test_desk: &TestDesk, key: &str) -> (OrderWithNumber, String) {
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost_answer(true)).await;
    let (before, _) = test_desk.rented_by_key().await;
    let created = test_desk.order(&caller("sales"), key, &berlin()).await.unwrap();
    test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.settle().await;
    assert_eq!(stored_order(test_desk, &created).await.state, State::NeedsReview);
    let (held, _) = test_desk.rented_by_key().await;
    let ours = held.difference(&before).next().unwrap().clone();
    (created, ours)
}

async fn an_order_is_settled_with_the_number_that_an_administrator_adopted_for_its_team(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 18).await;
    let sales = caller("sales");
    let (created, ours) = order_in_review(&test_desk, "key").await;
    let number = ours.parse().unwrap();
    // Adopted for another team, it contradicts the order.
    test_desk.run(adopt(&sales, &number, "support")).await.unwrap();
    let settle = || {
        test_desk.run(settle_review(
            &sales,
            &created.order.id,
            Finding::Number(number.clone()),
        ))
    };
    let refused = settle().await;
    let Err(Error::SettleContradicted { reason }) = refused else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("support"), "{reason}");
    test_desk.run(adopt(&sales, &number, "sales")).await.unwrap();
    let settled = settle().await.unwrap().order;
    assert_eq!(
        (settled.state, settled.phone_number_id.as_ref()),
        (State::Fulfilled, Some(&number))
    );
    let usage = test_desk
        .store()
        .usage(&settled.team, settled.updated_at)
        .await
        .unwrap();
    assert_eq!(
        (usage.numbers_held, usage.numbers_reserved),
        (1, 0),
        "it counts once"
    );
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_a_team_has_adopted_does_not_contradict_that_nothing_was_rented(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 19).await;
    let sales = caller("sales");
    let (created, ours) = order_in_review(&test_desk, "key").await;
    // Now the event log shows that the own key rented the number.
    test_desk.close.set(json!({ "event_lag": "0s" })).await;
    let settle = || test_desk.run(settle_review(&sales, &created.order.id, Finding::Absent));
    let refused = settle().await;
    assert!(
        matches!(refused, Err(Error::SettleContradicted { .. })),
        "{refused:?}"
    );
    let number = ours.parse().unwrap();
    test_desk.run(adopt(&sales, &number, "sales")).await.unwrap();
    let settled = settle().await.unwrap().order;
    assert_eq!(settled.state, State::Refused);
    assert_books_balance(&test_desk.database).await;
}
