//! Events on their way to an app: signed, at least once, later and later, and never in the way of others. Hours pass in a
//! moment here; the receiver is a real server.

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::desk::CallContext;
use numberdesk::domain::audit::Action;
use numberdesk::domain::caller::{Caller, Scope};
use numberdesk::domain::delivery::{Delivery, DeliveryState};
use numberdesk::domain::event::{Event, EventKind};
use numberdesk::domain::id::{EventId, RequestId};
use numberdesk::domain::input::fields;
use numberdesk::domain::page::Limit;
use numberdesk::domain::webhook::{DisabledReason, Endpoint, NewEndpoint};
use numberdesk::error::Error;
use numberdesk::store::{AttemptResult, AuditFilter};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::{OVERLAP, RETRY_FOR, TestDesk, caller};
use crate::support::eventually;
use crate::support::receiver::{Receiver, Reply};

on_both_stores! {
    an_app_gets_the_event_signed_as_the_published_library_checks_it,
    an_event_goes_to_the_endpoints_of_its_team_that_want_it_and_to_nobody_else,
    what_fails_is_tried_again_later_and_later_under_the_same_id_until_its_time_is_up,
    an_endpoint_that_gets_other_things_is_not_disabled_for_one_that_fails,
    an_endpoint_that_says_gone_is_disabled_at_once,
    a_receiver_that_asks_for_patience_gets_it,
    a_redirect_is_a_failure_and_leads_nowhere,
    a_name_that_leads_elsewhere_since_it_was_registered_is_not_called,
    a_process_that_dies_at_any_moment_loses_nothing,
    replicas_share_the_work_and_none_does_it_twice,
    a_claim_that_has_lapsed_is_settled_by_whoever_has_it_now,
    an_endpoint_that_hangs_holds_up_no_other,
    a_rotated_secret_signs_beside_the_new_one_for_a_while,
    what_was_delivered_or_missed_is_sent_again_when_asked,
    what_is_old_is_forgotten,
}

const POLICY: &str = "[teams.sales]\ncountries = [\"DE\"]\n[prices]\ndefault = \"1.00\"";
const STEP: Duration = Duration::from_secs(1);

/// A test_desk with a receiver in it.
struct Fixture {
    test_desk: TestDesk,
    app: Receiver,
}

/// Someone of the team who may manage webhooks, and nothing else.
fn manager(team: &str) -> Caller {
    Caller {
        permissions: ["webhooks:manage".to_owned()].into(),
        ..caller(team)
    }
}

/// A use case done by someone.
macro_rules! by {
    ($fixture:expr, $who:expr, |$desk:ident, $by:ident| $work:expr) => {{
        let ($desk, who) = (&$fixture.test_desk.replica().desk, $who);
        let request_id = RequestId::generate($desk.now());
        let $by = CallContext {
            caller: &who,
            request_id: &request_id,
        };
        $work.await
    }};
}

impl Fixture {
    async fn new(database: Database) -> Self {
        Self {
            test_desk: TestDesk::new(database, POLICY, 1).await,
            app: Receiver::start().await,
        }
    }

    async fn register(&self, team: &str, body: Value) -> Result<(Endpoint, String), Error> {
        let body = fields::read(&body, NewEndpoint::read).expect("a body");
        let (endpoint, secret) = by!(self, manager(team), |desk, by| desk.webhooks.register(by, body))?;
        Ok((endpoint, secret.expose_secret().to_owned()))
    }

    /// An endpoint of sales at the receiver.
    async fn endpoint(&self) -> (Endpoint, String) {
        self.register("sales", json!({ "url": self.app.url() }))
            .await
            .expect("it is registered")
    }

    async fn change(&self, endpoint: &Endpoint, patch: Value) -> Endpoint {
        by!(self, manager("sales"), |desk, by| desk.webhooks.update(
            by,
            &endpoint.id,
            &patch
        ))
        .expect("it is changed")
    }

    /// Something happens, and gets its place in the feed.
    async fn happens(&self, team: &str, kind: EventKind) -> EventId {
        let event = self.tells(team, kind).await;
        self.place().await;
        event
    }

    /// Something happens.
    async fn tells(&self, team: &str, kind: EventKind) -> EventId {
        let team = team.parse().expect("a team");
        let event = Event::new(self.test_desk.replica().desk.now(), kind, Some(&team))
            .with("order_id", json!("ord_1"));
        self.test_desk
            .store()
            .write_event(&event)
            .await
            .expect("it is told");
        event.id
    }

    async fn place(&self) {
        self.test_desk
            .run(|desk| async move { desk.events.assign_sequence().await })
            .await
            .expect("events get their places");
    }

    /// What is due is sent, and what becomes due by that.
    async fn deliver(&self) {
        // What is still under way takes room, and would make a step begin nothing although something is due.
        self.test_desk.replica().wait_until_idle().await;
        loop {
            let before = self.app.count();
            self.begin().await;
            self.test_desk.replica().wait_until_idle().await;
            if self.app.count() == before {
                return;
            }
        }
    }

    /// What there is room for is begun.
    async fn begin(&self) {
        self.test_desk
            .run(|desk| async move { desk.webhooks.deliver().await })
            .await
            .expect("what is due is begun");
    }

