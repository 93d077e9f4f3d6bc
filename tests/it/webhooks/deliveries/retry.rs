//! Deliveries that fail: retries, `Retry-After`, redirects, and endpoints that are disabled.

use super::*;

on_both_stores! {
    a_failed_delivery_is_retried_at_growing_intervals_under_the_same_id_until_its_time_is_up,
    an_endpoint_is_not_disabled_for_one_failure_while_other_deliveries_succeed,
    an_endpoint_that_responds_with_410_is_disabled_at_once,
    retry_after_of_a_429_or_503_is_respected_up_to_one_day,
    a_redirect_is_a_failure_and_is_not_followed,
    a_host_that_resolves_to_a_forbidden_address_after_registration_is_not_called,
}

async fn a_failed_delivery_is_retried_at_growing_intervals_under_the_same_id_until_its_time_is_up(
    database: Database,
) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.app.answers(Reply::Status(500));
    let began = fixture.test_desk.replica().desk.now();
    let event = fixture.publish("sales", EventKind::OrderFulfilled).await;
    let mut pauses = Vec::new();
    loop {
        fixture.deliver_all().await;
        let delivery = fixture.delivery(&endpoint).await;
        assert_eq!(delivery.outcome.as_deref(), Some("500"));
        if delivery.state == DeliveryState::Dead {
            break;
        }
        let now = fixture.test_desk.replica().desk.now();
        pauses.push(delivery.due_at.since(now).as_secs());
        // No webhook is sent before it is due.
        let sent = fixture.app.count();
        if delivery.due_at > now.plus(STEP) {
            fixture
                .test_desk
                .advance_clock(delivery.due_at.since(now.plus(STEP)));
            fixture.deliver_all().await;
            assert_eq!(fixture.app.count(), sent);
        }
        fixture.advance_until_due(&endpoint).await;
    }
    let minute = 60;
    for (pause, most) in pauses
        .iter()
        .zip([5, 5 * minute, 30 * minute, 120 * minute, 300 * minute])
    {
        assert!(*pause <= most, "{pauses:?}");
    }
    // The last attempt is made when the time is up. The attempts differ only in their timestamps and signatures.
    assert_eq!(fixture.test_desk.replica().desk.now().since(began), RETRY_FOR);
    let attempts = fixture.app.got();
    assert!(attempts.len() >= 8, "{} attempts", attempts.len());
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.id() == event.as_str() && attempt.body == attempts[0].body)
    );
    // No other delivery succeeded in that time, so the endpoint is disabled, and an event tells its team.
    assert_eq!(
        fixture.read_endpoint(&endpoint).await.disabled,
        Some(DisabledReason::Failing)
    );
    let (events, rows) = fixture
        .events_and_audit_rows(EventKind::EndpointDisabled, Action::EndpointDisable)
        .await;
    assert_eq!((events.len(), rows), (1, 1));
    assert_eq!(
        events[0].team.as_ref().map(ToString::to_string).as_deref(),
        Some("sales")
    );
    assert_eq!(events[0].data["webhook_endpoint_id"], json!(endpoint.id));
    // An endpoint that is active again receives the events from then on.
    fixture.app.answers(Reply::Status(200));
    fixture.publish("sales", EventKind::OrderQueued).await;
    fixture.update(&endpoint, json!({ "state": "active" })).await;
    let next = fixture.publish("sales", EventKind::OrderRenting).await;
    fixture.deliver_all().await;
    let received = fixture.app.got();
    assert_eq!(received.len(), attempts.len() + 1);
    assert_eq!(received.last().expect("a webhook").id(), next.as_str());
}

async fn an_endpoint_is_not_disabled_for_one_failure_while_other_deliveries_succeed(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture
        .app
        .answers(Reply::With(503, "retry-after", "3600".to_owned()));
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    // A test event is delivered in the meantime.
    fixture.app.answers(Reply::Status(200));
    fixture.test_desk.advance_clock(STEP);
    as_caller!(fixture, manager("sales"), |desk, context| desk
        .webhooks
        .test(context, &endpoint.id))
    .expect("the test event is queued");
    fixture.deliver_all().await;
    fixture.app.answers(Reply::Status(500));
    fixture.test_desk.advance_clock(RETRY_FOR);
    fixture.deliver_all().await;
    let states: Vec<_> = fixture
        .deliveries(&endpoint)
        .await
        .iter()
        .map(|delivery| delivery.state)
        .collect();
    assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Dead]);
    assert_eq!(fixture.read_endpoint(&endpoint).await.disabled, None);
}

