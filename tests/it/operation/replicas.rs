//! Several replicas on one PostgreSQL database: no order is lost, and none rents a second number.
//!
//! Each replica is a process of its own.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::support::binary::ServerProcess;
use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, on_postgres_only, with_postgres};
use crate::support::eventually;
use crate::support::personas::{ALICE, LENA};
use crate::support::server::{TestConfig, TestServer, send, text};

on_postgres_only! {
    one_key_sent_to_three_replicas_at_once_is_one_order_and_one_rent,
    a_quota_and_a_budget_hold_over_three_replicas_on_the_first_orders_of_a_team,
    a_replica_that_is_suspended_past_its_lease_rents_no_second_number,
    the_open_order_of_a_killed_replica_is_settled_by_another_one,
    a_change_through_one_replica_is_shown_by_the_others,
    an_order_fulfilled_by_one_replica_has_its_number_on_the_others_at_once,
    orders_are_rented_however_many_long_reads_wait,
}

/// Starts `count` processes of one service.
async fn replicas(database: Database, config: TestConfig, count: usize) -> (TestServer, Vec<ServerProcess>) {
    let mut server = TestServer::with(database, config).await;
    server.stop().await;
    let mut replicas = Vec::new();
    for _ in 0..count {
        replicas.push(server.start_process().await);
    }
    (server, replicas)
}

/// Returns a configuration in which claims lapse and orders settle within a few seconds.
fn short_deadlines() -> TestConfig {
    TestConfig {
        timeout: "3s",
        settle_after: "1s",
        lease_margin: "1s",
        ..TestConfig::default()
    }
}

fn order_body() -> Value {
    json!({ "country": "DE", "carrier_type": "local" })
}

/// Sends an order to a replica once. Returns `None` if there is no response.
async fn try_order(server: &TestServer, api: &str, key: &str) -> Option<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client
        .post(format!("{api}/v1/orders"))
        .bearer_auth(server.token(&ALICE))
        .header("Idempotency-Key", key)
        .json(&order_body());
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

async fn one_key_sent_to_three_replicas_at_once_is_one_order_and_one_rent(database: Database) {
    let (server, replicas) = replicas(database, TestConfig::default(), 3).await;
    let requests = (0..30).map(|nth| try_order(&server, &replicas[nth % 3].api, "same"));
    let mut ids = std::collections::BTreeSet::new();
    for response in futures::future::join_all(requests).await {
        let (status, order) = response.expect("every replica responds");
        assert_eq!(status, 201, "{order}");
        ids.insert(text(&order["id"]));
    }
    assert_eq!((ids.len(), server.close.rents().await.len()), (1, 1));
    println!("replicas: 30 requests with one key to 3 replicas, 1 order, 1 rent");
}

async fn a_quota_and_a_budget_hold_over_three_replicas_on_the_first_orders_of_a_team(database: Database) {
    for (rule, problem) in [
        ("max_numbers = 3", "quota-exceeded"),
        ("monthly_budget = \"15.00\"", "budget-exceeded"),
    ] {
        let policy = format!("[teams.sales]\ncountries = [\"DE\"]\n{rule}\n[prices]\ndefault = \"5.00\"\n");
        let config = TestConfig {
            policy,
            ..TestConfig::default()
        };
        // The second round needs a new database.
        if problem == "budget-exceeded" {
            return with_postgres(move |database| order_up_to_the_cap(database, config, problem)).await;
        }
        Box::pin(order_up_to_the_cap(database.clone(), config, problem)).await;
    }
}

async fn order_up_to_the_cap(database: Database, config: TestConfig, problem: &'static str) {
    let (server, replicas) = replicas(database.clone(), config, 3).await;
    let keys: Vec<String> = (0..60).map(|nth| format!("key-{nth}")).collect();
    let requests = keys.iter().enumerate().map(async |(nth, key)| {
        loop {
            let response = try_order(&server, &replicas[nth % 3].api, key).await;
            let (status, body) = response.expect("every replica responds");
            if status != 503 {
                return (status, body);
            }
        }
    });
    let responses = futures::future::join_all(requests).await;
    let rented = responses.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(rented, 3, "{responses:?}");
    for (status, body) in &responses {
        assert!(
            *status == 201 || body["type"] == format!("/problems/{problem}"),
            "{status} {body}"
        );
    }
    assert_eq!(server.close.rents().await.len(), 3);
    assert_books_balance(&database).await;
    println!("replicas: 60 orders at once over 3 replicas on a cap of 3 ({problem}), 3 rents");
}

