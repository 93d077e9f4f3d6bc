//! Delivery of events to the webhook endpoints of apps: selection, signatures, fairness and retries.
//!
//! The clock moves only when a test moves it, so hours pass in a moment. The receiver is a real HTTP server.

use std::collections::BTreeSet;
use std::time::Duration;

use numberdesk::domain::audit::Action;
use numberdesk::domain::authority::CallContext;
use numberdesk::domain::caller::Caller;
use numberdesk::domain::delivery::{Delivery, DeliveryState};
use numberdesk::domain::event::Event;
use numberdesk::domain::event_kind::EventKind;
use numberdesk::domain::id::{EventId, RequestId};
use numberdesk::domain::input::read::read;
use numberdesk::domain::page::Limit;
use numberdesk::domain::scope::Scope;
use numberdesk::domain::webhook::{DisabledReason, Endpoint, NewEndpoint};
use numberdesk::error::Error;
use numberdesk::store::{AttemptResult, AuditFilter};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::{OVERLAP, RETRY_FOR, TestDesk, caller_with};
use crate::support::eventually;
use crate::support::receiver::{Receiver, Reply};

on_both_stores! {
    a_webhook_verifies_with_the_published_library_and_has_only_documented_headers,
    an_event_is_sent_only_to_active_endpoints_of_its_team_that_select_its_type,
    an_endpoint_that_hangs_does_not_delay_other_endpoints,
    after_a_rotation_webhooks_are_signed_with_both_secrets_until_the_overlap_ends,
}

const POLICY: &str = "[teams.sales]\ncountries = [\"DE\"]\n[prices]\ndefault = \"1.00\"";
const STEP: Duration = Duration::from_secs(1);

/// A desk with a clock that the test moves, and a receiver of webhooks.
struct Fixture {
    test_desk: TestDesk,
    app: Receiver,
}

/// Returns a caller of the team who may only manage webhooks.
fn manager(team: &str) -> Caller {
    caller_with(&team.parse().expect("a team"), "webhooks:manage")
}