    async fn deliveries(&self, endpoint: &Endpoint) -> Vec<Delivery> {
        let limit = Limit::new(200).expect("a limit");
        let store = self.test_desk.store();
        store
            .deliveries(&Scope::All, &endpoint.id, None, limit, None)
            .await
            .expect("they are read")
            .rows
    }

    async fn delivery(&self, endpoint: &Endpoint) -> Delivery {
        let all = self.deliveries(endpoint).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    async fn look(&self, endpoint: &Endpoint) -> Endpoint {
        self.test_desk
            .store()
            .endpoint(&Scope::All, &endpoint.id)
            .await
            .expect("it is read")
            .expect("it is there")
    }

    /// Time passes until the only delivery is due.
    async fn until_due(&self, endpoint: &Endpoint) {
        let now = self.test_desk.replica().desk.now();
        self.test_desk
            .advance_clock(self.delivery(endpoint).await.due_at.since(now));
    }

    /// Events of this kind in the feed, and audit rows of this action.
    async fn told(&self, kind: EventKind, action: Action) -> (Vec<Event>, usize) {
        self.place().await;
        let events = self
            .test_desk
            .store()
            .events(&Scope::All, &[kind], 0, 100)
            .await
            .expect("they are read");
        let filter = AuditFilter {
            action: Some(action),
            ..AuditFilter::default()
        };
        let rows = self
            .test_desk
            .store()
            .audit(&Scope::All, &filter, Limit::default(), None)
            .await;
        (
            events.into_iter().map(|placed| placed.event).collect(),
            rows.expect("they are read").rows.len(),
        )
    }
}

async fn an_app_gets_the_event_signed_as_the_published_library_checks_it(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, secret) = fixture.endpoint().await;
    let event = fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    let got = fixture.app.got();
    assert_eq!(got.len(), 1);
    let got = &got[0];
    assert!(got.holds(&secret), "{got:?}");
    assert_eq!(
        (got.method.as_str(), got.path.as_str(), got.id()),
        ("POST", "/hook", event.as_str())
    );
    assert_eq!(
        got.json(),
        json!({ "id": event, "type": "order.fulfilled", "team": "sales",
            "occurred_at": fixture.test_desk.replica().desk.now(), "data": { "order_id": "ord_1" } })
    );
    // Nothing but what is promised is sent along.
    let names: BTreeSet<&str> = got
        .headers
        .keys()
        .map(reqwest::header::HeaderName::as_str)
        .collect();
    let expected = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(got.header("content-type"), "application/json");
    assert!(got.header("user-agent").starts_with("numberdesk/"));
    // Under another endpoint's secret it does not hold, and a byte more does not either.
    let (_, other) = fixture.endpoint().await;
    assert!(!got.holds(&other));
    let mut changed = got.clone();
    changed.body = [&got.body[..], b" "].concat().into();
    assert!(!changed.holds(&secret));
    let delivery = fixture.delivery(&endpoint).await;
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 1));
    assert_eq!(delivery.outcome.as_deref(), Some("204"));
    let revealed = by!(fixture, manager("sales"), |desk, by| desk
        .webhooks
        .reveal_secret(by, &endpoint.id))
    .expect("it is said");
    assert_eq!(revealed.secret.expose_secret(), secret);
}

