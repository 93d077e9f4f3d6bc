//! The audit chain: one chain without a gap or a fork, with concurrent writers and several replicas that append.

use numberdesk::domain::audit_chain::{Head, Verifier};
use numberdesk::error::Error;
use numberdesk::store::Period;
use secrecy::ExposeSecret as _;
use sqlx::Connection as _;

use super::*;
use crate::support::eventually;

on_both_stores! {
    the_bounds_of_a_period_have_all_its_rows_and_few_others,
    rows_are_appended_once_in_the_order_of_their_ids_in_batches,
    replicas_that_append_concurrently_make_one_chain,
    a_replica_does_not_append_while_another_one_does,
    a_late_row_with_an_older_id_is_appended_at_the_end,
    without_a_head_appending_fails_with_an_internal_error,
    a_read_only_store_can_not_be_written,
}

async fn record(store: &Store, seconds: u64, outcome: &str) {
    let mut row = AuditRow::new(later(seconds), Actor::desk(), Action::NumberGone, outcome);
    row.detail = serde_json::json!({ "price": 1.1, "text": "\"\u{0}\u{1f}é" });
    store.record_audit(&row).await.unwrap();
}

/// Verifies the whole chain and returns its head.
async fn verified_head(store: &Store) -> Head {
    let head = store.audit_head().await.unwrap().expect("a store has a head");
    let mut verifier = Verifier::whole(Vec::new());
    loop {
        let links = store
            .chain_links(
                &Scope::system("test"),
                &Period::default(),
                verifier.at(),
                head.seq,
                7,
            )
            .await
            .unwrap();
        if links.is_empty() {
            return verifier.finish(Some(&head)).unwrap().head;
        }
        for link in &links {
            verifier.check(link).unwrap();
        }
    }
}

async fn rows_are_appended_once_in_the_order_of_their_ids_in_batches(database: Database) {
    let store = database.store().await;
    assert_eq!(store.append_to_chain(3).await.unwrap(), 0);
    assert_eq!(verified_head(&store).await, Head::genesis());
    for second in 0..7 {
        record(&store, second, "gone").await;
    }
    assert_eq!(store.unchained_count().await.unwrap(), 7);
    assert_eq!(store.oldest_unchained().await.unwrap(), Some(NOW));
    let mut appended = Vec::new();
    for _ in 0..4 {
        appended.push(store.append_to_chain(3).await.unwrap());
    }
    assert_eq!(appended, [3, 3, 1, 0]);
    assert_eq!(store.append_to_chain_waiting(3).await.unwrap(), 0);
    assert_eq!(store.oldest_unchained().await.unwrap(), None);
    assert_eq!(verified_head(&store).await.seq, 7);
    let out_of_order = "SELECT COUNT(*) FROM audit a JOIN audit b ON a.seq < b.seq AND a.id > b.id";
    assert_eq!(database.query_integer(out_of_order).await, 0);
}

async fn replicas_that_append_concurrently_make_one_chain(database: Database) {
    let counts = run_concurrently(&database, 60, |store, index| async move {
        match index % 3 {
            0 => {
                for second in 0..5 {
                    record(&store, second, &format!("{index}")).await;
                }
                0
            }
            1 => store.append_to_chain(4).await.unwrap(),
            _ => store.append_to_chain_waiting(4).await.unwrap(),
        }
    })
    .await;
    let store = database.store().await;
    let mut appended: u64 = counts.iter().sum();
    loop {
        match store.append_to_chain(200).await.unwrap() {
            0 => break,
            more => appended += more,
        }
    }
    assert_eq!(
        (appended, verified_head(&store).await.seq),
        (100, 100),
        "each row once"
    );
    let distinct_sequences =
        "SELECT COUNT(DISTINCT seq) FROM audit WHERE seq BETWEEN 1 AND 100 AND hash IS NOT NULL";
    assert_eq!(database.query_integer(distinct_sequences).await, 100);
    assert_eq!(database.query_integer("SELECT COUNT(*) FROM audit").await, 100);
}

async fn a_replica_does_not_append_while_another_one_does(database: Database) {
    let store = database.store().await;
    record(&store, 1, "gone").await;
    if !database.url().expose_secret().starts_with("postgres") {
        // SQLite has one writer at a time: the second one waits, and then finds no rows.
        assert_eq!(store.append_to_chain(9).await.unwrap(), 1);
        assert_eq!(store.append_to_chain(9).await.unwrap(), 0);
        return;
    }
    let mut other = sqlx::PgConnection::connect(database.url().expose_secret())
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN; SELECT * FROM audit_head FOR UPDATE")
        .execute(&mut other)
        .await
        .unwrap();
    assert_eq!(store.append_to_chain(9).await.unwrap(), 0);
    // Writers of audit rows do not wait for the replica that appends.
    record(&store, 2, "gone").await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.append_to_chain_waiting(9).await }
    });
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("this replica waits for the lock of the other one", || async {
        (database.query_integer(waits).await == 1).then_some(())
    })
    .await;
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
}

