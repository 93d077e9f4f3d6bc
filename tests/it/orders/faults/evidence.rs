//! The evidence that settles an unverified order.

use super::*;

on_both_stores_and_next_close! {
    a_webhook_triggers_a_lookup_of_an_unverified_order_and_is_not_evidence_itself,
    of_two_equal_unverified_orders_as_many_are_fulfilled_as_close_rented,
    reconciliation_does_not_take_the_number_of_a_rent_in_progress,
    a_number_that_a_person_rents_meanwhile_is_not_assigned_to_the_order,
    an_order_is_fulfilled_even_if_its_number_was_released_meanwhile,
    an_order_finds_its_number_although_close_names_the_main_country_of_the_calling_code,
    a_number_adopted_by_another_team_returns_to_its_unverified_order,
    an_incomplete_lookup_proves_nothing,
    without_access_to_the_event_log_the_listing_decides_after_the_settling_period,
    a_wrong_clock_at_close_does_not_change_the_outcome,
    a_clock_that_is_corrected_after_the_send_does_not_change_the_outcome,
    a_clock_that_is_wrong_before_close_has_ever_answered_does_not_hide_the_number,
    a_number_that_turns_up_late_names_its_order_although_the_clock_was_corrected,
    an_order_finds_its_number_after_the_api_key_was_replaced,
}

async fn a_webhook_triggers_a_lookup_of_an_unverified_order_and_is_not_evidence_itself(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 3).await;
    test_desk
        .replica()
        .desk
        .subscription
        .set_keys(vec![WEBHOOK_KEY.parse().unwrap()]);
    // Close rents the number and loses its answer. At the first lookup, neither the listing nor the event log shows it.
    test_desk
        .close
        .set(json!({ "listing_lag": "1h", "event_lag": "1h" }))
        .await;
    test_desk.close.fault(lost_answer(true)).await;
    let (_, before) = test_desk.rented_by_key().await;
    let created = test_desk.order(&caller("sales"), "key", &berlin()).await.unwrap();
    test_desk.run_steps().await;
    test_desk
        .close
        .set(json!({ "listing_lag": "0s", "event_lag": "0s" }))
        .await;
    // The clock does not move, so the next lookup is not due yet.
    test_desk.run_steps().await;
    assert_eq!(stored_order(&test_desk, &created).await.state, State::Unverified);
    deliver_webhook(&test_desk, "once", &before, "key").await;
    assert_eq!(stored_order(&test_desk, &created).await.state, State::Unverified);
    test_desk.run_steps().await;
    let order = stored_order(&test_desk, &created).await;
    assert_eq!(
        (order.state, order.evidence),
        (State::Fulfilled, Some(Evidence::FoundByReconciliation))
    );
    let (_, rented) = test_desk.rented_by_key().await;
    let number = rented.difference(&before).next().unwrap();
    assert_eq!(order.phone_number_id.unwrap().as_str(), number);
}

