//! Claims of deliveries: one replica at a time sends a delivery, and a crash loses none.

use super::*;

on_both_stores! {
    no_event_is_lost_when_a_process_dies_at_any_step,
    replicas_share_the_deliveries_and_send_each_event_once,
    after_a_claim_has_lapsed_only_its_new_holder_can_record_the_outcome,
    a_clock_that_was_two_hours_ahead_delays_no_webhook,
}

async fn no_event_is_lost_when_a_process_dies_at_any_step(database: Database) {
    let mut fixture = Fixture::new(database).await;
    let (endpoint, secret) = fixture.endpoint().await;
    // The process dies after the event is written, before it has a sequence number.
    let event = fixture.write_event("sales", EventKind::OrderFulfilled).await;
    fixture.test_desk.crash();
    fixture.test_desk.start().await;
    // The process dies after the event has a sequence number, before a delivery is claimed.
    fixture.assign_sequence().await;
    fixture.test_desk.crash();
    fixture.test_desk.start().await;
    // The process dies after the receiver has the webhook, before the response arrives.
    fixture.app.answers(Reply::Hang);
    fixture.start_deliveries().await;
    fixture.app.gets(1).await;
    fixture.test_desk.crash();
    fixture.app.answers(Reply::Status(200));
    fixture.test_desk.start().await;
    // Until the claim lapses, the sender may still be alive, so no other process sends the webhook.
    fixture.deliver_all().await;
    assert_eq!(fixture.app.count(), 1);
    fixture.test_desk.advance_clock(Duration::from_mins(1));
    fixture.deliver_all().await;
    let received = fixture.app.got();
    assert_eq!(received.len(), 2);
    assert!(
        received
            .iter()
            .all(|webhook| webhook.id() == event.as_str() && webhook.holds(&secret))
    );
    let delivery = fixture.delivery(&endpoint).await;
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 2));
}

async fn replicas_share_the_deliveries_and_send_each_event_once(database: Database) {
    let fixture = Fixture::new(database).await;
    let (other, _process) = fixture.test_desk.another_replica().await;
    let (endpoint, _) = fixture.endpoint().await;
    let mut written = BTreeSet::new();
    for _ in 0..30 {
        written.insert(
            fixture
                .write_event("sales", EventKind::OrderFulfilled)
                .await
                .to_string(),
        );
    }
    fixture.assign_sequence().await;
    loop {
        let (one, two) = tokio::join!(
            fixture
                .test_desk
                .run(|desk| async move { desk.webhooks.deliver().await }),
            other.desk.webhooks.deliver()
        );
        one.and(two).expect("the deliveries that are due are started");
        tokio::join!(
            fixture.test_desk.replica().wait_until_idle(),
            other.wait_until_idle()
        );
        let deliveries = fixture.deliveries(&endpoint).await;
        if deliveries
            .iter()
            .all(|delivery| delivery.state == DeliveryState::Delivered)
        {
            break;
        }
    }
    let received: Vec<String> = fixture
        .app
        .got()
        .iter()
        .map(|webhook| webhook.id().to_owned())
        .collect();
    assert_eq!(received.len(), 30);
    assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), written);
    assert!(
        fixture.app.most_at_once() <= 4,
        "{} at once",
        fixture.app.most_at_once()
    );
}

async fn after_a_claim_has_lapsed_only_its_new_holder_can_record_the_outcome(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    let (store, lease) = (fixture.test_desk.store(), Duration::from_secs(10));
    let claim = async |holder: &str| {
        let now = fixture.test_desk.replica().desk.now();
        let claimed = store.claim_deliveries(&endpoint.id, holder, now, lease, 9).await;
        claimed
            .expect("the claim is executed")
            .map(|(_, deliveries)| deliveries[0].clone())
    };
    let record = async |delivery: &Delivery, holder: &str, result: AttemptResult| {
        let now = fixture.test_desk.replica().desk.now();
        let recorded = store
            .record_attempt(delivery, holder, &result, "x", now, None)
            .await;
        recorded.expect("the statement is executed")
    };
    let slow = claim("slow").await.expect("the delivery is due");
    assert_eq!(claim("early").await, None);
    fixture.test_desk.advance_clock(lease);
    let quick = claim("quick").await.expect("the delivery is due again");
    assert_eq!((slow.id.clone(), quick.attempts), (quick.id.clone(), 2));
    assert!(!record(&slow, "slow", AttemptResult::Dead).await);
    assert!(record(&quick, "quick", AttemptResult::Delivered).await);
    assert!(!record(&quick, "quick", AttemptResult::Dead).await);
    assert_eq!(fixture.delivery(&endpoint).await.state, DeliveryState::Delivered);
}

async fn a_clock_that_was_two_hours_ahead_delays_no_webhook(database: Database) {
    let mut fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    // One event is queued by the wrong clock. The process dies while it sends another one.
    fixture.app.answers(Reply::Hang);
    fixture.test_desk.set_clock_wrong_by(7_200);
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.start_deliveries().await;
    fixture.app.gets(1).await;
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.test_desk.crash();
    fixture.app.answers(Reply::Status(200));
    fixture.test_desk.set_clock_wrong_by(0);
    fixture.test_desk.start().await;
    fixture
        .test_desk
        .run(|desk| async move { desk.webhooks.maintain().await })
        .await
        .unwrap();
    fixture.deliver_all().await;
    let deliveries = fixture.deliveries(&endpoint).await;
    assert_eq!(deliveries.len(), 2);
    for delivery in deliveries {
        assert_eq!(delivery.state, DeliveryState::Delivered, "{delivery:?}");
    }
}