async fn an_event_goes_to_the_endpoints_of_its_team_that_want_it_and_to_nobody_else(database: Database) {
    let fixture = Fixture::new(database).await;
    let at =
        |path: &str, types: Value| json!({ "url": format!("{}{path}", fixture.app.url()), "types": types });
    for (team, path, types) in [
        ("sales", "/all", Value::Null),
        ("sales", "/orders", json!(["order.*"])),
        (
            "sales",
            "/one",
            json!(["order.fulfilled", "phone_number.released"]),
        ),
        ("sales", "/numbers", json!(["phone_number.*"])),
        ("support", "/others", Value::Null),
    ] {
        fixture
            .register(team, at(path, types))
            .await
            .expect("it is registered");
    }
    let (paused, _) = fixture
        .register("sales", at("/paused", Value::Null))
        .await
        .expect("it is registered");
    fixture.change(&paused, json!({ "state": "disabled" })).await;
    fixture.tells("sales", EventKind::OrderFulfilled).await;
    fixture.tells("sales", EventKind::OrderQueued).await;
    let event = Event::new(
        fixture.test_desk.replica().desk.now(),
        EventKind::NumberAdded,
        None,
    );
    fixture
        .test_desk
        .store()
        .write_event(&event)
        .await
        .expect("it is told");
    fixture.place().await;
    fixture.deliver().await;
    let mut got: Vec<String> = fixture
        .app
        .got()
        .iter()
        .map(|got| format!("{} {}", got.path, got.json()["type"].as_str().expect("a type")))
        .collect();
    got.sort();
    assert_eq!(
        got,
        [
            "/hook/all order.fulfilled",
            "/hook/all order.queued",
            "/hook/one order.fulfilled",
            "/hook/orders order.fulfilled",
            "/hook/orders order.queued",
        ]
    );
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

async fn an_endpoint_that_hangs_holds_up_no_other(database: Database) {
    let fixture = Fixture::new(database).await;
    let (slow, _) = fixture.endpoint().await;
    fixture.app.answers(Reply::Hang);
    let quick = Receiver::start().await;
    fixture
        .register("sales", json!({ "url": quick.url() }))
        .await
        .expect("it is registered");
    for _ in 0..10 {
        fixture.tells("sales", EventKind::OrderFulfilled).await;
    }
    fixture.place().await;
    // All that the slow one may have under way hangs while the other gets everything.
    fixture.begin().await;
    fixture.app.gets(4).await;
    eventually("the quick one has everything", || async {
        fixture.begin().await;
        (quick.count() == 10).then_some(())
    })
    .await;
    assert_eq!((fixture.app.count(), fixture.app.most_at_once()), (4, 4));
    fixture.app.answers(Reply::Status(200));
    fixture.app.goes_on();
    fixture.deliver().await;
    assert!(
        fixture
            .deliveries(&slow)
            .await
            .iter()
            .all(|it| it.state == DeliveryState::Delivered)
    );
}

async fn a_rotated_secret_signs_beside_the_new_one_for_a_while(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, old) = fixture.endpoint().await;
    let rotated = by!(fixture, manager("sales"), |desk, by| desk
        .webhooks
        .rotate_secret(by, &endpoint.id))
    .expect("it is rotated");
    let new = rotated.secret.expose_secret().to_owned();
    assert_ne!(old, new);
    assert_eq!(
        rotated.previous_until,
        Some(fixture.test_desk.replica().desk.now().plus(OVERLAP))
    );
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    let both = fixture.app.got()[0].clone();
    assert!(both.holds(&old) && both.holds(&new));
    fixture.test_desk.advance_clock(OVERLAP);
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    let signature = fixture.app.got()[1].header("webhook-signature").to_owned();
    assert_eq!(
        (
            both.header("webhook-signature").split(' ').count(),
            signature.split(' ').count()
        ),
        (2, 1)
    );
    let revealed = by!(fixture, manager("sales"), |desk, by| desk
        .webhooks
        .reveal_secret(by, &endpoint.id))
    .expect("it is said");
    assert_eq!(
        (revealed.secret.expose_secret(), revealed.previous_until),
        (new.as_str(), None)
    );
}

async fn what_was_delivered_or_missed_is_sent_again_when_asked(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    let since = fixture.test_desk.replica().desk.now();
    let had = fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    let delivery = fixture.delivery(&endpoint).await;
    let again = by!(fixture, manager("sales"), |desk, by| desk.webhooks.replay(
        by,
        &endpoint.id,
        &delivery.id
    ))
    .expect("it is sent again");
    assert_eq!((again.id, again.state), (delivery.id, DeliveryState::Pending));
    fixture.deliver().await;
    let got = fixture.app.got();
    assert_eq!((got.len(), got[1].id()), (2, had.as_str()));
    assert_eq!(got[0].body, got[1].body);
    // What happened while it was disabled comes by a replay, and only what is of the team, the time and the types.
    fixture
        .change(&endpoint, json!({ "state": "disabled", "types": ["order.*"] }))
        .await;
    fixture.test_desk.advance_clock(STEP);
    let missed = fixture.happens("sales", EventKind::OrderQueued).await;
    fixture.happens("sales", EventKind::NumberAdded).await;
    fixture.happens("support", EventKind::OrderQueued).await;
    fixture.test_desk.advance_clock(STEP);
    fixture.change(&endpoint, json!({ "state": "active" })).await;
    let until = fixture.test_desk.replica().desk.now();
    fixture.happens("sales", EventKind::OrderRenting).await;
    fixture.deliver().await;
    assert_eq!(fixture.app.count(), 3);
    let replay = async || {
        by!(fixture, manager("sales"), |desk, by| desk.webhooks.replay_events(
            by,
            &endpoint.id,
            since,
            Some(until)
        ))
        .expect("they are sent again")
    };
    assert_eq!(replay().await, 2);
    // What is on its way already is not queued twice.
    assert_eq!(replay().await, 0);
    fixture.deliver().await;
    let sent: Vec<String> = fixture.app.got()[3..]
        .iter()
        .map(|it| it.id().to_owned())
        .collect();
    assert_eq!(
        sent.into_iter().collect::<BTreeSet<_>>(),
        [had.to_string(), missed.to_string()].into()
    );
}

async fn what_is_old_is_forgotten(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, _) = fixture.endpoint().await;
    fixture.happens("sales", EventKind::OrderFulfilled).await;
    fixture.deliver().await;
    let tend = async || {
        fixture
            .test_desk
            .replica()
            .desk
            .webhooks
            .maintain()
            .await
            .expect("it is tended");
    };
    fixture.test_desk.advance_clock(Duration::from_hours(30 * 24));
    tend().await;
    assert_eq!(fixture.deliveries(&endpoint).await.len(), 1);
    fixture.test_desk.advance_clock(STEP);
    tend().await;
    assert_eq!(fixture.deliveries(&endpoint).await, []);
}