async fn of_two_equal_unverified_orders_as_many_are_fulfilled_as_close_rented(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 2).await;
    let sales = caller("sales");
    for (index, effects) in [[true, true], [true, false], [false, true], [false, false]]
        .into_iter()
        .enumerate()
    {
        for effect in effects {
            test_desk.close.fault(lost_answer(effect)).await;
        }
        let (first, second) = (format!("first-{index}"), format!("second-{index}"));
        // Both rents are sent before either order is unverified.
        test_desk.close.set(json!({ "rents_held": true })).await;
        let one = test_desk.spawn(order(&sales, &first, &berlin()));
        let two = test_desk.spawn(order(&sales, &second, &berlin()));
        test_desk
            .close
            .wait_for_requests("POST", RENT, 2 * (index + 1))
            .await;
        test_desk.close.set(json!({ "rents_held": false })).await;
        let (one, two) = (one.await.unwrap().unwrap(), two.await.unwrap().unwrap());
        test_desk.wait_until_idle().await;
        test_desk.settle().await;
        let states = [
            stored_order(&test_desk, &one).await,
            stored_order(&test_desk, &two).await,
        ];
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

async fn reconciliation_does_not_take_the_number_of_a_rent_in_progress(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 12).await;
    let sales = caller("sales");
    let slow = json!({ "path": RENT, "times": 1, "delay": "1s" });
    test_desk.close.fault(json!([lost_answer(false), slow])).await;
    // Both rents are sent before either order is unverified.
    test_desk.close.set(json!({ "rents_held": true })).await;
    for key in ["one", "two"] {
        test_desk.spawn(order(&sales, key, &berlin()));
    }
    test_desk.close.wait_for_requests("POST", RENT, 2).await;
    test_desk.close.set(json!({ "rents_held": false })).await;
    crate::support::eventually(
        "one order is unverified, and Close has rented for the other",
        || async {
            let has_unverified = test_desk
                .orders()
                .await
                .iter()
                .any(|order| order.state == State::Unverified);
            (has_unverified && test_desk.rented_by_key().await.0.len() == 1).then_some(())
        },
    )
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
    let fulfilled: Vec<Order> = test_desk
        .orders()
        .await
        .into_iter()
        .filter(|order| order.state == State::Fulfilled)
        .collect();
    let [fulfilled] = fulfilled.as_slice() else {
        panic!("{fulfilled:?}")
    };
    assert_eq!(fulfilled.evidence, Some(Evidence::Close201));
    test_desk.settle().await;
    assert_eq!(
        states(&test_desk.orders().await),
        [State::Fulfilled, State::Refused]
    );
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_a_person_rents_meanwhile_is_not_assigned_to_the_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 3).await;
    let sales = caller("sales");
    // The service learns from its own number that Close's event log names the API key of a rent.
    test_desk.order(&sales, "own", &berlin()).await.unwrap();
    test_desk.advance_clock(Duration::from_mins(1));
    for (key, effect) in [("without", false), ("with", true)] {
        test_desk.close.fault(lost_answer(effect)).await;
        let created = test_desk.order(&sales, key, &berlin()).await.unwrap();
        let persons_number = test_desk
            .close
            .person_rents(json!({ "country": "DE", "carrier_type": "local" }))
            .await;
        test_desk.settle().await;
        let order = stored_order(&test_desk, &created).await;
        let expected = if effect { State::Fulfilled } else { State::Refused };
        assert_eq!(order.state, expected, "{order:?}");
        assert_ne!(
            order.phone_number_id.map(|id| id.to_string()),
            persons_number["id"].as_str().map(str::to_owned)
        );
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
}