/// Runs a use case for a caller.
macro_rules! as_caller {
    ($fixture:expr, $caller:expr, |$desk:ident, $context:ident| $work:expr) => {{
        let ($desk, caller) = (&$fixture.test_desk.replica().desk, $caller);
        let request_id = RequestId::generate($desk.now());
        let $context = CallContext::new(&caller, &request_id);
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
        let body = read::<NewEndpoint>(&body).expect("a body");
        let (endpoint, secret) = as_caller!(self, manager(team), |desk, context| desk
            .webhooks
            .register(context, body))?;
        Ok((endpoint, secret.expose_secret().to_owned()))
    }

    /// Registers the receiver as an endpoint of sales.
    async fn endpoint(&self) -> (Endpoint, String) {
        self.register("sales", json!({ "url": self.app.url() }))
            .await
            .expect("the endpoint is registered")
    }

    async fn update(&self, endpoint: &Endpoint, patch: Value) -> Endpoint {
        as_caller!(self, manager("sales"), |desk, context| desk.webhooks.update(
            context,
            &endpoint.id,
            &patch
        ))
        .expect("the endpoint is changed")
    }

    /// Writes an event and assigns its sequence number, after which it can be delivered.
    async fn publish(&self, team: &str, kind: EventKind) -> EventId {
        let event = self.write_event(team, kind).await;
        self.assign_sequence().await;
        event
    }

    /// Writes an event.
    async fn write_event(&self, team: &str, kind: EventKind) -> EventId {
        let team = team.parse().expect("a team");
        let event = Event::new(self.test_desk.replica().desk.now(), kind, Some(&team))
            .with(&json!({ "order_id": "ord_1" }));
        self.test_desk
            .store()
            .write_event(&event)
            .await
            .expect("the event is written");
        event.id
    }

    /// Assigns sequence numbers to all written events.
    async fn assign_sequence(&self) {
        self.test_desk
            .run(|desk| async move { desk.events.assign_sequence().await })
            .await
            .expect("sequence numbers are assigned");
    }

    /// Sends all deliveries that are due, and those that become due by this.
    async fn deliver_all(&self) {
        // Running deliveries count towards the limit, so a step could start nothing although deliveries are due.
        self.test_desk.replica().wait_until_idle().await;
        loop {
            let before = self.app.count();
            self.start_deliveries().await;
            self.test_desk.replica().wait_until_idle().await;
            if self.app.count() == before {
                return;
            }
        }
    }

    /// Starts the deliveries that are due, as many as the limits allow.
    async fn start_deliveries(&self) {
        self.test_desk
            .run(|desk| async move { desk.webhooks.deliver().await })
            .await
            .expect("the deliveries that are due are started");
    }

    async fn deliveries(&self, endpoint: &Endpoint) -> Vec<Delivery> {
        let limit = Limit::new(200).expect("a limit");
        let store = self.test_desk.store();
        store
            .deliveries(&Scope::system("test"), &endpoint.id, None, limit, None)
            .await
            .expect("the deliveries are read")
            .rows
    }

    /// Returns the only delivery of the endpoint.
    async fn delivery(&self, endpoint: &Endpoint) -> Delivery {
        let all = self.deliveries(endpoint).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    async fn read_endpoint(&self, endpoint: &Endpoint) -> Endpoint {
        self.test_desk
            .store()
            .endpoint(&Scope::system("test"), &endpoint.id)
            .await
            .expect("the endpoint is read")
            .expect("the endpoint exists")
    }

    /// Moves the clock to the time when the only delivery is due.
    async fn advance_until_due(&self, endpoint: &Endpoint) {
        let now = self.test_desk.replica().desk.now();
        self.test_desk
            .advance_clock(self.delivery(endpoint).await.due_at.since(now));
    }

    /// Returns the events of this kind, and the number of audit rows of this action.
    async fn events_and_audit_rows(&self, kind: EventKind, action: Action) -> (Vec<Event>, usize) {
        self.assign_sequence().await;
        let events = self
            .test_desk
            .store()
            .events(&Scope::system("test"), &[kind], 0, 100)
            .await
            .expect("the events are read");
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
            events.into_iter().map(|sequenced| sequenced.event).collect(),
            rows.expect("the audit rows are read").rows.len(),
        )
    }
}

async fn a_webhook_verifies_with_the_published_library_and_has_only_documented_headers(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, secret) = fixture.endpoint().await;
    let event = fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    let received = fixture.app.got();
    assert_eq!(received.len(), 1);
    let webhook = &received[0];
    assert!(webhook.holds(&secret), "{webhook:?}");
    assert_eq!(
        (webhook.method.as_str(), webhook.path.as_str(), webhook.id()),
        ("POST", "/hook", event.as_str())
    );
    assert_eq!(
        webhook.json(),
        json!({ "id": event, "type": "order.fulfilled", "team": "sales",
            "occurred_at": fixture.test_desk.replica().desk.now(), "data": { "order_id": "ord_1" } })
    );
    // No other headers are sent than those that the documentation names.
    let names: BTreeSet<&str> = webhook
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
    assert_eq!(webhook.header("content-type"), "application/json");
    assert!(webhook.header("user-agent").starts_with("numberdesk/"));
    // The signature does not verify with another endpoint's secret, nor for a body with one byte more.
    let (_, other) = fixture.endpoint().await;
    assert!(!webhook.holds(&other));
    let mut changed = webhook.clone();
    changed.body = [&webhook.body[..], b" "].concat().into();
    assert!(!changed.holds(&secret));
    let delivery = fixture.delivery(&endpoint).await;
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 1));
    assert_eq!(delivery.outcome.as_deref(), Some("204"));
    let revealed = as_caller!(fixture, manager("sales"), |desk, context| desk
        .webhooks
        .reveal_secret(context, &endpoint.id))
    .expect("the secret is revealed");
    assert_eq!(revealed.secret.expose_secret(), secret);
}

