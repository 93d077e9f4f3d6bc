//! Deliveries that fail: retries, pauses, redirects, and endpoints that are disabled.

use super::*;

on_both_stores! {
    what_fails_is_tried_again_later_and_later_under_the_same_id_until_its_time_is_up,
    an_endpoint_that_gets_other_things_is_not_disabled_for_one_that_fails,
    an_endpoint_that_says_gone_is_disabled_at_once,
    a_receiver_that_asks_for_patience_gets_it,
    a_redirect_is_a_failure_and_leads_nowhere,
    a_name_that_leads_elsewhere_since_it_was_registered_is_not_called,
}

async fn what_fails_is_tried_again_later_and_later_under_the_same_id_until_its_time_is_up(
    database: Database,
) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.app.answers(Reply::Status(500));
    let began = fixture.test_desk.replica().desk.now();
    let event = fixture.happens("sales", EventKind::OrderFulfilled).await;
    let mut longest = Vec::new();
    loop {
        fixture.deliver().await;
        let delivery = fixture.delivery(&endpoint).await;
        assert_eq!(delivery.outcome.as_deref(), Some("500"));
        if delivery.state == DeliveryState::Dead {
            break;
        }
        let now = fixture.test_desk.replica().desk.now();
        longest.push(delivery.due_at.since(now).as_secs());
        // Nothing is sent before it is due.
        let sent = fixture.app.count();
        if delivery.due_at > now.plus(STEP) {
            fixture
                .test_desk
                .advance_clock(delivery.due_at.since(now.plus(STEP)));
            fixture.deliver().await;
            assert_eq!(fixture.app.count(), sent);
        }
        fixture.until_due(&endpoint).await;
    }
    let minute = 60;
    for (pause, most) in longest
        .iter()
        .zip([5, 5 * minute, 30 * minute, 120 * minute, 300 * minute])
    {
        assert!(*pause <= most, "{longest:?}");
    }
    // The last attempt is when the time is up, and all were the same but for their timestamps and signatures.
    assert_eq!(fixture.test_desk.replica().desk.now().since(began), RETRY_FOR);
    let got = fixture.app.got();
    assert!(got.len() >= 8, "{} attempts", got.len());
    assert!(
        got.iter()
            .all(|it| it.id() == event.as_str() && it.body == got[0].body)
    );
    // Nothing else got through meanwhile: the endpoint is disabled, and its team is told.
    assert_eq!(
        fixture.look(&endpoint).await.disabled,
        Some(DisabledReason::Failing)
    );
    let (events, rows) = fixture
        .told(EventKind::EndpointDisabled, Action::EndpointDisable)
        .await;
    assert_eq!((events.len(), rows), (1, 1));
    assert_eq!(
        events[0].team.as_ref().map(ToString::to_string).as_deref(),
        Some("sales")
    );
    assert_eq!(events[0].data["webhook_endpoint_id"], json!(endpoint.id));
    // Made active again, it is told of what happens from then on.
    fixture.app.answers(Reply::Status(200));
    fixture.happens("sales", EventKind::OrderQueued).await;
    fixture.change(&endpoint, json!({ "state": "active" })).await;
    let next = fixture.happens("sales", EventKind::OrderRenting).await;
    fixture.deliver().await;
    let all = fixture.app.got();
    assert_eq!(all.len(), got.len() + 1);
    assert_eq!(all.last().expect("one").id(), next.as_str());
}

async fn an_endpoint_that_gets_other_things_is_not_disabled_for_one_that_fails(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    let patience = Reply::With(503, "retry-after", "3600".to_owned());
    fixture.app.answers(patience);
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    // A trial gets through meanwhile.
    fixture.app.answers(Reply::Status(200));
    fixture.test_desk.advance_clock(STEP);
    by!(fixture, manager("sales"), |desk, by| desk
        .webhooks
        .test(by, &endpoint.id))
    .expect("it is sent");
    fixture.deliver().await;
    fixture.app.answers(Reply::Status(500));
    fixture.test_desk.advance_clock(RETRY_FOR);
    fixture.deliver().await;
    let states: Vec<_> = fixture
        .deliveries(&endpoint)
        .await
        .iter()
        .map(|it| it.state)
        .collect();
    assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Dead]);
    assert_eq!(fixture.look(&endpoint).await.disabled, None);
}