async fn an_order_finds_its_number_although_close_names_the_main_country_of_the_calling_code(
    database: Database,
) {
    let policy = POLICY.replace(r#"["DE", "US"]"#, r#"["PR", "US"]"#);
    let test_desk = TestDesk::new(database, &policy, 5).await;
    let sales = caller("sales");
    test_desk.close.fault(lost_answer(true)).await;
    let puerto_rico = request(&json!({ "country": "PR", "carrier_type": "local" }));
    let created = test_desk.order(&sales, "key", &puerto_rico).await.unwrap();
    let (rented, _) = test_desk.rented_by_key().await;
    let number = rented.first().unwrap();
    test_desk
        .close
        .person_changes(number, json!({ "country": "US" }))
        .await;
    test_desk.settle().await;
    let order = stored_order(&test_desk, &created).await;
    assert_eq!(order.state, State::Fulfilled, "{order:?}");
    assert_eq!(order.phone_number_id.unwrap().as_str(), number);
    assert_books_balance(&test_desk.database).await;
}

async fn an_order_is_fulfilled_even_if_its_number_was_released_meanwhile(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 11).await;
    let sales = caller("sales");
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    // A person releases the number in Close before the order is reconciled.
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
    let order = stored_order(&test_desk, &created).await;
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

async fn a_number_adopted_by_another_team_returns_to_its_unverified_order(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 13).await;
    let sales = caller("sales");
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    // An administrator adopts the number as an orphan for another team before the order is reconciled.
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let (held, _) = test_desk.rented_by_key().await;
    let number = held.first().unwrap().parse().unwrap();
    test_desk.run(adopt(&sales, &number, "support")).await.unwrap();
    test_desk.settle().await;
    let order = stored_order(&test_desk, &created).await;
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

async fn an_incomplete_lookup_proves_nothing(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 7).await;
    let sales = caller("sales");
    for index in 0..3 {
        test_desk
            .close
            .person_rents(json!({ "country": "US", "label": format!("{index}") }))
            .await;
    }
    let page = |answer: Value| json!({ "method": "GET", "path": "/phone_number/", "answer": answer });
    let log = |answer: Value| json!({ "method": "GET", "path": "/event/", "answer": answer });
    let status = |status: u16, body: Value| json!({ "status": status, "body": body });
    for (index, fault) in [
        page(status(503, Value::Null)),
        page(status(200, json!({ "data": [] }))),
        page(json!("truncate")),
        page(status(404, json!({ "error": "Not there." }))),
        log(status(401, Value::Null)),
        json!({ "method": "GET", "path": "/me/", "answer": status(500, Value::Null) }),
        json!({ "method": "GET", "path": "/me/", "answer": status(200, json!({ "id": "user_x",
            "memberships": [{ "organization_id": "orga_another" }] })) }),
    ]
    .into_iter()
    .enumerate()
    {
        let context = fault.to_string();
        test_desk.close.fault(lost_answer(true)).await;
        test_desk.close.fault(fault).await;
        let created = test_desk
            .order(&sales, &format!("key-{index}"), &berlin())
            .await
            .unwrap();
        for _ in 0..4 {
            test_desk.run_steps().await;
            test_desk.advance_clock(SETTLE_AFTER);
        }
        let order = stored_order(&test_desk, &created).await;
        assert_eq!(
            (order.state, order.absent_since),
            (State::Unverified, None),
            "{context}: {order:?}"
        );
        test_desk.close.clear_faults().await;
        test_desk.settle().await;
        assert_eq!(
            stored_order(&test_desk, &created).await.state,
            State::Fulfilled,
            "{context}"
        );
    }
    assert_books_balance(&test_desk.database).await;
}

async fn without_access_to_the_event_log_the_listing_decides_after_the_settling_period(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 8).await;
    let sales = caller("sales");
    let forbidden = json!({ "method": "GET", "path": "/event/",
        "answer": { "status": 403, "body": { "error": "Not allowed." } } });
    test_desk.close.fault(forbidden).await;
    for (key, effect) in [("with", true), ("without", false)] {
        test_desk.close.fault(lost_answer(effect)).await;
        let created = test_desk.order(&sales, key, &berlin()).await.unwrap();
        let waited = test_desk.settle().await;
        let order = stored_order(&test_desk, &created).await;
        let expected = if effect { State::Fulfilled } else { State::Refused };
        assert_eq!(order.state, expected, "{order:?}");
        assert!(waited >= SETTLE_AFTER, "settled after only {waited:?}");
    }
    assert_books_balance(&test_desk.database).await;
}

async fn a_wrong_clock_at_close_does_not_change_the_outcome(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 9).await;
    let sales = caller("sales");
    for shift in ["7m", "-7m", "0s"] {
        test_desk.close.set(json!({ "clock_shift": shift })).await;
        // The service measures the difference of the clocks with the next answer.
        test_desk
            .run(|desk| async move { desk.sync.compare().await })
            .await
            .unwrap();
        for effect in [true, false] {
            test_desk.close.fault(lost_answer(effect)).await;
            let key = format!("{shift}-{effect}");
            let created = test_desk.order(&sales, &key, &berlin()).await.unwrap();
            test_desk.settle().await;
            let order = stored_order(&test_desk, &created).await;
            let expected = if effect { State::Fulfilled } else { State::Refused };
            assert_eq!(order.state, expected, "{shift}: {order:?}");
        }
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
}

