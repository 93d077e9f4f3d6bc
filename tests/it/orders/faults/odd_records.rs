//! Records of Close that can't be read, and an event log that does not answer, while orders are in doubt.

use super::*;

on_both_stores_and_next_close! {
    odd_records_that_are_no_number_of_the_order_do_not_keep_it_in_doubt,
    a_number_that_only_the_listing_shows_odd_is_found_in_the_event_log,
    an_odd_number_that_may_be_the_order_s_is_no_proof_of_absence,
    an_order_is_settled_by_the_listing_while_the_event_log_does_not_answer,
    odd_events_do_not_hide_the_others,
}

/// A number of a person, which Close shows with these members.
async fn odd_number(test_desk: &TestDesk, country: &str, shown: Value) -> String {
    let fields = json!({ "country": country, "carrier_type": "local", "silent": true });
    let id = test_desk.close.person_rents(fields).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    show_as(test_desk, &id, shown).await;
    id
}

async fn show_as(test_desk: &TestDesk, id: &str, shown: Value) {
    let fields = json!({ "shown": shown, "silent": true });
    test_desk.close.person_changes(id, fields).await;
}

async fn compare(test_desk: &TestDesk) {
    test_desk
        .run(|desk| async move { desk.sync.compare().await })
        .await
        .unwrap();
}

async fn odd_records_that_are_no_number_of_the_order_do_not_keep_it_in_doubt(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 21).await;
    let sales = caller("sales");
    // Known before the order, with every form of oddity.
    for shown in [
        json!({ "number": null }),
        json!({ "number": "", "date_created": null }),
        json!({ "id": "num-1", "date_created": null }),
        json!({ "id": null, "number": 7, "date_created": "yesterday" }),
    ] {
        odd_number(&test_desk, "DE", shown).await;
    }
    compare(&test_desk).await;
    test_desk.advance_clock(Duration::from_mins(1));
    for (key, effect) in [("with", true), ("without", false)] {
        test_desk.close.fault(lost_answer(effect)).await;
        let created = test_desk.order(&sales, key, &berlin()).await.unwrap();
        // Later ones: of another country, and of a kind that is not rented.
        odd_number(&test_desk, "US", json!({ "number": null })).await;
        odd_number(&test_desk, "DE", json!({ "id": null, "type": "external" })).await;
        test_desk.settle().await;
        let order = stored_order(&test_desk, &created).await;
        let expected = if effect { State::Fulfilled } else { State::Refused };
        assert_eq!(order.state, expected, "{order:?}");
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
}

async fn a_number_that_only_the_listing_shows_odd_is_found_in_the_event_log(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 22).await;
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&caller("sales"), "key", &berlin()).await.unwrap();
    let (rented, _) = test_desk.rented_by_key().await;
    let number = rented.first().unwrap();
    show_as(&test_desk, number, json!({ "number": null })).await;
    test_desk.settle().await;
    let order = stored_order(&test_desk, &created).await;
    assert_eq!(order.state, State::Fulfilled, "{order:?}");
    assert_eq!(order.phone_number_id.unwrap().as_str(), number);
    assert_books_balance(&test_desk.database).await;
}

async fn an_odd_number_that_may_be_the_order_s_is_no_proof_of_absence(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 23).await;
    let sales = caller("sales");
    let forbidden = json!({ "method": "GET", "path": "/event/",
        "answer": { "status": 403, "body": { "error": "Not allowed." } } });
    test_desk.close.fault(forbidden).await;
    for (key, shown, named) in [
        ("no-number", json!({ "number": null }), None),
        (
            "odd-id",
            json!({ "id": "num-7", "date_created": "soon" }),
            Some("num-7"),
        ),
    ] {
        test_desk.close.fault(lost_answer(true)).await;
        let (before, _) = test_desk.rented_by_key().await;
        let created = test_desk.order(&sales, key, &berlin()).await.unwrap();
        let (rented, _) = test_desk.rented_by_key().await;
        let number = rented.difference(&before).next().unwrap();
        show_as(&test_desk, number, shown).await;
        test_desk.settle().await;
        let order = stored_order(&test_desk, &created).await;
        assert_eq!(order.state, State::NeedsReview, "{order:?}");
        let reason = order.reason.unwrap();
        assert!(reason.contains(named.unwrap_or(number)), "{reason}");
        // Once Close shows the number as expected, a person settles the order.
        show_as(&test_desk, number, json!({})).await;
        let finding = Finding::Number(number.parse().unwrap());
        test_desk
            .run(settle_review(&caller("sales"), &order.id, finding))
            .await
            .unwrap();
        assert_eq!(stored_order(&test_desk, &created).await.state, State::Fulfilled);
        test_desk.advance_clock(Duration::from_mins(30));
    }
    assert_books_balance(&test_desk.database).await;
}

async fn an_order_is_settled_by_the_listing_while_the_event_log_does_not_answer(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 24).await;
    let sales = caller("sales");
    for answer in [
        json!({ "status": 503, "body": "down" }),
        json!("garbage"),
        json!({ "status": 200, "body": { "data": 7 } }),
    ] {
        let fault = json!({ "method": "GET", "path": "/event/", "answer": answer });
        test_desk.close.fault(fault).await;
        for effect in [true, false] {
            test_desk.close.fault(lost_answer(effect)).await;
            let key = format!("{effect}-{answer}").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            let created = test_desk.order(&sales, &key, &berlin()).await.unwrap();
            // A short outage of the event log decides nothing.
            test_desk.run_steps().await;
            test_desk.advance_clock(SETTLE_AFTER);
            test_desk.run_steps().await;
            assert_eq!(
                stored_order(&test_desk, &created).await.state,
                State::Unverified,
                "{answer}"
            );
            test_desk.settle().await;
            let order = stored_order(&test_desk, &created).await;
            let expected = if effect { State::Fulfilled } else { State::Refused };
            assert_eq!(order.state, expected, "{answer}: {order:?}");
            test_desk.advance_clock(Duration::from_mins(30));
        }
        test_desk.close.clear_faults().await;
    }
    assert_books_balance(&test_desk.database).await;
}

async fn odd_events_do_not_hide_the_others(database: Database) {
    let test_desk = TestDesk::new(database, POLICY, 25).await;
    let sales = caller("sales");
    // The service learns from its own number that Close's event log names the API key of a rent.
    test_desk.order(&sales, "own", &berlin()).await.unwrap();
    test_desk.advance_clock(Duration::from_mins(1));
    test_desk.close.fault(lost_answer(true)).await;
    let created = test_desk.order(&sales, "key", &berlin()).await.unwrap();
    let mut events: Vec<Value> = test_desk.close.log().await;
    events.retain(|event| event["action"] == "created");
    events.insert(
        0,
        json!({ "id": "ev_odd1", "object_id": null, "action": "created" }),
    );
    events.push(json!(7));
    let log = json!({ "method": "GET", "path": "/event/",
        "answer": { "status": 200, "body": { "data": events, "cursor_next": null } } });
    test_desk.close.fault(log).await;
    test_desk.run_steps().await;
    let order = stored_order(&test_desk, &created).await;
    assert_eq!(order.state, State::Fulfilled, "{order:?}");
    let odd = test_desk.store().known_odd_records().await.unwrap();
    assert!(odd.iter().any(|record| record.name == "ev_odd1"), "{odd:?}");
    assert_books_balance(&test_desk.database).await;
}
