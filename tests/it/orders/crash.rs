//! The crash matrix: a SIGKILL at each step of an order, a release or a webhook, with each behaviour of Close.
//!
//! A second process continues on the same database and must finish the work. Needs the feature `failpoints`.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, with_postgres, with_sqlite};
use crate::support::personas::ALICE;
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::webhook::{delivery, event, key, now, signature};
use crate::support::{eventually, eventually_or};

/// Cases that run at the same time.
const CONCURRENCY: usize = 6;

/// What Close does with a rent.
const ON_RENT: [&str; 4] = [
    "rents",
    "rents and loses its answer",
    "fails and loses its answer",
    "refuses",
];

/// What Close does with a release.
const ON_RELEASE: [&str; 3] = [
    "releases",
    "releases and loses its answer",
    "fails and loses its answer",
];

fn fault(behaviour: &str) -> Option<Value> {
    let lost_answer =
        |effect: bool| json!({ "path": RENT, "times": 1, "effect": effect, "answer": "drop_before_headers" });
    match behaviour {
        "rents and loses its answer" => Some(lost_answer(true)),
        "fails and loses its answer" => Some(lost_answer(false)),
        "refuses" => Some(json!({ "refuse": "billing-error", "times": 1 })),
        _ => None,
    }
}

/// Failpoints that kill the process, each with the behaviours of Close that reach it.
const POINTS: [(&str, &[&str]); 11] = [
    ("accept.commit", &ON_RENT),
    ("accept.done", &ON_RENT),
    ("claim.commit", &ON_RENT),
    ("claim.done", &ON_RENT),
    ("send.answered", &ON_RENT),
    ("settle.commit", &ON_RENT),
    ("settle.done", &ON_RENT),
    (
        "reconcile.looked",
        &["rents and loses its answer", "fails and loses its answer"],
    ),
    ("reconcile.noted", &["fails and loses its answer"]),
    ("release.marked", &ON_RELEASE),
    ("release.answered", &ON_RELEASE),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_ends_in_the_true_state_wherever_the_process_is_killed_on_sqlite() {
    matrix("SQLite", |point, behaviour| {
        Box::pin(with_sqlite(move |database| {
            kill_during_order(database, point, behaviour)
        }))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_ends_in_the_true_state_wherever_the_process_is_killed_on_postgres() {
    matrix("PostgreSQL", |point, behaviour| {
        Box::pin(with_postgres(move |database| {
            kill_during_order(database, point, behaviour)
        }))
    })
    .await;
}

async fn matrix(
    store: &str,
    run: impl Fn(&'static str, &'static str) -> futures::future::BoxFuture<'static, ()>,
) {
    let cases: Vec<_> = POINTS
        .iter()
        .flat_map(|(point, behaviours)| behaviours.iter().map(|behaviour| (*point, *behaviour)))
        .collect();
    let count = cases.len();
    futures::stream::iter(cases)
        .map(|(point, behaviour)| {
            let case = run(point, behaviour);
            async move {
                if let Err(failure) = tokio::spawn(case).await {
                    eprintln!("killed at {point} while Close {behaviour}");
                    std::panic::resume_unwind(failure.into_panic());
                }
            }
        })
        .buffer_unordered(CONCURRENCY)
        .collect::<Vec<()>>()
        .await;
    println!(
        "crash matrix on {store}: {count} kills, 0 double rents, 0 forgotten numbers, 0 caps exceeded, \
         0 wrong final states"
    );
}

async fn kill_during_order(database: Database, point: &'static str, behaviour: &'static str) {
    if point.starts_with("release.") {
        return kill_during_release(database, point, behaviour).await;
    }
    let config = TestConfig {
        timeout: "2s",
        settle_after: "1s",
        lease_margin: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    server.stop().await;
    if let Some(fault) = fault(behaviour) {
        server.close.fault(fault).await;
    }
    let mut desk = server
        .start_process_with(&[("NUMBERDESK_TEST_KILL_AT", point)])
        .await;
    let body = json!({ "country": "DE", "carrier_type": "local" });
    let ask = |server: &TestServer| {
        server
            .request_as(&ALICE, "POST", "/v1/orders")
            .header("Idempotency-Key", "key")
            .json(&body)
    };
    // The process may be killed before it answers.
    let _ = ask(&server).send().await;
    assert_eq!(
        desk.wait_for_killing_signal().await,
        Some(9),
        "the process never reached {point}"
    );

    let desk = server.start_process().await;
    let last = std::sync::Mutex::new(Value::Null);
    let order = eventually_or(
        || format!("killed at {point} while Close {behaviour}, the order ends: {last:?}"),
        || async {
            // A client without an answer repeats the request with the same key.
            let answer = send(ask(&server)).await;
            let id = match answer.status {
                201 | 202 => text(&answer.json()["id"]),
                422 => text(&answer.json()["order_id"]),
                503 => return None,
                _ => panic!("{answer}"),
            };
            let order = server.get(&ALICE, &format!("/v1/orders/{id}")).await.expect(200);
            last.lock().expect("the lock is not poisoned").clone_from(&order);
            order["finished_at"].is_string().then_some(order)
        },
    )
    .await;
    let context = format!("killed at {point} while Close {behaviour}: {order}");
    let held = server.close.held().await;
    match text(&order["state"]).as_str() {
        "fulfilled" => {
            assert_eq!(held.len(), 1, "{context}");
            assert_eq!(order["phone_number"]["id"], held[0]["id"], "{context}");
        }
        "refused" => assert!(held.is_empty(), "{context}"),
        other => panic!("the order ended as {other}: {context}"),
    }
    let rents = server.close.rents().await;
    let effects = rents.iter().filter(|rent| rent["effect"] == true).count();
    assert_eq!(effects, held.len(), "{context}");
    // A rent is repeated only if it was certainly not sent, and its claim is stored before it.
    assert!(rents.len() <= 1, "{} calls: {context}", rents.len());
    let claims = database
        .query_integer("SELECT COUNT(*) FROM audit WHERE action = 'order.send' AND outcome = 'renting'")
        .await;
    assert!(
        i64::try_from(rents.len()).expect("a count") <= claims,
        "{context}"
    );
    assert_eq!(
        database.query_integer("SELECT COUNT(*) FROM orders").await,
        1,
        "{context}"
    );
    let final_rows =
        "SELECT COUNT(*) FROM audit a JOIN orders o ON o.id = a.order_id WHERE a.outcome = o.state";
    assert!(
        database.query_integer(final_rows).await >= 1,
        "the final state has no audit row: {context}"
    );
    assert_books_balance(&database).await;
    drop(desk);
    // No request to Close is left open.
    tokio::time::timeout(Duration::from_secs(30), server.close.stop())
        .await
        .expect("the simulated Close ends");
}

/// Failpoints between the receipt of a webhook and the event about the changed number.
const WEBHOOK_POINTS: [&str; 6] = [
    "inbox.commit",
    "inbox.done",
    "errands.taken",
    "errand.observed",
    "errands.ended",
    "feed.commit",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_causes_one_event_wherever_the_process_is_killed_on_sqlite() {
    for point in WEBHOOK_POINTS {
        with_sqlite(move |database| kill_during_webhook(database, point)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_causes_one_event_wherever_the_process_is_killed_on_postgres() {
    for point in WEBHOOK_POINTS {
        with_postgres(move |database| kill_during_webhook(database, point)).await;
    }
}

async fn kill_during_webhook(database: Database, point: &'static str) {
    let config = TestConfig {
        timeout: "5s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let last = eventually("the events of the order are listed", || async {
        let events = server.list(&ALICE, "/v1/events").await;
        let fulfilled = events.iter().any(|event| event["type"] == "order.fulfilled");
        fulfilled.then(|| text(&events[events.len() - 1]["id"]))
    })
    .await;
    server.stop().await;
    // The webhook is the only source of the change: Close refuses the event log, and later the listing.
    let unavailable = |path: &str| json!({ "method": "GET", "path": path, "answer": { "status": 503 } });
    server.close.fault(unavailable("/event/")).await;
    let mut desk = server
        .start_process_with(&[("NUMBERDESK_TEST_KILL_AT", point)])
        .await;
    // The first sync of a process already reaches `feed.commit`, which kills it before the webhook arrives.
    if point != "feed.commit" {
        server.wait_until_synced().await;
    }
    server
        .close
        .person_changes(&number, json!({ "label": "changed" }))
        .await;
    let body = delivery(&event("1", "updated", &number));
    // Whether the webhook is acknowledged depends on the point of the kill.
    let (timestamp, bytes) = (now().to_string(), key());
    let hash = signature(&bytes, &timestamp, &body);
    let ask = |server: &TestServer| {
        server
            .request("POST", "/webhooks/close")
            .header("close-sig-hash", &hash)
            .header("close-sig-timestamp", &timestamp)
            .body(body.clone())
    };
    let acknowledged = ask(&server)
        .send()
        .await
        .is_ok_and(|answer| answer.status() == 204);
    assert_eq!(
        desk.wait_for_killing_signal().await,
        Some(9),
        "the process never reached {point}"
    );
    server.close.fault(unavailable("/phone_number/")).await;
    let desk = server.start_process().await;
    if !acknowledged {
        assert_eq!(
            send(ask(&server)).await.status,
            204,
            "the repeated webhook is acknowledged"
        );
    }
    let path = format!("/v1/phone-numbers/{number}");
    eventually_or(
        || format!("killed at {point}, the number is shown as Close has it"),
        || async {
            let shown = server.get(&ALICE, &path).await.expect(200);
            let open = database.query_integer("SELECT COUNT(*) FROM errands").await;
            (shown["label"] == "changed" && open == 0).then_some(())
        },
    )
    .await;
    assert_eq!(
        database.query_integer("SELECT COUNT(*) FROM inbox").await,
        1,
        "{point}"
    );
    let label = json!("label");
    let events = eventually_or(
        || format!("killed at {point}, the change of the label is an event"),
        || async {
            let mut events = server.list(&ALICE, &format!("/v1/events?after={last}")).await;
            // Other events may report fields that the answer to the rent left out.
            events.retain(|event| {
                event["data"]["changed"]
                    .as_array()
                    .is_some_and(|changed| changed.contains(&label))
            });
            (!events.is_empty()).then_some(events)
        },
    )
    .await;
    assert_eq!(events.len(), 1, "killed at {point}: {events:?}");
    assert_eq!(events[0]["type"], "phone_number.updated");
    drop(desk);
}

async fn kill_during_release(database: Database, point: &'static str, behaviour: &'static str) {
    let config = TestConfig {
        timeout: "5s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.stop().await;
    if behaviour != "releases" {
        let effect = behaviour == "releases and loses its answer";
        let lost_answer =
            json!({ "method": "DELETE", "times": 1, "effect": effect, "answer": "drop_before_headers" });
        server.close.fault(lost_answer).await;
    }
    let mut desk = server
        .start_process_with(&[("NUMBERDESK_TEST_KILL_AT", point)])
        .await;
    let path = format!("/v1/phone-numbers/{number}");
    // The process is killed before it answers.
    let _ = server.request_as(&ALICE, "DELETE", &path).send().await;
    assert_eq!(
        desk.wait_for_killing_signal().await,
        Some(9),
        "the process never reached {point}"
    );

    // The next process finishes the release, although no client repeats the request.
    let desk = server.start_process().await;
    eventually_or(
        || format!("killed at {point} while Close {behaviour}, the number is released"),
        || async {
            let is_gone = server.get(&ALICE, &path).await.status == 404;
            (is_gone && server.close.held().await.is_empty()).then_some(())
        },
    )
    .await;
    let released_rows = "SELECT COUNT(*) FROM audit WHERE action = 'number.release' AND outcome = 'released'";
    assert_eq!(
        database.query_integer(released_rows).await,
        1,
        "killed at {point} while Close {behaviour}"
    );
    assert_books_balance(&database).await;
    drop(desk);
}
