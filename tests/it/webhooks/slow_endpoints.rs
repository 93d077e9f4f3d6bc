//! Slow and failing endpoints of one team, for which thousands of deliveries wait, do not delay another team's events.

use std::time::{Duration, Instant};

use numberdesk::domain::event::Event;
use numberdesk::domain::event_kind::EventKind;
use numberdesk::domain::time::Clock;
use numberdesk::store::Store;
use serde_json::json;

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, Persona};
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::{TestConfig, TestServer, send, webhooks_to};

on_both_stores! {
    eight_slow_and_failing_endpoints_with_2400_deliveries_delay_no_other_team,
}

const SLOW: usize = 8;
const EVENTS: usize = 300;
/// Events of the other team, one after another.
const OTHERS: usize = 5;

async fn register(server: &TestServer, person: &Persona, receiver: &Receiver) {
    let manager = person.with("webhooks:manage");
    let endpoint = server.request_as(&manager, "POST", "/v1/webhook-endpoints");
    send(endpoint.json(&json!({ "url": receiver.url() })))
        .await
        .expect(201);
}

async fn write_event(store: &Store, team: &str) {
    let team = team.parse().expect("a team");
    let event = Event::new(Clock::system().now(), EventKind::OrderFulfilled, Some(&team));
    let event = event.with(&json!({ "order_id": "ord_1" }));
    store.write_event(&event).await.expect("the event is written");
}

async fn eight_slow_and_failing_endpoints_with_2400_deliveries_delay_no_other_team(database: Database) {
    let mut slow = Vec::new();
    for nth in 0..SLOW {
        let receiver = Receiver::start().await;
        // 300 to 825 ms: a tenth of the times that endpoints took in production.
        let pause = Duration::from_millis(300 + 75 * u64::try_from(nth).expect("a small number"));
        receiver.answers(Reply::After(pause, 503));
        slow.push(receiver);
    }
    let quick = Receiver::start().await;
    let receivers = slow.iter().chain([&quick]);
    let config = TestConfig {
        webhooks: webhooks_to(&receivers.map(Receiver::port).collect::<Vec<_>>()),
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    for receiver in &slow {
        register(&server, &ALICE, receiver).await;
    }
    register(&server, &BOB, &quick).await;
    let store = database.store().await;
    for _ in 0..EVENTS {
        write_event(&store, "sales").await;
    }
    let untried = "SELECT COUNT(*) FROM webhook_deliveries WHERE team = 'sales' AND attempts = 0";
    let queued = "SELECT COUNT(*) FROM webhook_deliveries WHERE team = 'sales'";
    eventually("all deliveries are queued", || async {
        (database.query_integer(queued).await >= 2_400).then_some(())
    })
    .await;
    eventually("each slow endpoint has failed", || async {
        slow.iter().all(|receiver| receiver.count() >= 5).then_some(())
    })
    .await;
    let mut worst = Duration::ZERO;
    for nth in 1..=OTHERS {
        let written = Instant::now();
        write_event(&store, "support").await;
        quick.gets(nth).await;
        worst = worst.max(written.elapsed());
    }
    let waiting = database.query_integer(untried).await;
    println!(
        "{SLOW} slow and failing endpoints of one team: of {OTHERS} events of another team, the slowest arrived after \
         {worst:?}, while {waiting} deliveries were still waiting for their first attempt"
    );
    assert!(waiting > 0, "the other team's events waited for all deliveries");
    for receiver in &slow {
        assert!(
            receiver.most_at_once() <= 4,
            "{} at once",
            receiver.most_at_once()
        );
    }
}
