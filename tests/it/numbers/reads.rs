//! Reads of numbers from memory: each process has all numbers, follows its own changes and those of other processes,
//! and answers without Close and without the database.

use std::collections::BTreeSet;

use numberdesk::error::Error;
use serde_json::{Value, json};

use crate::support::database::{Database, on_both_stores};
use crate::support::desk::{TestDesk, caller, find, release, request};
use crate::support::eventually;
use crate::support::outage::Outage;
use crate::support::personas::{ALICE, OLGA};
use crate::support::response::ApiResponse;
use crate::support::scripted::unused_address;
use crate::support::server::{TestConfig, TestServer, send, text};

on_both_stores! {
    callers_read_their_own_writes,
    reads_of_numbers_do_not_query_the_database,
    a_number_has_the_same_etag_after_a_restart,
    a_sync_without_changes_updates_only_as_of,
    the_service_is_not_ready_before_it_has_loaded_its_numbers,
}

mod numbers_can_be_read_without_a_database {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() {
        crate::support::database::with_postgres(super::numbers_can_be_read_without_a_database).await;
    }
}

mod a_number_that_cannot_be_reloaded_is_shown_unchanged_until_it_can {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_postgres() {
        let test = super::a_number_that_cannot_be_reloaded_is_shown_unchanged_until_it_can;
        crate::support::database::with_postgres(test).await;
    }
}

mod the_pages_of_a_hundred_thousand_numbers_contain_each_once {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn on_sqlite() {
        crate::support::database::with_sqlite(
            super::the_pages_of_a_hundred_thousand_numbers_contain_each_once,
        )
        .await;
    }
}

fn path(number: &str) -> String {
    format!("/v1/phone-numbers/{number}")
}

