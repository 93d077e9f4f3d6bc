//! Times of deliveries that a replica with a wrong clock has stored.

use super::*;

on_both_stores! {
    deliveries_that_a_clock_two_hours_ahead_has_put_off_are_sent_at_once,
    a_delivery_that_waits_for_its_retry_is_not_hurried,
}

const TWO_HOURS: i64 = 7_200;

async fn deliveries_that_a_clock_two_hours_ahead_has_put_off_are_sent_at_once(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    let (ahead, process) = fixture.test_desk.replica_with_a_clock_wrong_by(TWO_HOURS).await;
    let deliver = || {
        let desk = ahead.desk.clone();
        process.spawn(async move { desk.webhooks.deliver().await })
    };
    // The attempt at the first fails, the second is under way when the replica dies, and nobody has tried the third.
    let mut events = BTreeSet::new();
    for (reply, attempts) in [(Reply::Status(503), 1), (Reply::Hang, 2), (Reply::Hang, 2)] {
        fixture.app.answers(reply);
        let event = Event::new(
            ahead.desk.now(),
            EventKind::OrderFulfilled,
            Some(&"sales".parse().expect("a team")),
        )
        .with(&json!({ "order_id": "ord_1" }));
        let written = ahead.store.write_event(&event).await;
        written.expect("the event is written");
        events.insert(event.id.to_string());
        fixture.assign_sequence().await;
        if fixture.app.count() < attempts {
            deliver()
                .await
                .expect("the replica runs")
                .expect("the delivery starts");
            fixture.app.gets(attempts).await;
        }
        if attempts == 1 {
            ahead.wait_until_idle().await;
        }
    }
    drop(process);
    fixture.app.answers(Reply::Status(200));
    fixture.deliver_all().await;
    assert_eq!(fixture.app.count(), 2, "the stored times are two hours away");
    let maintain = async || {
        let maintained = fixture
            .test_desk
            .run(|desk| async move { desk.webhooks.maintain().await });
        maintained.await.expect("a step of maintenance");
    };
    maintain().await;
    fixture.deliver_all().await;
    let received: BTreeSet<String> = fixture.app.got()[2..]
        .iter()
        .map(|webhook| webhook.id().to_owned())
        .collect();
    assert_eq!(received, events);
    maintain().await;
    let all = fixture.deliveries(&endpoint).await;
    assert!(
        all.iter().all(|one| one.state == DeliveryState::Delivered),
        "{all:?}"
    );
}

async fn a_delivery_that_waits_for_its_retry_is_not_hurried(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.app.answers(Reply::Status(503));
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    // The pauses become longer than the clocks of replicas may differ.
    for _ in 0..3 {
        fixture.advance_until_due(&endpoint).await;
        fixture.deliver_all().await;
    }
    let waiting = fixture.delivery(&endpoint).await;
    let maintained = fixture
        .test_desk
        .run(|desk| async move { desk.webhooks.maintain().await });
    maintained.await.expect("a step of maintenance");
    assert_eq!(fixture.delivery(&endpoint).await, waiting);
}
