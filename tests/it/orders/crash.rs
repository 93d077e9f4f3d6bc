//! The process dies at every step of an order, by SIGKILL, and another one finds what it left: against the same SQLite
//! file and the same PostgreSQL, whatever Close did meanwhile. Needs the feature `failpoints`.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, with_postgres, with_sqlite};
use crate::support::eventually_or;
use crate::support::personas::ALICE;
use crate::support::server::{TestConfig, TestServer, send, text};
use crate::support::webhook::{delivery, event, key, now, signature};

/// Cases that run side by side.
const AT_ONCE: usize = 6;

/// What Close does with the paid call.
const VENDOR: [&str; 4] = ["rents", "rents unheard", "fails unheard", "refuses"];

/// What Close does with a release.
const RELEASE: [&str; 3] = ["releases", "releases unheard", "keeps unheard"];

fn fault(vendor: &str) -> Option<Value> {
    let lost =
        |effect: bool| json!({ "path": RENT, "times": 1, "effect": effect, "answer": "drop_before_headers" });
    match vendor {
        "rents unheard" => Some(lost(true)),
        "fails unheard" => Some(lost(false)),
        "refuses" => Some(json!({ "refuse": "billing-error", "times": 1 })),
        _ => None,
    }
}

/// Where the process dies, and with which vendors it comes there.
const POINTS: [(&str, &[&str]); 11] = [
    ("accept.commit", &VENDOR),
    ("accept.done", &VENDOR),
    ("claim.commit", &VENDOR),
    ("claim.done", &VENDOR),
    ("send.answered", &VENDOR),
    ("settle.commit", &VENDOR),
    ("settle.done", &VENDOR),
    ("reconcile.looked", &["rents unheard", "fails unheard"]),
    ("reconcile.noted", &["fails unheard"]),
    ("release.marked", &RELEASE),
    ("release.answered", &RELEASE),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_it_dies_an_order_ends_in_a_state_that_is_true_on_sqlite() {
    matrix("SQLite", |point, vendor| {
        Box::pin(with_sqlite(move |database| dies(database, point, vendor)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_it_dies_an_order_ends_in_a_state_that_is_true_on_postgres() {
    matrix("PostgreSQL", |point, vendor| {
        Box::pin(with_postgres(move |database| dies(database, point, vendor)))
    })
    .await;
}

async fn matrix(
    store: &str,
    run: impl Fn(&'static str, &'static str) -> futures::future::BoxFuture<'static, ()>,
) {
    let cases: Vec<_> = POINTS
        .iter()
        .flat_map(|(point, vendors)| vendors.iter().map(|vendor| (*point, *vendor)))
        .collect();
    let count = cases.len();
    futures::stream::iter(cases)
        .map(|(point, vendor)| {
            let case = run(point, vendor);
            async move {
                if let Err(failure) = tokio::spawn(case).await {
                    eprintln!("killed at {point} while Close {vendor}");
                    std::panic::resume_unwind(failure.into_panic());
                }
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    println!(
        "crash matrix on {store}: {count} kills, 0 double rents, 0 forgotten numbers, 0 caps exceeded, 0 wrong final states"
    );
}

async fn dies(database: Database, point: &'static str, vendor: &'static str) {
    if point.starts_with("release.") {
        return dies_releasing(database, point, vendor).await;
    }
    let config = TestConfig {
        timeout: "2s",
        settle_after: "1s",
        lease_margin: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    server.stop().await;
    if let Some(fault) = fault(vendor) {
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
    // Its answer dies with the process, if it comes at all.
    let _ = ask(&server).send().await;
    assert_eq!(desk.died_of().await, Some(9), "it never came to {point}");

    let desk = server.start_process().await;
    let last = std::sync::Mutex::new(Value::Null);
    let order = eventually_or(
        || format!("killed at {point} while Close {vendor}, it ends: {last:?}"),
        || async {
            // An app that has no answer asks again, under its key.
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
    let what = format!("killed at {point} while Close {vendor}: {order}");
    let held = server.close.held().await;
    match text(&order["state"]).as_str() {
        "fulfilled" => {
            assert_eq!(held.len(), 1, "{what}");
            assert_eq!(order["phone_number"]["id"], held[0]["id"], "{what}");
        }
        "refused" => assert!(held.is_empty(), "{what}"),
        other => panic!("it ended {other}: {what}"),
    }
    let rents = server.close.rents().await;
    let effects = rents.iter().filter(|rent| rent["effect"] == true).count();
    assert_eq!(effects, held.len(), "{what}");
    // Only what was certainly not sent is sent again, and each call has its claim on disk before it.
    assert!(rents.len() <= 1, "{} calls: {what}", rents.len());
    let claims = database
        .ask("SELECT COUNT(*) FROM audit WHERE action = 'order.send' AND outcome = 'renting'")
        .await;
    assert!(i64::try_from(rents.len()).expect("a count") <= claims, "{what}");
    assert_eq!(database.ask("SELECT COUNT(*) FROM orders").await, 1, "{what}");
    let told = "SELECT COUNT(*) FROM audit a JOIN orders o ON o.id = a.order_id WHERE a.outcome = o.state";
    assert!(database.ask(told).await >= 1, "its end has no audit row: {what}");
    assert_books_balance(&database).await;
    drop(desk);
    // Close has nothing more to say.
    tokio::time::timeout(Duration::from_secs(30), server.close.stop())
        .await
        .expect("the simulated Close ends");
}

/// Between a delivery and the number as it is then.
const FOLLOWING: [&str; 6] = [
    "inbox.commit",
    "inbox.done",
    "errands.taken",
    "errand.observed",
    "errands.ended",
    "feed.commit",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_it_dies_what_close_told_of_is_shown_and_told_once_on_sqlite() {
    for point in FOLLOWING {
        with_sqlite(move |database| dies_following(database, point)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_it_dies_what_close_told_of_is_shown_and_told_once_on_postgres() {
    for point in FOLLOWING {
        with_postgres(move |database| dies_following(database, point)).await;
    }
}

async fn dies_following(database: Database, point: &'static str) {
    let config = TestConfig {
        timeout: "5s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    let all = server.list(&ALICE, "/v1/events").await;
    let last = text(&all[all.len() - 1]["id"]);
    server.stop().await;
    // Nothing but the delivery tells of the change: the log can't be had, and later on listings neither.
    let away = |path: &str| json!({ "method": "GET", "path": path, "answer": { "status": 503 } });
    server.close.fault(away("/event/")).await;
    let mut desk = server
        .start_process_with(&[("NUMBERDESK_TEST_KILL_AT", point)])
        .await;
    // The feed moves as soon as a desk has compared its inventory: there it dies before it hears of anything.
    if point != "feed.commit" {
        server.wait_until_synced().await;
    }
    server
        .close
        .person_changes(&number, json!({ "label": "told" }))
        .await;
    let body = delivery(&event("1", "updated", &number));
    // Whether it is answered depends on where the process dies.
    let (timestamp, bytes) = (now().to_string(), key());
    let hash = signature(&bytes, &timestamp, &body);
    let ask = |server: &TestServer| {
        server
            .request("POST", "/webhooks/close")
            .header("close-sig-hash", &hash)
            .header("close-sig-timestamp", &timestamp)
            .body(body.clone())
    };
    let answered = ask(&server)
        .send()
        .await
        .is_ok_and(|answer| answer.status() == 204);
    assert_eq!(desk.died_of().await, Some(9), "it never came to {point}");
    server.close.fault(away("/phone_number/")).await;
    let desk = server.start_process().await;
    if !answered {
        assert_eq!(send(ask(&server)).await.status, 204, "Close tries again");
    }
    let path = format!("/v1/phone-numbers/{number}");
    eventually_or(
        || format!("killed at {point}, the number is shown as Close has it"),
        || async {
            let shown = server.get(&ALICE, &path).await.expect(200);
            let open = database.ask("SELECT COUNT(*) FROM errands").await;
            (shown["label"] == "told" && open == 0).then_some(())
        },
    )
    .await;
    assert_eq!(database.ask("SELECT COUNT(*) FROM inbox").await, 1, "{point}");
    let mut told = server.list(&ALICE, &format!("/v1/events?after={last}")).await;
    // What the rent left out is told, too, as soon as it is seen.
    let label = json!("label");
    told.retain(|event| {
        event["data"]["changed"]
            .as_array()
            .is_some_and(|changed| changed.contains(&label))
    });
    assert_eq!(told.len(), 1, "killed at {point}: {told:?}");
    assert_eq!(told[0]["type"], "phone_number.updated");
    drop(desk);
}

async fn dies_releasing(database: Database, point: &'static str, vendor: &'static str) {
    let config = TestConfig {
        timeout: "5s",
        settle_after: "1s",
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    let number = server.rent(&ALICE, "key", "DE").await;
    server.stop().await;
    if vendor != "releases" {
        let effect = vendor == "releases unheard";
        let lost =
            json!({ "method": "DELETE", "times": 1, "effect": effect, "answer": "drop_before_headers" });
        server.close.fault(lost).await;
    }
    let mut desk = server
        .start_process_with(&[("NUMBERDESK_TEST_KILL_AT", point)])
        .await;
    let path = format!("/v1/phone-numbers/{number}");
    // Its answer dies with the process.
    let _ = server.request_as(&ALICE, "DELETE", &path).send().await;
    assert_eq!(desk.died_of().await, Some(9), "it never came to {point}");

    // What was asked for is done by whoever comes next, whether or not anybody asks again.
    let desk = server.start_process().await;
    eventually_or(
        || format!("killed at {point} while Close {vendor}, the number is released"),
        || async {
            let gone = server.get(&ALICE, &path).await.status == 404;
            (gone && server.close.held().await.is_empty()).then_some(())
        },
    )
    .await;
    let told = "SELECT COUNT(*) FROM audit WHERE action = 'number.release' AND outcome = 'released'";
    assert_eq!(
        database.ask(told).await,
        1,
        "killed at {point} while Close {vendor}"
    );
    assert_books_balance(&database).await;
    drop(desk);
}
