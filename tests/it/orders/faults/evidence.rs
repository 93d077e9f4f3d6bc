//! What counts as evidence that an unverified order was rented.

use super::*;

on_both_stores! {
    a_delivery_makes_it_the_turn_of_an_order_in_doubt_and_is_no_evidence,
    two_that_are_alike_and_in_doubt_get_what_there_is,
    a_number_of_a_call_under_way_is_left_to_its_sender,
    a_number_that_a_person_rents_meanwhile_is_not_taken_for_the_order_s,
    a_number_that_is_gone_again_was_rented_all_the_same,
    a_number_that_was_adopted_while_its_order_was_in_doubt_comes_to_its_order,
    a_look_that_is_not_whole_proves_nothing,
    an_event_log_that_close_keeps_to_itself_makes_the_listing_count_after_a_while,
    a_clock_of_close_that_is_off_changes_nothing,
}

async fn a_delivery_makes_it_the_turn_of_an_order_in_doubt_and_is_no_evidence(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 3).await;
    test_desk
        .replica()
        .desk
        .subscription
        .set_keys(vec![WEBHOOK_KEY.parse().unwrap()]);
    // It is rented, nobody hears of it, and listing and log don't show it when it is first looked for.
    test_desk
        .close
        .set(json!({ "listing_lag": "1h", "event_lag": "1h" }))
        .await;
    test_desk.close.fault(lost(true)).await;
    let (_, before) = test_desk.rented_by_key().await;
    let placed = test_desk.order(&caller("sales"), "key", &berlin()).await.unwrap();
    test_desk.run_steps().await;
    test_desk
        .close
        .set(json!({ "listing_lag": "0s", "event_lag": "0s" }))
        .await;
    // Time stands still: nobody would look again yet.
    test_desk.run_steps().await;
    assert_eq!(state(&test_desk, &placed).await.state, State::Unverified);
    tell(&test_desk, "once", &before, "key").await;
    assert_eq!(state(&test_desk, &placed).await.state, State::Unverified);
    test_desk.run_steps().await;
    let order = state(&test_desk, &placed).await;
    assert_eq!(
        (order.state, order.evidence),
        (State::Fulfilled, Some(Evidence::FoundByReconciliation))
    );
    let (_, rented) = test_desk.rented_by_key().await;
    let number = rented.difference(&before).next().unwrap();
    assert_eq!(order.phone_number_id.unwrap().as_str(), number);
}