async fn an_endpoint_that_responds_with_410_is_disabled_at_once(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.app.answers(Reply::Status(410));
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    assert_eq!(fixture.delivery(&endpoint).await.state, DeliveryState::Dead);
    assert_eq!(
        fixture.read_endpoint(&endpoint).await.disabled,
        Some(DisabledReason::Gone)
    );
    let (events, rows) = fixture
        .events_and_audit_rows(EventKind::EndpointDisabled, Action::EndpointDisable)
        .await;
    assert_eq!((events.len(), rows), (1, 1));
    assert_eq!(events[0].data["reason"], "gone");
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    assert_eq!(fixture.app.count(), 1);
    let refused = as_caller!(fixture, manager("sales"), |desk, context| desk
        .webhooks
        .test(context, &endpoint.id));
    assert!(matches!(refused, Err(Error::EndpointDisabled)), "{refused:?}");
}

async fn retry_after_of_a_429_or_503_is_respected_up_to_one_day(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    for (status, retry_after, pause) in [
        (429, "3600".to_owned(), 3_600),
        (503, "7200".to_owned(), 7_200),
        // The service waits for one day at most.
        (503, "9999999".to_owned(), 86_400),
    ] {
        fixture
            .app
            .answers(Reply::With(status, "retry-after", retry_after));
        fixture.publish("sales", EventKind::OrderFulfilled).await;
        fixture.deliver_all().await;
        let delivery = &fixture.deliveries(&endpoint).await[0];
        let wait = delivery
            .due_at
            .since(fixture.test_desk.replica().desk.now())
            .as_secs();
        assert!((pause - 1..=pause).contains(&wait), "{status}: {wait}");
        fixture.test_desk.advance_clock(STEP);
    }
    // The header has no effect with other statuses.
    fixture
        .app
        .answers(Reply::With(500, "retry-after", "3600".to_owned()));
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    let delivery = &fixture.deliveries(&endpoint).await[0];
    assert!(delivery.due_at.since(fixture.test_desk.replica().desk.now()) <= Duration::from_mins(5));
}

async fn a_redirect_is_a_failure_and_is_not_followed(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    let target = Receiver::start().await;
    for status in [301, 302, 307, 308] {
        fixture.app.answers(Reply::With(status, "location", target.url()));
        fixture.publish("sales", EventKind::OrderFulfilled).await;
        fixture.deliver_all().await;
        let delivery = &fixture.deliveries(&endpoint).await[0];
        assert_eq!(
            (delivery.state, delivery.outcome.clone()),
            (DeliveryState::Pending, Some(status.to_string()))
        );
        fixture.test_desk.advance_clock(STEP);
    }
    assert_eq!(target.count(), 0);
}

async fn a_host_that_resolves_to_a_forbidden_address_after_registration_is_not_called(database: Database) {
    let fixture = Fixture::new(database).await;
    let resolve_to = |addresses: &[&str]| {
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        fixture
            .test_desk
            .names
            .lock()
            .expect("the lock is not poisoned")
            .insert("app.test".to_owned(), addresses);
    };
    let url = format!("http://app.test:{}/hook", fixture.app.port());
    resolve_to(&["169.254.169.254"]);
    let refused = fixture.register("sales", json!({ "url": url })).await;
    assert!(
        matches!(&refused, Err(Error::Invalid(faults)) if faults[0].pointer == "/url"),
        "{refused:?}"
    );
    resolve_to(&["127.0.0.1"]);
    let (endpoint, _) = fixture
        .register("sales", json!({ "url": url }))
        .await
        .expect("the endpoint is registered");
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    // The forbidden addresses of this machine have a listener too, so a call to one of them would be noticed.
    let forbidden_listener = tokio::net::TcpListener::bind(("127.0.0.2", fixture.app.port()))
        .await
        .expect("a port is free");
    for addresses in [
        &["127.0.0.2"][..],
        &["127.0.0.1", "127.0.0.2"],
        &["::1"],
        &["169.254.169.254"],
        &["10.0.0.1"],
        &[],
    ] {
        resolve_to(addresses);
        fixture.start_deliveries().await;
        fixture.test_desk.replica().wait_until_idle().await;
        let outcome = fixture.delivery(&endpoint).await.outcome.expect("an outcome");
        assert!(
            outcome.starts_with("not sent: the URL must "),
            "{addresses:?}: {outcome}"
        );
        assert!(
            addresses.iter().all(|address| !outcome.contains(address)),
            "{outcome}"
        );
        fixture.advance_until_due(&endpoint).await;
    }
    let called = futures::poll!(std::pin::pin!(forbidden_listener.accept()));
    assert!(called.is_pending() && fixture.app.count() == 0);
    resolve_to(&["127.0.0.1"]);
    fixture.deliver_all().await;
    assert_eq!(fixture.app.count(), 1);
}