async fn callers_read_their_own_writes(database: Database) {
    let policy = format!(
        "{}\n[teams.careful]\ncountries = [\"DE\"]\nrelease_delay = \"1h\"\n",
        crate::support::server::POLICY
    );
    let config = TestConfig {
        policy,
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    for index in 0..5 {
        let id = server.rent(&ALICE, &format!("key-{index}"), "DE").await;
        let read = async |person| server.get(person, &path(&id)).await;
        let listed = async |query: &str| {
            let rows = server.list(&OLGA, &format!("/v1/phone-numbers?{query}")).await;
            rows.iter().any(|row| row["id"] == id.as_str())
        };
        assert_eq!(read(&ALICE).await.expect(200)["desk"]["team"], "sales");
        assert!(listed("team=sales").await && !listed("orphan=true").await);

        let label = format!("line {index}");
        server
            .patch(&ALICE, &id, &json!({ "label": label }))
            .await
            .expect(200);
        assert_eq!(read(&ALICE).await.expect(200)["label"], label.as_str());
        assert!(listed(&format!("label=LINE%20{index}")).await);

        let transfer = server.request_as(&OLGA, "PUT", &format!("{}/team", path(&id)));
        send(transfer.json(&json!({ "team": "careful" })))
            .await
            .expect(200);
        read(&ALICE).await.problem(404, "not-found");
        assert_eq!(read(&OLGA).await.expect(200)["desk"]["team"], "careful");
        assert!(listed("team=careful").await && !listed("team=sales").await);

        let scheduled = server.release(&OLGA, &id).await.expect(202);
        let release_at = read(&OLGA).await.expect(200)["desk"]["release_at"].clone();
        assert!(release_at.is_string() && release_at == scheduled["release_at"]);
        send(server.request_as(&OLGA, "POST", &format!("{}/keep", path(&id))))
            .await
            .expect(200);
        assert_eq!(read(&OLGA).await.expect(200)["desk"]["release_at"], Value::Null);

        let transfer = server.request_as(&OLGA, "PUT", &format!("{}/team", path(&id)));
        send(transfer.json(&json!({ "team": "sales" }))).await.expect(200);
        assert_eq!(server.release(&ALICE, &id).await.status, 204);
        read(&ALICE).await.problem(404, "not-found");
        assert!(!listed("team=sales").await);
    }
}

async fn reads_of_numbers_do_not_query_the_database(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let id = server.rent(&ALICE, "key", "DE").await;
    let order = &server.list(&ALICE, "/v1/orders").await[0];
    let before = server.get(&ALICE, &path(&id)).await.expect(200);
    // Every statement that names the table fails from now on.
    database
        .execute("ALTER TABLE numbers RENAME TO numbers_away")
        .await;
    assert_eq!(server.get(&ALICE, &path(&id)).await.expect(200), before);
    let listed = server.list(&ALICE, "/v1/phone-numbers").await;
    assert_eq!(listed, std::slice::from_ref(&before));
    for filter in [
        "country=DE",
        "label=",
        "team=sales",
        "participant=user_x",
        "number=%2B1",
    ] {
        server
            .get(&ALICE, &format!("/v1/phone-numbers?{filter}"))
            .await
            .expect(200);
    }
    let again = server
        .get(&ALICE, &format!("/v1/orders/{}", text(&order["id"])))
        .await;
    assert_eq!(again.expect(200)["phone_number"], before);
    assert_eq!(server.list(&ALICE, "/v1/orders").await[0]["phone_number"], before);
    database
        .execute("ALTER TABLE numbers_away RENAME TO numbers")
        .await;
}

async fn numbers_can_be_read_without_a_database(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let id = server.rent(&ALICE, "key", "DE").await;
    let before = server.get(&ALICE, &path(&id)).await;
    let outage = Outage::begin(&database).await;
    server
        .get(&ALICE, "/v1/orders")
        .await
        .problem(503, "store-unavailable");
    let after = server.get(&ALICE, &path(&id)).await;
    assert_eq!(after.header("etag"), before.header("etag"));
    assert_eq!(after.expect(200), before.expect(200));
    assert_eq!(server.list(&ALICE, "/v1/phone-numbers").await.len(), 1);
    // A change that cannot be stored is not shown.
    let patched = server.patch(&ALICE, &id, &json!({ "label": "not stored" })).await;
    patched.problem(503, "store-unavailable");
    assert_ne!(
        server.get(&ALICE, &path(&id)).await.expect(200)["label"],
        "not stored"
    );
    outage.end().await;
    eventually("changes are possible again", || async {
        let patched = server.patch(&ALICE, &id, &json!({ "label": "stored" })).await;
        (patched.status == 200).then_some(())
    })
    .await;
    assert_eq!(
        server.get(&ALICE, &path(&id)).await.expect(200)["label"],
        "stored"
    );
}

async fn a_number_that_cannot_be_reloaded_is_shown_unchanged_until_it_can(database: Database) {
    let test_desk = TestDesk::new(database.clone(), "[teams.sales]\ncountries = [\"DE\"]\n", 1).await;
    let alice = caller("sales");
    let order_request = request(&json!({ "country": "DE" }));
    test_desk.order(&alice, "key", &order_request).await.unwrap();
    test_desk.wait_until_idle().await;
    test_desk.run_steps().await;
    let id = test_desk.orders().await[0].phone_number_id.clone().unwrap();
    assert!(test_desk.run(find(&alice, &id)).await.is_ok());
    // The process has not reloaded the number since its release.
    test_desk.run(release(&alice, &id)).await.unwrap();
    let outage = Outage::begin(&database).await;
    for _ in 0..2 {
        let shown = test_desk
            .run(find(&alice, &id))
            .await
            .expect("reads work without the database");
        assert_eq!(shown.facts.id, id);
    }
    outage.end().await;
    eventually("the database answers again", || async {
        let assigned = test_desk.run(|desk| async move { desk.events.assign_sequence().await });
        assigned.await.ok()
    })
    .await;
    let shown = test_desk.run(find(&alice, &id)).await;
    assert!(matches!(shown, Err(Error::NotFound)), "{shown:?}");
}

async fn a_number_has_the_same_etag_after_a_restart(database: Database) {
    let mut server = TestServer::new(database).await;
    let id = server.rent(&ALICE, "key", "DE").await;
    server
        .patch(&ALICE, &id, &json!({ "label": "Büro \"x\"" }))
        .await
        .expect(200);
    let before = server.get(&ALICE, &path(&id)).await;
    let etag = before.header("etag");
    server.stop().await;
    server.start().await;
    let request = server
        .request_as(&ALICE, "GET", &path(&id))
        .header("If-None-Match", etag);
    assert_eq!(send(request).await.status, 304);
    server.wait_until_synced().await;
    assert_eq!(server.get(&ALICE, &path(&id)).await.header("etag"), etag);
}

async fn a_sync_without_changes_updates_only_as_of(database: Database) {
    let config = TestConfig {
        full_sync: "1s",
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let id = server.rent(&ALICE, "key", "DE").await;
    let before = std::sync::Mutex::new(server.get(&ALICE, &path(&id)).await);
    let as_of = |answer: &ApiResponse| text(&answer.json()["desk"]["as_of"]);
    // Close may still add fields to a new number. Afterwards a sync sees the number unchanged.
    let (mut first, mut second) = eventually("a sync saw the number unchanged", || async {
        let now = server.get(&ALICE, &path(&id)).await;
        let mut before = before.lock().expect("the lock is not poisoned");
        let before = std::mem::replace(&mut *before, now.clone());
        let seen_again = as_of(&now) > as_of(&before) && now.header("etag") == before.header("etag");
        seen_again.then(|| (before.expect(200), now.expect(200)))
    })
    .await;
    for number in [&mut first, &mut second] {
        number["desk"]["as_of"] = Value::Null;
    }
    assert_eq!(first, second);
}

async fn the_service_is_not_ready_before_it_has_loaded_its_numbers(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    let id = server.rent(&ALICE, "key", "DE").await;
    server.stop().await;
    database
        .execute("ALTER TABLE numbers RENAME TO numbers_away")
        .await;
    server.start().await;
    for probe in ["/startupz", "/readyz"] {
        let answer = server.at_ops(probe).await;
        assert_eq!(answer.status, 503, "{answer}");
        assert_eq!(answer.json()["inventory"], "being loaded");
    }
    assert_ne!(
        server.get(&ALICE, &path(&id)).await.status,
        404,
        "a 404 before the numbers are loaded"
    );
    database
        .execute("ALTER TABLE numbers_away RENAME TO numbers")
        .await;
    eventually("the service is ready", || async {
        (server.at_ops("/startupz").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(server.at_ops("/readyz").await.json()["inventory"], "ok");
    server.get(&ALICE, &path(&id)).await.expect(200);
}

async fn the_pages_of_a_hundred_thousand_numbers_contain_each_once(database: Database) {
    const MANY: usize = 100_000;
    let config = TestConfig {
        // Close is unreachable, so that the sync does not read each of the numbers there.
        close_url: Some(format!("http://{}/api/v1", unused_address())),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    server.stop().await;
    database
        .execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
             INSERT INTO numbers (id, number, country, kind, label_folded, facts, team, monthly, as_of) \
             SELECT 'phon_' || i, '+49' || i, 'DE', 'internal', '', \
                '{{\"id\":\"phon_' || i || '\",\"number\":\"+49' || i || '\",\"country\":\"DE\",\"kind\":\"internal\",\
                \"participants\":[],\"participant_groups\":[],\"group\":false,\"object\":{{\"id\":\"phon_' || i || '\"}}}}', \
                'sales', 0, 0 FROM n"
        ))
        .await;
    server.start().await;
    let (mut seen, mut rows, mut cursor) = (BTreeSet::new(), 0, String::new());
    loop {
        let page = server
            .get(&ALICE, &format!("/v1/phone-numbers?limit=200{cursor}"))
            .await
            .expect(200);
        let ids: Vec<_> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| text(&row["id"]))
            .collect();
        assert!(ids.is_sorted());
        rows += ids.len();
        seen.extend(ids);
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((rows, seen.len()), (MANY, MANY));
}