async fn two_that_are_alike_and_in_doubt_get_what_there_is(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 2).await;
    let sales = caller("sales");
    for (place, effects) in [[true, true], [true, false], [false, true], [false, false]]
        .into_iter()
        .enumerate()
    {
        for effect in effects {
            test_desk.close.fault(lost(effect)).await;
        }
        let (first, second) = (format!("first-{place}"), format!("second-{place}"));
        // Both are sent before either is in doubt.
        test_desk.close.set(json!({ "rent_latency": "300ms" })).await;
        let one = test_desk.spawn(order(&sales, &first, &berlin()));
        let two = test_desk.spawn(order(&sales, &second, &berlin()));
        let (one, two) = (one.await.unwrap().unwrap(), two.await.unwrap().unwrap());
        test_desk.wait_until_idle().await;
        test_desk.close.set(json!({ "rent_latency": "0s" })).await;
        test_desk.settle().await;
        let states = [state(&test_desk, &one).await, state(&test_desk, &two).await];
        let fulfilled = states
            .iter()
            .filter(|order| order.state == State::Fulfilled)
            .count();
        let rented = effects.iter().filter(|effect| **effect).count();
        assert_eq!(fulfilled, rented, "{effects:?}: {states:?}");
        assert!(states.iter().all(|order| order.state.is_final()), "{states:?}");
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_eq!(test_desk.close.rents().await.len(), 8);
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_of_a_call_under_way_is_left_to_its_sender(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 12).await;
    let sales = caller("sales");
    let slow = json!({ "path": RENT, "times": 1, "delay": "1s" });
    test_desk.close.fault(json!([lost(false), slow])).await;
    // Both are sent before either is in doubt.
    test_desk.close.set(json!({ "rent_latency": "300ms" })).await;
    for key in ["one", "two"] {
        test_desk.spawn(order(&sales, key, &berlin()));
    }
    crate::support::eventually("one is in doubt, and Close has rented for the other", || async {
        let doubtful = test_desk
            .orders()
            .await
            .iter()
            .any(|order| order.state == State::Unverified);
        (doubtful && test_desk.rented_by_key().await.0.len() == 1).then_some(())
    })
    .await;
    test_desk
        .run(|desk| async move { desk.orders.reconcile().await })
        .await
        .unwrap();
    let states = |orders: &[Order]| {
        let mut states: Vec<State> = orders.iter().map(|order| order.state).collect();
        states.sort();
        states
    };
    assert_eq!(
        states(&test_desk.orders().await),
        [State::Renting, State::Unverified]
    );
    test_desk.wait_until_idle().await;
    let answered: Vec<Order> = test_desk
        .orders()
        .await
        .into_iter()
        .filter(|order| order.state == State::Fulfilled)
        .collect();
    let [answered] = answered.as_slice() else {
        panic!("{answered:?}")
    };
    assert_eq!(answered.evidence, Some(Evidence::Close201));
    test_desk.settle().await;
    assert_eq!(
        states(&test_desk.orders().await),
        [State::Fulfilled, State::Refused]
    );
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_a_person_rents_meanwhile_is_not_taken_for_the_order_s(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 3).await;
    let sales = caller("sales");
    // From its own numbers the desk learns that Close writes keys down.
    test_desk.order(&sales, "own", &berlin()).await.unwrap();
    test_desk.advance_clock(Duration::from_mins(1));
    for (key, effect) in [("without", false), ("with", true)] {
        test_desk.close.fault(lost(effect)).await;
        let placed = test_desk.order(&sales, key, &berlin()).await.unwrap();
        let person = test_desk
            .close
            .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
            .await;
        test_desk.settle().await;
        let order = state(&test_desk, &placed).await;
        let expected = if effect { State::Fulfilled } else { State::Refused };
        assert_eq!(order.state, expected, "{order:?}");
        assert_ne!(
            order.phone_number_id.map(|id| id.to_string()),
            person["id"].as_str().map(str::to_owned)
        );
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_is_gone_again_was_rented_all_the_same(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 11).await;
    let sales = caller("sales");
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    // A person sees it in Close, and releases it before anybody has looked for the order.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let (held, _) = test_desk.rented_by_key().await;
    test_desk.close.person_releases(held.first().unwrap()).await;
    test_desk.advance_clock(SETTLE_AFTER);
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    test_desk.settle().await;
    let order = state(&test_desk, &placed).await;
    assert_eq!(order.state, State::Fulfilled, "{order:?}");
    assert_eq!(order.phone_number_id.unwrap().as_str(), held.first().unwrap());
    let usage = test_desk
        .store()
        .usage(&order.team, order.updated_at)
        .await
        .unwrap();
    assert_eq!((usage.numbers_held, usage.numbers_reserved), (0, 0));
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_was_adopted_while_its_order_was_in_doubt_comes_to_its_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 13).await;
    let sales = caller("sales");
    test_desk.close.fault(lost(true)).await;
    let placed = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    // An administrator takes it for an orphan, and gives it away before anybody has looked for the order.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let (held, _) = test_desk.rented_by_key().await;
    let number = held.first().unwrap().parse().unwrap();
    test_desk.run(adopt(&sales, &number, "support")).await.unwrap();
    test_desk.settle().await;
    let order = state(&test_desk, &placed).await;
    assert_eq!(
        (order.state, order.phone_number_id.as_ref()),
        (State::Fulfilled, Some(&number)),
        "{order:?}"
    );
    let usage = async |team: &str| {
        let usage = test_desk
            .store()
            .usage(&team.parse().unwrap(), order.updated_at)
            .await
            .unwrap();
        (usage.numbers_held, usage.numbers_reserved)
    };
    assert_eq!((usage("sales").await, usage("support").await), ((1, 0), (0, 0)));
    assert_books_balance(&test_desk.database).await;
}