async fn an_event_is_sent_only_to_active_endpoints_of_its_team_that_select_its_type(database: Database) {
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
            .expect("the endpoint is registered");
    }
    let (paused, _) = fixture
        .register("sales", at("/paused", Value::Null))
        .await
        .expect("the endpoint is registered");
    fixture.update(&paused, json!({ "state": "disabled" })).await;
    fixture.write_event("sales", EventKind::OrderFulfilled).await;
    fixture.write_event("sales", EventKind::OrderQueued).await;
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
        .expect("the event is written");
    fixture.assign_sequence().await;
    fixture.deliver_all().await;
    let mut received: Vec<String> = fixture
        .app
        .got()
        .iter()
        .map(|webhook| {
            let body = webhook.json();
            format!("{} {}", webhook.path, body["type"].as_str().expect("a type"))
        })
        .collect();
    received.sort();
    assert_eq!(
        received,
        [
            "/hook/all order.fulfilled",
            "/hook/all order.queued",
            "/hook/one order.fulfilled",
            "/hook/orders order.fulfilled",
            "/hook/orders order.queued",
        ]
    );
}

async fn an_endpoint_that_hangs_does_not_delay_other_endpoints(database: Database) {
    let fixture = Fixture::new(database).await;
    let (slow, _) = fixture.endpoint().await;
    fixture.app.answers(Reply::Hang);
    let quick = Receiver::start().await;
    fixture
        .register("sales", json!({ "url": quick.url() }))
        .await
        .expect("the endpoint is registered");
    for _ in 0..10 {
        fixture.write_event("sales", EventKind::OrderFulfilled).await;
    }
    fixture.assign_sequence().await;
    // The slow endpoint has as many open deliveries as it may have, while the quick one receives all events.
    fixture.start_deliveries().await;
    fixture.app.gets(4).await;
    eventually("the quick endpoint receives all events", || async {
        fixture.start_deliveries().await;
        (quick.count() == 10).then_some(())
    })
    .await;
    assert_eq!((fixture.app.count(), fixture.app.most_at_once()), (4, 4));
    fixture.app.answers(Reply::Status(200));
    fixture.app.respond_to_hanging();
    fixture.deliver_all().await;
    assert!(
        fixture
            .deliveries(&slow)
            .await
            .iter()
            .all(|delivery| delivery.state == DeliveryState::Delivered)
    );
}

async fn after_a_rotation_webhooks_are_signed_with_both_secrets_until_the_overlap_ends(database: Database) {
    let fixture = Fixture::new(database).await;
    let (endpoint, old) = fixture.endpoint().await;
    let rotated = as_caller!(fixture, manager("sales"), |desk, context| desk
        .webhooks
        .rotate_secret(context, &endpoint.id))
    .expect("the secret is rotated");
    let new = rotated.secret.expose_secret().to_owned();
    assert_ne!(old, new);
    assert_eq!(
        rotated.previous_until,
        Some(fixture.test_desk.replica().desk.now().plus(OVERLAP))
    );
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    let both = fixture.app.got()[0].clone();
    assert!(both.holds(&old) && both.holds(&new));
    fixture.test_desk.advance_clock(OVERLAP);
    fixture.publish("sales", EventKind::OrderFulfilled).await;
    fixture.deliver_all().await;
    let signature = fixture.app.got()[1].header("webhook-signature").to_owned();
    assert_eq!(
        (
            both.header("webhook-signature").split(' ').count(),
            signature.split(' ').count()
        ),
        (2, 1)
    );
    let revealed = as_caller!(fixture, manager("sales"), |desk, context| desk
        .webhooks
        .reveal_secret(context, &endpoint.id))
    .expect("the secret is revealed");
    assert_eq!(
        (revealed.secret.expose_secret(), revealed.previous_until),
        (new.as_str(), None)
    );
}

mod claims;
mod clocks;
mod fair;
mod replay;
mod retry;