async fn an_endpoint_that_says_gone_is_disabled_at_once(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.app.answers(Reply::Status(410));
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    assert_eq!(fixture.delivery(&endpoint).await.state, DeliveryState::Dead);
    assert_eq!(fixture.look(&endpoint).await.disabled, Some(DisabledReason::Gone));
    let (events, rows) = fixture
        .told(EventKind::EndpointDisabled, Action::EndpointDisable)
        .await;
    assert_eq!((events.len(), rows), (1, 1));
    assert_eq!(events[0].data["reason"], "gone");
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    assert_eq!(fixture.app.count(), 1);
    let refused = by!(fixture, manager("sales"), |desk, by| desk
        .webhooks
        .test(by, &endpoint.id));
    assert!(matches!(refused, Err(Error::EndpointDisabled)), "{refused:?}");
}

async fn a_receiver_that_asks_for_patience_gets_it(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    for (status, wish, pause) in [
        (429, "3600".to_owned(), 3_600),
        (503, "7200".to_owned(), 7_200),
        // More than a day is not waited for.
        (503, "9999999".to_owned(), 86_400),
    ] {
        fixture.app.answers(Reply::With(status, "retry-after", wish));
        fixture.happens("sales", EventKind::OrderFulfilled).await;
        fixture.deliver().await;
        let delivery = &fixture.deliveries(&endpoint).await[0];
        let waits = delivery
            .due_at
            .since(fixture.test_desk.replica().desk.now())
            .as_secs();
        assert!((pause - 1..=pause).contains(&waits), "{status}: {waits}");
        fixture.test_desk.advance_clock(STEP);
    }
    // Of another status it means nothing.
    fixture
        .app
        .answers(Reply::With(500, "retry-after", "3600".to_owned()));
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    let delivery = &fixture.deliveries(&endpoint).await[0];
    assert!(delivery.due_at.since(fixture.test_desk.replica().desk.now()) <= Duration::from_mins(5));
}

async fn a_redirect_is_a_failure_and_leads_nowhere(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    let inside = Receiver::start().await;
    for status in [301, 302, 307, 308] {
        fixture.app.answers(Reply::With(status, "location", inside.url()));
        fixture.happens("sales", EventKind::OrderFulfilled).await;
        fixture.deliver().await;
        let delivery = &fixture.deliveries(&endpoint).await[0];
        assert_eq!(
            (delivery.state, delivery.outcome.clone()),
            (DeliveryState::Pending, Some(status.to_string()))
        );
        fixture.test_desk.advance_clock(STEP);
    }
    assert_eq!(inside.count(), 0);
}

async fn a_name_that_leads_elsewhere_since_it_was_registered_is_not_called(database: Database) {
    let fixture = Fixture::new(database).await;
    let leads = |to: &[&str]| {
        let to = to.iter().map(|text| text.parse().expect("an address")).collect();
        fixture
            .test_desk
            .names
            .lock()
            .expect("the lock is not poisoned")
            .insert("app.test".to_owned(), to);
    };
    let url = format!("http://app.test:{}/hook", fixture.app.port());
    leads(&["169.254.169.254"]);
    let refused = fixture.register("sales", json!({ "url": url })).await;
    assert!(
        matches!(&refused, Err(Error::Invalid(faults)) if faults[0].pointer == "/url"),
        "{refused:?}"
    );
    leads(&["127.0.0.1"]);
    let (endpoint, _) = fixture
        .register("sales", json!({ "url": url }))
        .await
        .expect("it is registered");
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    // Were any of these called, the receiver would get it: it listens on each of them that is this machine.
    let everywhere = tokio::net::TcpListener::bind(("127.0.0.2", fixture.app.port()))
        .await
        .expect("a port is free");
    for to in [
        &["127.0.0.2"][..],
        &["127.0.0.1", "127.0.0.2"],
        &["::1"],
        &["169.254.169.254"],
        &["10.0.0.1"],
        &[],
    ] {
        leads(to);
        fixture.begin().await;
        fixture.test_desk.replica().wait_until_idle().await;
        let outcome = fixture.delivery(&endpoint).await.outcome.expect("an outcome");
        assert!(
            outcome.starts_with("not sent: the URL must "),
            "{to:?}: {outcome}"
        );
        assert!(to.iter().all(|address| !outcome.contains(address)), "{outcome}");
        fixture.until_due(&endpoint).await;
    }
    let called = futures::poll!(std::pin::pin!(everywhere.accept()));
    assert!(called.is_pending() && fixture.app.count() == 0);
    leads(&["127.0.0.1"]);
    fixture.deliver().await;
    assert_eq!(fixture.app.count(), 1);
}