async fn a_replica_that_is_suspended_past_its_lease_rents_no_second_number(database: Database) {
    for (nth, answer) in [json!(null), json!("drop_before_headers")]
        .into_iter()
        .enumerate()
    {
        let database = database.clone();
        let run = move |database: Database| suspend_while_renting(database, answer);
        if nth == 1 {
            return with_postgres(run).await;
        }
        Box::pin(run(database)).await;
    }
}

/// Suspends the replica that rents, until another replica has settled the order.
///
/// `answer` is a fault that destroys Close's response, or null.
async fn suspend_while_renting(database: Database, answer: Value) {
    let (mut server, replicas) = replicas(database.clone(), short_deadlines(), 2).await;
    let mut fault = json!({ "path": RENT, "times": 1, "delay": "2500ms", "effect": true });
    if !answer.is_null() {
        fault["answer"] = answer;
    }
    server.close.fault(fault).await;
    server.api.clone_from(&replicas[0].api);
    let queued = server
        .order_at_once(&ALICE, "key", &order_body())
        .await
        .expect(202);
    let id = text(&queued["id"]);
    server.close.wait_for_requests("POST", RENT, 1).await;
    // Replica 0 has the claim, because the replica that receives an order sends it at once.
    replicas[0].signal("STOP").await;
    server.api.clone_from(&replicas[1].api);
    let order = server.wait_for_state(&ALICE, &id, "fulfilled").await;
    assert_eq!(order["evidence"], "found-by-reconciliation");
    replicas[0].signal("CONT").await;
    server.api.clone_from(&replicas[0].api);
    let same = eventually("the replica that was suspended responds", || async {
        try_order(&server, &replicas[0].api, "key").await
    })
    .await;
    assert_eq!(same.0, 201, "{same:?}");
    assert_eq!(same.1["phone_number"]["id"], order["phone_number"]["id"]);
    assert_eq!(
        (server.close.rents().await.len(), server.close.held().await.len()),
        (1, 1)
    );
    assert_books_balance(&database).await;
    println!("replicas: 1 stopped past its lease and continued, 1 rent, 1 number");
}

async fn the_open_order_of_a_killed_replica_is_settled_by_another_one(database: Database) {
    let (mut server, mut replicas) = replicas(database.clone(), short_deadlines(), 2).await;
    for (key, effect) in [("with", true), ("without", false)] {
        let hang = json!({ "path": RENT, "times": 1, "answer": "hang", "effect": effect });
        server.close.fault(hang).await;
        server.api.clone_from(&replicas[0].api);
        let before = server.close.rents().await.len();
        let queued = server.order_at_once(&ALICE, key, &order_body()).await.expect(202);
        server.close.wait_for_requests("POST", RENT, before + 1).await;
        replicas[0].kill().await;
        server.api.clone_from(&replicas[1].api);
        let end = if effect { "fulfilled" } else { "refused" };
        server.wait_for_state(&ALICE, &text(&queued["id"]), end).await;
        replicas[0] = server.start_process().await;
    }
    assert_eq!(
        (server.close.rents().await.len(), server.close.held().await.len()),
        (2, 1)
    );
    assert_books_balance(&database).await;
}

