//! Orders that a person must review, and numbers that arrive after their order ended.

use super::*;

on_both_stores! {
    what_can_be_read_in_two_ways_is_left_to_a_person_who_is_held_against_close,
    a_person_is_believed_about_nothing_being_rented_only_where_close_agrees,
    a_number_that_comes_after_its_order_was_given_up_names_the_order,
    a_number_of_an_order_in_doubt_is_not_named_for_one_that_was_given_up_before,
}

async fn what_can_be_read_in_two_ways_is_left_to_a_person_who_is_held_against_close(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 4).await;
    let sales = caller("sales");
    // Close tells of no event: nobody knows which of the two numbers it was.
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    let person = test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.settle().await;
    let order = state(&test_desk, &placed).await;
    assert_eq!(order.state, State::NeedsReview, "{order:?}");
    let (held, _) = test_desk.rented_by_key().await;
    let ours = held.first().unwrap().clone();
    let reason = order.reason.clone().unwrap();
    for id in [&ours, person["id"].as_str().unwrap()] {
        assert!(reason.contains(id), "{reason}");
    }
    let usage = test_desk
        .store()
        .usage(&order.team, order.updated_at)
        .await
        .unwrap();
    assert_eq!(usage.numbers_reserved, 1, "the reservation stays");
    // A country with an order in review is not frozen.
    test_desk.order(&sales, "another", &berlin()).await.unwrap();

    let say = |finding: Finding| test_desk.run(settle_review(&sales, &order.id, finding));
    let number = |id: &str| Finding::Number(id.parse().unwrap());
    let elsewhere = test_desk.close.person_rents(json!({ "country": "US" })).await;
    for wrong in ["phon_doesNotExist", elsewhere["id"].as_str().unwrap()] {
        let refused = say(number(wrong)).await;
        assert!(
            matches!(refused, Err(Error::SettleContradicted { .. })),
            "{wrong}: {refused:?}"
        );
    }
    let settled = say(number(&ours)).await.unwrap().order;
    assert_eq!(
        (
            settled.state,
            settled.evidence,
            settled.phone_number_id.unwrap().to_string()
        ),
        (State::Fulfilled, Some(Evidence::SettledByPerson), ours)
    );
    let again = say(Finding::Absent).await;
    assert!(matches!(again, Err(Error::OrderNotInReview { .. })), "{again:?}");
    assert_books_balance(&test_desk.database).await;
}

async fn a_person_is_believed_about_nothing_being_rented_only_where_close_agrees(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 5).await;
    let sales = caller("sales");
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "rented", &berlin()).await.unwrap();
    test_desk
        .close
        .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
        .await;
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &placed).await.state, State::NeedsReview);
    // Now the log comes, and says that one of them is the desk's own.
    test_desk.close.set(json!({ "event_lag": "0s" })).await;
    let refused = test_desk
        .run(settle_review(&sales, &placed.order.id, Finding::Absent))
        .await;
    let Err(Error::SettleContradicted { reason }) = refused else {
        panic!("{refused:?}")
    };
    let (held, _) = test_desk.rented_by_key().await;
    assert!(reason.contains(held.first().unwrap()), "{reason}");
    let ours = Finding::Number(held.first().unwrap().parse().unwrap());
    test_desk
        .run(settle_review(&sales, &placed.order.id, ours))
        .await
        .unwrap();

    // With nothing rented, and two numbers of persons in the way, "nothing" is right.
    test_desk.advance_clock(Duration::from_mins(30));
    test_desk.close.set(json!({ "event_lag": "48h" })).await;
    test_desk.close.fault(lost(false)).await;
    let placed = test_desk.order(&sales, "not-rented", &berlin()).await.unwrap();
    for _ in 0..2 {
        test_desk
            .close
            .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
            .await;
    }
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &placed).await.state, State::NeedsReview);
    let settled = test_desk
        .run(settle_review(&sales, &placed.order.id, Finding::Absent))
        .await
        .unwrap()
        .order;
    assert_eq!(
        (settled.state, settled.evidence),
        (State::Refused, Some(Evidence::SettledByPerson))
    );
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_comes_after_its_order_was_given_up_names_the_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 6).await;
    let sales = caller("sales");
    test_desk.order(&sales, "own", &berlin()).await.unwrap();
    // Longer than is waited for, in the listing and in the log: the desk can't know.
    test_desk
        .close
        .set(json!({ "listing_lag": "2h", "event_lag": "2h", "read_lag": "2h" }))
        .await;
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "late", &berlin()).await.unwrap();
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &placed).await.state, State::Refused);
    let stranger = test_desk
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
        .ask("SELECT COUNT(*) FROM numbers WHERE team IS NULL AND order_id IS NOT NULL")
        .await;
    assert_eq!((rented.len(), named), (2, 1), "the late number names its order");
    let scope = Scope::system("test");
    for id in rented {
        let number = test_desk
            .store()
            .number(&scope, &id.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        assert!(number.order_id.is_some(), "{id} is forgotten");
    }
    let id = stranger["id"].as_str().unwrap().parse().unwrap();
    let stranger = test_desk.store().number(&scope, &id).await.unwrap().unwrap();
    assert_eq!(stranger.order_id, None, "a person's number names no order");
    // The order stays as it ended, and its key never rents again.
    let again = test_desk.order(&sales, "late", &berlin()).await.unwrap();
    assert_eq!(again.order.state, State::Refused);
    assert_eq!(test_desk.close.rents().await.len(), 2);
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_of_an_order_in_doubt_is_not_named_for_one_that_was_given_up_before(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 10).await;
    let sales = caller("sales");
    test_desk.close.fault(lost(false)).await;
    let given_up = test_desk.order(&sales, "given-up", &berlin()).await.unwrap();
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &given_up).await.state, State::Refused);
    test_desk.close.fault(lost(true)).await;
    let doubtful = test_desk.order(&sales, "in-doubt", &berlin()).await.unwrap();
    // A comparison sees the number before anybody has looked for the order.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    test_desk.settle().await;
    assert_eq!(state(&test_desk, &doubtful).await.state, State::Fulfilled);
    assert_books_balance(&test_desk.database).await;
}
