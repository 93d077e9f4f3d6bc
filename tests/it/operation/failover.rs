//! A failover: the database accepts only reads for a while, and sessions of before end or stay.

use serde_json::json;

use crate::support::books::assert_books_balance;
use crate::support::database::{Database, execute_on_server, on_postgres_only};
use crate::support::eventually;
use crate::support::forwarder::Forwarder;
use crate::support::personas::ALICE;
use crate::support::pooler::Pooler;
use crate::support::server::{TestConfig, TestServer, text};

on_postgres_only! {
    a_database_that_only_reads_for_a_while_is_reported_and_loses_no_order,
    a_server_that_vanishes_without_closing_its_connections_is_left,
    the_service_works_behind_a_pooler_in_transaction_mode_with_two_replicas,
}

/// Lets new sessions only read, and ends the sessions of now, as a standby that takes over does.
async fn only_reads(database: &Database) {
    let name = database.name();
    let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    execute_on_server(&set).await.expect("the setting is set");
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    execute_on_server(&end).await.expect("the sessions end");
}

async fn promote(database: &Database) {
    let name = database.name();
    let reset = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
    execute_on_server(&reset).await.expect("the setting is reset");
}

async fn a_database_that_only_reads_for_a_while_is_reported_and_loses_no_order(database: Database) {
    let server = TestServer::new(database.clone()).await;
    // An order whose call is under way when the database stops to accept writes.
    server.close.set(json!({ "rents_held": true })).await;
    let under_way = server
        .order_at_once(&ALICE, "under-way", &json!({ "country": "DE" }))
        .await
        .expect(202);
    server
        .close
        .wait_for_requests("POST", crate::support::close::RENT, 1)
        .await;
    only_reads(&database).await;
    server.close.set(json!({ "rents_held": false })).await;
    let report = eventually("the replica says what is wrong", || async {
        let readiness = server.at_ops("/readyz").await;
        let why = readiness.json()["database"] == "the database accepts only reads";
        why.then_some(readiness)
    })
    .await;
    assert_eq!((report.status, &report.json()["ready"]), (200, &json!(true)));
    assert_eq!(server.at_ops("/livez").await.status, 200);
    let refused = server.order(&ALICE, "refused", &json!({ "country": "FR" })).await;
    refused.problem(503, "store-unavailable");
    promote(&database).await;
    // `eventually` waits for 30 s at most.
    eventually("the replica writes again", || async {
        if server.at_ops("/readyz").await.json()["database"] != "ok" {
            return None;
        }
        let order = server.order(&ALICE, "refused", &json!({ "country": "FR" })).await;
        (order.status == 201).then_some(())
    })
    .await;
    let settled = server
        .wait_for_state(&ALICE, &text(&under_way["id"]), "fulfilled")
        .await;
    assert_eq!(settled["id"], under_way["id"]);
    assert_eq!(server.close.rents().await.len(), 2, "one call for each order");
    assert_books_balance(&database).await;
}

async fn a_server_that_vanishes_without_closing_its_connections_is_left(database: Database) {
    let forwarder = Forwarder::start(&database).await;
    let server = TestServer::new(forwarder.database.clone()).await;
    server.rent(&ALICE, "before", "DE").await;
    for key in ["after-one", "after-another"] {
        forwarder.freeze();
        let begun = std::time::Instant::now();
        eventually("the service writes again", || async {
            let order = server.order(&ALICE, key, &json!({ "country": "FR" })).await;
            (order.status == 201).then_some(())
        })
        .await;
        eventually("the replica reports a usable database", || async {
            (server.at_ops("/readyz").await.json()["database"] == "ok").then_some(())
        })
        .await;
        // The promise is 30 s; the machine of the tests may be busy.
        assert!(
            begun.elapsed() < std::time::Duration::from_mins(1),
            "{:?}",
            begun.elapsed()
        );
    }
    assert_eq!(server.close.rents().await.len(), 3);
    assert_books_balance(&database).await;
}

async fn the_service_works_behind_a_pooler_in_transaction_mode_with_two_replicas(database: Database) {
    let pooler = Pooler::start(&database, "transaction", 4).await;
    let mut server = TestServer::with(pooler.database.clone(), TestConfig::default()).await;
    server.stop().await;
    let first = server.start_process().await;
    let api = server.api.clone();
    let second = server.start_process().await;
    let apis = [api, server.api.clone()];
    // Half of the orders go to each replica.
    for (half, api) in apis.iter().enumerate() {
        server.api.clone_from(api);
        let orders = (0..10).map(|nth| {
            let key = format!("{half}-{nth}");
            let server = &server;
            async move { server.order(&ALICE, &key, &json!({ "country": "DE" })).await }
        });
        for order in futures::future::join_all(orders).await {
            assert_eq!(order.status, 201, "{order}");
        }
    }
    assert_eq!(server.close.rents().await.len(), 20);
    for api in &apis {
        server.api.clone_from(api);
        eventually("each replica shows the numbers of both", || async {
            (server.list(&ALICE, "/v1/phone-numbers?limit=100").await.len() == 20).then_some(())
        })
        .await;
    }
    let doctor =
        crate::support::binary::run(server.folder.path(), &["doctor", "--config", "numberdesk.toml"]).await;
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert!(
        doctor.stdout.contains("pooler in transaction mode"),
        "{}",
        doctor.stdout
    );
    let verified = crate::support::binary::run(server.folder.path(), &["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(
        first.log().contains("pooler in transaction mode"),
        "the log says so"
    );
    assert_books_balance(&database).await;
    for mut replica in [first, second] {
        assert_eq!(replica.terminate().await, 0);
    }
}
