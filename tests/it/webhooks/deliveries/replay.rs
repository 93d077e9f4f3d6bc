//! Deliveries that are kept: replays on request, and their deletion.

use super::*;

on_both_stores! {
    a_replay_sends_delivered_and_missed_events_again,
    finished_deliveries_are_deleted_after_30_days,
}

async fn a_replay_sends_delivered_and_missed_events_again(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    let since = fixture.test_desk.replica().desk.now();
    let delivered = fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    let delivery = fixture.delivery(&endpoint).await;
    let again = as_caller!(fixture, manager("sales"), |desk, context| desk.webhooks.replay(
        context,
        &endpoint.id,
        &delivery.id
    ))
    .expect("the delivery is queued again");
    assert_eq!((again.id, again.state), (delivery.id, DeliveryState::Pending));
    fixture.deliver_all().await;
    let received = fixture.app.got();
    assert_eq!((received.len(), received[1].id()), (2, delivered.as_str()));
    assert_eq!(received[0].body, received[1].body);
    // A replay sends the events that the endpoint missed while it was disabled: those of its team, of its types and
    // of the requested time.
    fixture
        .update(&endpoint, json!({ "state": "disabled", "types": ["order.*"] }))
        .await;
    fixture.test_desk.advance_clock(STEP);
    let missed = fixture.publish("sales", EventKind::OrderQueued).await;
    fixture.publish("sales", EventKind::NumberAdded).await;
    fixture.publish("support", EventKind::OrderQueued).await;
    fixture.test_desk.advance_clock(STEP);
    fixture.update(&endpoint, json!({ "state": "active" })).await;
    let until = fixture.test_desk.replica().desk.now();
    fixture.publish("sales", EventKind::OrderRenting).await;
    fixture.deliver_all().await;
    assert_eq!(fixture.app.count(), 3);
    let replay = async || {
        as_caller!(fixture, manager("sales"), |desk, context| desk
            .webhooks
            .replay_events(context, &endpoint.id, since, Some(until)))
        .expect("the events are queued again")
    };
    assert_eq!(replay().await, 2);
    // Events that are already queued are not queued twice.
    assert_eq!(replay().await, 0);
    fixture.deliver_all().await;
    let sent: Vec<String> = fixture.app.got()[3..]
        .iter()
        .map(|webhook| webhook.id().to_owned())
        .collect();
    assert_eq!(
        sent.into_iter().collect::<BTreeSet<_>>(),
        [delivered.to_string(), missed.to_string()].into()
    );
}

async fn finished_deliveries_are_deleted_after_30_days(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    let maintain = async || {
        fixture
            .test_desk
            .replica()
            .desk
            .webhooks
            .maintain()
            .await
            .expect("the maintenance succeeds");
    };
    fixture.test_desk.advance_clock(Duration::from_hours(30 * 24));
    maintain().await;
    assert_eq!(fixture.deliveries(&endpoint).await.len(), 1);
    fixture.test_desk.advance_clock(STEP);
    maintain().await;
    assert_eq!(fixture.deliveries(&endpoint).await, []);
}