async fn a_change_through_one_replica_is_shown_by_the_others(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let (mut server, replicas) = replicas(database, config, 3).await;
    let id = server.rent(&ALICE, "key", "DE").await;
    let path = format!("/v1/phone-numbers/{id}");
    server
        .patch(&ALICE, &id, &json!({ "label": "new" }))
        .await
        .expect(200);
    for replica in &replicas {
        server.api.clone_from(&replica.api);
        // Three values of `as_of` prove that the replica also keeps the change over complete comparisons with Close.
        let as_of_values = std::sync::Mutex::new(std::collections::BTreeSet::new());
        eventually(
            "the replica shows the change, also after comparisons with Close",
            || async {
                let number = server.get(&ALICE, &path).await;
                if number.status != 200 || number.json()["label"] != "new" {
                    return None;
                }
                let mut as_of_values = as_of_values.lock().expect("the lock is not poisoned");
                as_of_values.insert(text(&number.json()["desk"]["as_of"]));
                (as_of_values.len() == 3).then_some(())
            },
        )
        .await;
    }
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    // All replicas apply the later observations of the number too.
    eventually("the number has the same ETag on all replicas", || async {
        let mut etags = std::collections::BTreeSet::new();
        for replica in &replicas {
            let request = client.get(format!("{}{path}", replica.api));
            let response = send(request.bearer_auth(server.token(&ALICE))).await;
            etags.insert(response.header("etag").to_owned());
        }
        (etags.len() == 1).then_some(())
    })
    .await;
    assert_eq!(server.release(&ALICE, &id).await.status, 204);
    for replica in &replicas {
        server.api.clone_from(&replica.api);
        eventually("the replica does not show the released number", || async {
            (server.get(&ALICE, &path).await.status == 404).then_some(())
        })
        .await;
        assert!(server.list(&ALICE, "/v1/phone-numbers").await.is_empty());
    }
}

async fn an_order_fulfilled_by_one_replica_has_its_number_on_the_others_at_once(database: Database) {
    let (mut server, replicas) = replicas(database, TestConfig::default(), 2).await;
    for nth in 0..10 {
        let key = format!("key-{nth}");
        let (status, order) = try_order(&server, &replicas[nth % 2].api, &key)
            .await
            .expect("the replica responds");
        assert_eq!(status, 201);
        server.api.clone_from(&replicas[1 - nth % 2].api);
        let path = format!("/v1/orders/{}", text(&order["id"]));
        let shown = server.get(&ALICE, &path).await.expect(200);
        assert_eq!(
            shown["phone_number"]["id"], order["phone_number"]["id"],
            "{shown}"
        );
        let listed = server.list(&ALICE, "/v1/orders").await;
        assert!(listed.iter().all(|order| order["phone_number"]["id"].is_string()));
    }
}

mod restart;

async fn orders_are_rented_however_many_long_reads_wait(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let reader = LENA.with("numbers:read numbers:rent spend:read");
    server.rent(&ALICE, "before", "DE").await;
    server.get(&reader, "/v1/spend?month=2026-11").await.expect(200);
    // Every report now waits for this lock, until the time-out of the database.
    let options: PgConnectOptions = database.url().expose_secret().parse().expect("a URL");
    let mut locker = options.connect().await.expect("a connection");
    sqlx::raw_sql("BEGIN; LOCK TABLE spend_shares IN ACCESS EXCLUSIVE MODE")
        .execute(&mut locker)
        .await
        .expect("the lock is free");
    let reports = futures::future::join_all((0..40).map(|_| server.get(&reader, "/v1/spend?month=2026-11")));
    let orders = async {
        let waiting = format!(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock'",
            database.name()
        );
        eventually("reports wait", || async {
            (database.query_integer(&waiting).await >= 2).then_some(())
        })
        .await;
        let begun = std::time::Instant::now();
        for nth in 0..5 {
            server.rent(&ALICE, &format!("meanwhile-{nth}"), "DE").await;
            assert_eq!(server.at_ops("/readyz").await.status, 200);
        }
        let took = begun.elapsed();
        let most = database.query_integer(&waiting).await;
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut locker)
            .await
            .expect("the lock is released");
        (took, most)
    };
    let (reports, (took, waiting)) = tokio::join!(reports, orders);
    println!("5 orders took {took:?} beside 40 reports, of which {waiting} waited in the database");
    assert!(waiting <= 4, "{waiting} of 10 connections were taken by reports");
    for report in reports {
        if report.status != 200 {
            assert_eq!(report.status, 503, "{report}");
            assert!(!report.header("retry-after").is_empty(), "{report}");
        }
    }
}
