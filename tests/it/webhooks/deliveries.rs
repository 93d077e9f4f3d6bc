//! Events on their way to an app: signed, at least once, later and later, and never in the way of others. Hours pass in a
//! moment here; the receiver is a real server.

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::domain::audit::Action;
use numberdesk::domain::authority::CallContext;
use numberdesk::domain::authority::Scope;
use numberdesk::domain::caller::Caller;
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
    an_endpoint_that_hangs_holds_up_no_other,
    a_rotated_secret_signs_beside_the_new_one_for_a_while,
    what_was_delivered_or_missed_is_sent_again_when_asked,
    what_is_old_is_forgotten,
}

const POLICY: &str = "[teams.sales]\ncountries = [\"DE\"]\n[prices]\ndefault = \"1.00\"";
const STEP: Duration = Duration::from_secs(1);

/// A desk with a receiver.
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
        let $by = CallContext::new(&who, &request_id);
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
            .deliveries(&Scope::system("test"), &endpoint.id, None, limit, None)
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
            .endpoint(&Scope::system("test"), &endpoint.id)
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
            .events(&Scope::system("test"), &[kind], 0, 100)
            .await
            .expect("they are read");
        let filter = AuditFilter {
            action: Some(action),
            ..AuditFilter::default()
        };
        let rows = self
            .test_desk
            .store()
            .audit(&Scope::system("test"), &filter, Limit::default(), None)
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

mod claims;
mod retry;
