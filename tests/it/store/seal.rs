//! Sealing: one chain without a gap or a fork, whoever seals and however many write meanwhile.

use numberdesk::domain::audit_chain::{Head, Verifier};
use numberdesk::error::Error;
use numberdesk::store::Period;
use secrecy::ExposeSecret as _;
use sqlx::Connection as _;

use super::*;
use crate::support::eventually;

on_both_stores! {
    rows_are_sealed_once_in_the_order_they_were_written_batch_by_batch,
    replicas_that_seal_at_once_while_rows_are_written_make_one_chain,
    a_replica_that_finds_another_sealing_has_nothing_to_do,
    a_row_that_comes_late_with_an_older_id_is_sealed_at_the_end,
    a_store_without_a_head_seals_nothing_and_says_so,
    a_store_opened_to_read_can_t_be_written,
}

async fn record(store: &Store, seconds: u64, outcome: &str) {
    let mut row = AuditRow::new(later(seconds), Actor::desk(), Action::NumberGone, outcome);
    row.detail = serde_json::json!({ "price": 1.1, "text": "\"\u{0}\u{1f}é" });
    store.record_audit(&row).await.unwrap();
}

/// Walks along everything that is sealed; where the chain ends.
async fn walked(store: &Store) -> Head {
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

async fn rows_are_sealed_once_in_the_order_they_were_written_batch_by_batch(database: Database) {
    let store = database.store().await;
    assert_eq!(store.append_to_chain(3).await.unwrap(), 0);
    assert_eq!(walked(&store).await, Head::genesis());
    for second in 0..7 {
        record(&store, second, "gone").await;
    }
    assert_eq!(store.unchained_count().await.unwrap(), 7);
    assert_eq!(store.oldest_unchained().await.unwrap(), Some(NOW));
    let mut sealed = Vec::new();
    for _ in 0..4 {
        sealed.push(store.append_to_chain(3).await.unwrap());
    }
    assert_eq!(sealed, [3, 3, 1, 0]);
    assert_eq!(store.append_to_chain_waiting(3).await.unwrap(), 0);
    assert_eq!(store.oldest_unchained().await.unwrap(), None);
    assert_eq!(walked(&store).await.seq, 7);
    let later_first = "SELECT COUNT(*) FROM audit a JOIN audit b ON a.seq < b.seq AND a.id > b.id";
    assert_eq!(database.ask(later_first).await, 0);
}

async fn replicas_that_seal_at_once_while_rows_are_written_make_one_chain(database: Database) {
    let counts = at_once(&database, 60, |store, index| async move {
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
    let mut sealed: u64 = counts.iter().sum();
    loop {
        match store.append_to_chain(200).await.unwrap() {
            0 => break,
            more => sealed += more,
        }
    }
    assert_eq!((sealed, walked(&store).await.seq), (100, 100), "each row once");
    let places = "SELECT COUNT(DISTINCT seq) FROM audit WHERE seq BETWEEN 1 AND 100 AND hash IS NOT NULL";
    assert_eq!(database.ask(places).await, 100);
    assert_eq!(database.ask("SELECT COUNT(*) FROM audit").await, 100);
}

async fn a_replica_that_finds_another_sealing_has_nothing_to_do(database: Database) {
    let store = database.store().await;
    record(&store, 1, "gone").await;
    if !database.url().expose_secret().starts_with("postgres") {
        // A writer of SQLite has the whole file: whoever comes second waits for its turn and finds nothing.
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
    // Nor does whoever writes rows wait for whoever seals them.
    record(&store, 2, "gone").await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.append_to_chain_waiting(9).await }
    });
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the other replica is waited for", || async {
        (database.ask(waits).await == 1).then_some(())
    })
    .await;
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
}

async fn a_row_that_comes_late_with_an_older_id_is_sealed_at_the_end(database: Database) {
    let store = database.store().await;
    record(&store, 10, "first").await;
    store.append_to_chain(9).await.unwrap();
    record(&store, 5, "late").await;
    store.append_to_chain(9).await.unwrap();
    assert_eq!(walked(&store).await.seq, 2);
    assert_eq!(
        database.ask("SELECT seq FROM audit WHERE outcome = 'late'").await,
        2
    );
}

async fn a_store_without_a_head_seals_nothing_and_says_so(database: Database) {
    let store = database.store().await;
    record(&store, 1, "gone").await;
    database.change("DELETE FROM audit_head").await;
    for failed in [
        store.append_to_chain(9).await,
        store.append_to_chain_waiting(9).await,
    ] {
        let Err(Error::Internal(cause)) = failed else {
            panic!("sealed without a head: {failed:?}");
        };
        assert_eq!(cause.to_string(), "the head of the audit chain is missing");
    }
    assert_eq!(store.unchained_count().await.unwrap(), 1);
}

async fn a_store_opened_to_read_can_t_be_written(database: Database) {
    let store = database.store().await;
    record(&store, 1, "gone").await;
    let looking = Store::open_read_only(database.url()).await.unwrap();
    assert_eq!(looking.unchained_count().await.unwrap(), 1);
    assert!(looking.append_to_chain(9).await.is_err());
    assert!(
        looking
            .record_audit(&AuditRow::new(NOW, Actor::desk(), Action::NumberGone, "x"))
            .await
            .is_err()
    );
    assert_eq!(store.unchained_count().await.unwrap(), 1);
    // Also when nobody has it open: a file that a desk left behind.
    store.close().await;
    looking.close().await;
    let looking = Store::open_read_only(database.url()).await.unwrap();
    assert_eq!(looking.unchained_count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("desk.db");
    let url = format!("sqlite://{}", file.display());
    assert!(Store::open_read_only(&url.into()).await.is_err());
    assert!(!file.exists());
}
