//! Deliveries over crashes and replicas: each is claimed by one, and none is lost.

use super::*;

on_both_stores! {
    a_process_that_dies_at_any_moment_loses_nothing,
    replicas_share_the_work_and_none_does_it_twice,
    a_claim_that_has_lapsed_is_settled_by_whoever_has_it_now,
}

async fn a_process_that_dies_at_any_moment_loses_nothing(database: Database) {
    let mut fixture = Fixture::new(database).await;
    let (endpoint, secret) = fixture.endpoint().await;
    // Written, but without a place in the feed.
    let event = fixture.tells("sales", EventKind::OrderFulfilled).await;
    fixture.test_desk.crash();
    fixture.test_desk.start().await;
    // Placed, and not claimed.
    fixture.place().await;
    fixture.test_desk.crash();
    fixture.test_desk.start().await;
    // Under way: the receiver has it, and the process dies before it hears so.
    fixture.app.answers(Reply::Hang);
    fixture.begin().await;
    fixture.app.gets(1).await;
    fixture.test_desk.crash();
    fixture.app.answers(Reply::Status(200));
    fixture.test_desk.start().await;
    // While its sender may be alive, nobody sends it again.
    fixture.deliver().await;
    assert_eq!(fixture.app.count(), 1);
    fixture.test_desk.advance_clock(Duration::from_mins(1));
    fixture.deliver().await;
    let got = fixture.app.got();
    assert_eq!(got.len(), 2);
    assert!(
        got.iter()
            .all(|it| it.id() == event.as_str() && it.holds(&secret))
    );
    let delivery = fixture.delivery(&endpoint).await;
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 2));
}

async fn replicas_share_the_work_and_none_does_it_twice(database: Database) {
    let fixture = Fixture::new(database).await;
    let (other, _process) = fixture.test_desk.another_replica().await;
    let (endpoint, _) = fixture.endpoint().await;
    let mut told = BTreeSet::new();
    for _ in 0..30 {
        told.insert(
            fixture
                .tells("sales", EventKind::OrderFulfilled)
                .await
                .to_string(),
        );
    }
    fixture.place().await;
    loop {
        let (one, two) = tokio::join!(
            fixture
                .test_desk
                .run(|desk| async move { desk.webhooks.deliver().await }),
            other.desk.webhooks.deliver()
        );
        one.and(two).expect("what is due is begun");
        tokio::join!(
            fixture.test_desk.replica().wait_until_idle(),
            other.wait_until_idle()
        );
        let done = fixture.deliveries(&endpoint).await;
        if done.iter().all(|it| it.state == DeliveryState::Delivered) {
            break;
        }
    }
    let got: Vec<String> = fixture.app.got().iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(got.len(), 30);
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), told);
    assert!(
        fixture.app.most_at_once() <= 4,
        "{} at once",
        fixture.app.most_at_once()
    );
}

async fn a_claim_that_has_lapsed_is_settled_by_whoever_has_it_now(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    let (store, lease) = (fixture.test_desk.store(), Duration::from_secs(10));
    let claim = async |holder: &str| {
        let now = fixture.test_desk.replica().desk.now();
        let claimed = store.claim_deliveries(&endpoint.id, holder, now, lease, 9).await;
        claimed
            .expect("it is asked")
            .map(|(_, deliveries)| deliveries[0].clone())
    };
    let settle = async |delivery: &Delivery, holder: &str, settled: AttemptResult| {
        let now = fixture.test_desk.replica().desk.now();
        let settled = store
            .record_attempt(delivery, holder, &settled, "x", now, None)
            .await;
        settled.expect("it is asked")
    };
    let slow = claim("slow").await.expect("it is due");
    assert_eq!(claim("early").await, None);
    fixture.test_desk.advance_clock(lease);
    let quick = claim("quick").await.expect("it is due again");
    assert_eq!((slow.id.clone(), quick.attempts), (quick.id.clone(), 2));
    assert!(!settle(&slow, "slow", AttemptResult::Dead).await);
    assert!(settle(&quick, "quick", AttemptResult::Delivered).await);
    assert!(!settle(&quick, "quick", AttemptResult::Dead).await);
    assert_eq!(fixture.delivery(&endpoint).await.state, DeliveryState::Delivered);
}
