//! A process that is killed while it delivers a webhook.

use serde_json::json;

use super::{APP, ENDPOINTS, register};
use crate::support::database::{Database, with_postgres, with_sqlite};
use crate::support::eventually;
use crate::support::receiver::Receiver;
use crate::support::server::{TestConfig, TestServer, text, webhooks_to};

/// The failpoints at which the process is killed while it delivers.
const POINTS: [&str; 3] = ["deliver.claimed", "deliver.sent", "delivery.commit"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_delivered_at_least_once_wherever_the_process_is_killed() {
    let on_sqlite = POINTS.map(|point| {
        tokio::spawn(with_sqlite(move |database| {
            kill_while_delivering(database, point)
        }))
    });
    let on_postgres = POINTS.map(|point| {
        tokio::spawn(with_postgres(move |database| {
            kill_while_delivering(database, point)
        }))
    });
    for case in on_sqlite.into_iter().chain(on_postgres) {
        case.await.expect("the case passes");
    }
}

async fn kill_while_delivering(database: Database, point: &'static str) {
    let app = Receiver::start().await;
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database, config).await;
    let endpoint = register(&server, &APP, &json!({ "url": app.url() }))
        .await
        .expect(201);
    let path = format!("{ENDPOINTS}/{}", text(&endpoint["id"]));
    server.stop().await;
    let mut killed = server
        .start_process_with(&[("NUMBERDESK_TEST_KILL_AT", point)])
        .await;
    // The process may die before it responds.
    let _ = server
        .request_as(&APP, "POST", &format!("{path}/test"))
        .send()
        .await;
    assert_eq!(
        killed.wait_for_killing_signal().await,
        Some(9),
        "failpoint {point} was not reached"
    );
    let restarted = server.start_process().await;
    let delivered = eventually("the next process delivers the test event", || async {
        let all = server
            .list(&APP, &format!("{path}/deliveries?state=delivered"))
            .await;
        all.first().cloned()
    })
    .await;
    let received = app.got();
    assert_eq!(
        received.len(),
        if point == "deliver.claimed" { 1 } else { 2 },
        "{point}"
    );
    assert!(
        received
            .iter()
            .all(|webhook| webhook.id() == text(&delivered["event_id"])),
        "{point}"
    );
    drop(restarted);
}