async fn a_clock_that_is_corrected_after_the_send_does_not_change_the_outcome(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 14).await;
    let sales = caller("sales");
    for wrong_by in [60, -60, 480, -480] {
        for effect in [true, false] {
            test_desk.set_clock_wrong_by(wrong_by);
            test_desk.close.fault(lost_answer(effect)).await;
            let key = format!("{wrong_by}-{effect}");
            let created = test_desk.order(&sales, &key, &berlin()).await.unwrap();
            test_desk.set_clock_wrong_by(0);
            // The next lookup may have been scheduled by the wrong clock.
            test_desk.advance_clock(Duration::from_mins(10));
            test_desk.settle().await;
            let order = stored_order(&test_desk, &created).await;
            let expected = if effect {
                (State::Fulfilled, Some(Evidence::FoundByReconciliation))
            } else {
                (State::Refused, Some(Evidence::AbsentAfterReconciliation))
            };
            assert_eq!((order.state, order.evidence), expected, "{key}: {order:?}");
            test_desk.advance_clock(Duration::from_mins(30));
        }
    }
    assert_books_balance(&test_desk.database).await;
}

async fn a_clock_that_is_wrong_before_close_has_ever_answered_does_not_hide_the_number(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 15).await;
    let sales = caller("sales");
    test_desk.set_clock_wrong_by(60);
    // This replica has received no answer of Close.
    let (replica, process) = test_desk.another_replica().await;
    test_desk.close.fault(lost_answer(true)).await;
    let created = order(&sales, "key", &berlin())(replica.desk.clone())
        .await
        .unwrap();
    replica.wait_until_idle().await;
    test_desk.wait_until_close_is_idle().await;
    drop(process);
    test_desk.set_clock_wrong_by(0);
    test_desk.advance_clock(Duration::from_mins(2));
    test_desk.settle().await;
    let order = stored_order(&test_desk, &created).await;
    assert_eq!(
        (order.state, order.evidence),
        (State::Fulfilled, Some(Evidence::FoundByReconciliation)),
        "{order:?}"
    );
}

async fn a_number_that_turns_up_late_names_its_order_although_the_clock_was_corrected(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 16).await;
    let sales = caller("sales");
    test_desk
        .close
        .set(json!({ "listing_lag": "1h", "event_lag": "1h" }))
        .await;
    test_desk.set_clock_wrong_by(60);
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    test_desk.set_clock_wrong_by(0);
    test_desk.advance_clock(Duration::from_mins(2));
    test_desk.settle().await;
    assert_eq!(stored_order(&test_desk, &created).await.state, State::Refused);
    test_desk.advance_clock(Duration::from_hours(1));
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
    let (held, _) = test_desk.rented_by_key().await;
    let number = held.first().unwrap().parse().unwrap();
    let found = test_desk
        .store()
        .number(&Scope::system("test"), &number)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.order_id, Some(created.order.id));
}

async fn an_order_finds_its_number_after_the_api_key_was_replaced(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 17).await;
    let sales = caller("sales");
    // The service learns from its own number that Close's event log names the API key of a rent.
    test_desk.order(&sales, "own", &berlin()).await.unwrap();
    // One order loses its answer before the replacement, and one after it.
    test_desk.close.fault(lost_answer(true)).await;
    let before = test_desk.order(&sales, "before", &berlin()).await.unwrap();
    test_desk
        .close
        .set(json!({ "other_key": "api_another.key" }))
        .await;
    test_desk
        .run(|desk| async move { desk.api_key.rotate("api_another.key".into()).await })
        .await
        .unwrap();
    test_desk.close.set(json!({ "key_valid": false })).await;
    test_desk.settle().await;
    test_desk.close.fault(lost_answer(true)).await;
    let after = test_desk.order(&sales, "after", &berlin()).await.unwrap();
    test_desk.settle().await;
    for created in [&before, &after] {
        let order = stored_order(&test_desk, created).await;
        assert_eq!(
            (order.state, order.evidence),
            (State::Fulfilled, Some(Evidence::FoundByReconciliation)),
            "{order:?}"
        );
    }
    let keys = test_desk.store().own_keys().await.unwrap();
    assert!(keys.contains("api_another") && keys.len() == 2, "{keys:?}");
    assert_books_balance(&test_desk.database).await;
}