async fn a_look_that_is_not_whole_proves_nothing(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 7).await;
    let sales = caller("sales");
    for n in 0..3 {
        test_desk
            .close
            .person_rents(json!({ "country": "US", "label": format!("{n}") }))
            .await;
    }
    let page = |answer: Value| json!({ "method": "GET", "path": "/phone_number/", "answer": answer });
    let log = |answer: Value| json!({ "method": "GET", "path": "/event/", "answer": answer });
    let status = |status: u16, body: Value| json!({ "status": status, "body": body });
    for (place, blind) in [
        page(status(503, Value::Null)),
        page(status(200, json!({ "data": [] }))),
        page(status(200, json!({ "data": [{ "id": "x" }], "has_more": false }))),
        page(json!("truncate")),
        page(status(404, json!({ "error": "Not there." }))),
        log(status(500, Value::Null)),
        log(status(200, json!({ "data": [{ "object_id": "phon_1" }] }))),
        log(json!("garbage")),
        json!({ "method": "GET", "path": "/me/", "answer": status(500, Value::Null) }),
        json!({ "method": "GET", "path": "/me/", "answer": status(200, json!({ "id": "user_x",
            "memberships": [{ "organization_id": "orga_another" }] })) }),
    ]
    .into_iter()
    .enumerate()
    {
        let what = blind.to_string();
        test_desk.close.fault(lost(true)).await;
        test_desk.close.fault(blind).await;
        let placed = test_desk
            .order(&sales, &format!("k{place}"), &berlin())
            .await
            .unwrap();
        for _ in 0..4 {
            test_desk.run_steps().await;
            test_desk.advance_clock(SETTLE_AFTER);
        }
        let order = state(&test_desk, &placed).await;
        assert_eq!(
            (order.state, order.absent_since),
            (State::Unverified, None),
            "{what}: {order:?}"
        );
        test_desk.close.clear_faults().await;
        test_desk.settle().await;
        assert_eq!(state(&test_desk, &placed).await.state, State::Fulfilled, "{what}");
    }
    assert_books_balance(&test_desk.database).await;
}

async fn an_event_log_that_close_keeps_to_itself_makes_the_listing_count_after_a_while(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 8).await;
    let sales = caller("sales");
    let silent = json!({ "method": "GET", "path": "/event/",
        "answer": { "status": 403, "body": { "error": "Not allowed." } } });
    test_desk.close.fault(silent).await;
    for (key, effect) in [("with", true), ("without", false)] {
        test_desk.close.fault(lost(effect)).await;
        let placed = test_desk.order(&sales, key, &berlin()).await.unwrap();
        let waited = test_desk.settle().await;
        let order = state(&test_desk, &placed).await;
        let expected = if effect { State::Fulfilled } else { State::Refused };
        assert_eq!(order.state, expected, "{order:?}");
        assert!(waited >= SETTLE_AFTER, "it was believed after {waited:?}");
    }
    assert_books_balance(&test_desk.database).await;
}

async fn a_clock_of_close_that_is_off_changes_nothing(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 9).await;
    let sales = caller("sales");
    for shift in ["7m", "-7m", "0s"] {
        test_desk.close.set(json!({ "clock_shift": shift })).await;
        // The desk learns of it by the next answer.
        test_desk
            .run(|desk| async move { desk.sync.compare().await })
            .await
            .unwrap();
        for effect in [true, false] {
            test_desk.close.fault(lost(effect)).await;
            let key = format!("{shift}-{effect}");
            let placed = test_desk.order(&sales, &key, &berlin()).await.unwrap();
            test_desk.settle().await;
            let order = state(&test_desk, &placed).await;
            let expected = if effect { State::Fulfilled } else { State::Refused };
            assert_eq!(order.state, expected, "{shift}: {order:?}");
        }
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
}