async fn a_late_row_with_an_older_id_is_appended_at_the_end(database: Database) {
    let store = database.store().await;
    record(&store, 10, "first").await;
    store.append_to_chain(9).await.unwrap();
    record(&store, 5, "late").await;
    store.append_to_chain(9).await.unwrap();
    assert_eq!(verified_head(&store).await.seq, 2);
    assert_eq!(
        database
            .query_integer("SELECT seq FROM audit WHERE outcome = 'late'")
            .await,
        2
    );
}

async fn without_a_head_appending_fails_with_an_internal_error(database: Database) {
    let store = database.store().await;
    record(&store, 1, "gone").await;
    database.execute("DELETE FROM audit_head").await;
    for failed in [
        store.append_to_chain(9).await,
        store.append_to_chain_waiting(9).await,
    ] {
        let Err(Error::Internal(cause)) = failed else {
            panic!("rows were appended without a head: {failed:?}");
        };
        assert_eq!(cause.to_string(), "the head of the audit chain is missing");
    }
    assert_eq!(store.unchained_count().await.unwrap(), 1);
}

async fn a_read_only_store_can_not_be_written(database: Database) {
    let store = database.store().await;
    record(&store, 1, "gone").await;
    let reader = Store::open_read_only(database.url()).await.unwrap();
    assert_eq!(reader.unchained_count().await.unwrap(), 1);
    assert!(reader.append_to_chain(9).await.is_err());
    assert!(
        reader
            .record_audit(&AuditRow::new(NOW, Actor::desk(), Action::NumberGone, "x"))
            .await
            .is_err()
    );
    assert_eq!(store.unchained_count().await.unwrap(), 1);
    // The database can also be read when no service has it open.
    store.close().await;
    reader.close().await;
    let reader = Store::open_read_only(database.url()).await.unwrap();
    assert_eq!(reader.unchained_count().await.unwrap(), 1);
}

#[tokio::test]
async fn opening_a_missing_file_read_only_does_not_create_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("desk.db");
    let url = format!("sqlite://{}", file.display());
    assert!(Store::open_read_only(&url.into()).await.is_err());
    assert!(!file.exists());
}

async fn the_bounds_of_a_period_have_all_its_rows_and_few_others(database: Database) {
    const HOUR: i64 = 3_600_000_000;
    let store = database.store().await;
    // A row each hour, in the order of the chain up to two hours early or late.
    database
        .execute(&format!(
            "INSERT INTO audit (id, at, issuer, subject, action, outcome, detail, seq, hash) \
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                SELECT 'aud_' || CAST(i AS TEXT), (i + (i * 7) % 5 - 2) * {HOUR}, '', 'x', 'order.send', 'x', '{{}}', \
                    i, 'h' FROM n"
        ))
        .await;
    for (since, until) in [
        (None, None),
        (Some(0), None),
        (Some(500), None),
        (Some(999), None),
        (Some(5_000), None),
        (None, Some(-5)),
        (None, Some(500)),
        (Some(300), Some(400)),
        (Some(300), Some(301)),
        (Some(600), Some(5_000)),
    ] {
        let at = |hours: Option<i64>| hours.map(|hours| Timestamp::from_micros(hours * HOUR));
        let period = Period {
            since: at(since),
            until: at(until),
        };
        let (after, last) = store.chain_bounds(&period, 1_000).await.unwrap();
        let inside = format!(
            "at >= {} AND at < {}",
            since.unwrap_or(-100) * HOUR,
            until.unwrap_or(10_000) * HOUR
        );
        let outside =
            format!("SELECT COUNT(*) FROM audit WHERE {inside} AND NOT (seq > {after} AND seq <= {last})");
        assert_eq!(database.query_integer(&outside).await, 0, "{since:?} {until:?}");
        let rows = format!("SELECT COUNT(*) FROM audit WHERE {inside}");
        let rows = database.query_integer(&rows).await;
        assert!(
            last - after <= rows + 60,
            "{since:?} {until:?}: {after} {last} for {rows}"
        );
    }
}
