//! What the database keeps, and for how long.

use std::path::Path;

use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::ALICE;
use crate::support::server::TestServer;

on_both_stores! {
    what_has_a_retention_is_deleted_after_it_and_everything_else_is_kept,
    the_guide_says_of_every_table_how_long_rows_are_kept,
}

/// Tables whose rows are kept forever.
const KEPT: [&str; 5] = ["orders", "numbers", "ledger", "audit", "usage"];

async fn what_has_a_retention_is_deleted_after_it_and_everything_else_is_kept(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    server.rent(&ALICE, "k", "DE").await;
    eventually("the events have their sequence numbers", || async {
        let unsequenced = "SELECT COUNT(*) FROM events WHERE seq IS NULL";
        (database.query_integer(unsequenced).await == 0).then_some(())
    })
    .await;
    server.stop().await;
    let count = async |table: &str, condition: &str| {
        let query = format!("SELECT COUNT(*) FROM {table} WHERE {condition}");
        database.query_integer(&query).await
    };
    // Long ago, and with many more rows than one transaction deletes.
    database
        .execute(
            "UPDATE events SET at = 1; UPDATE orders SET created_at = 1, updated_at = 1; UPDATE audit SET at = 1; \
             UPDATE ledger SET at = 1; UPDATE numbers SET as_of = 1, seen_at = 1; \
             INSERT INTO inbox (event_id, version, received_at) \
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
                SELECT 'ev_' || CAST(i AS TEXT), 0, 1 FROM n; \
             INSERT INTO webhook_deliveries (id, endpoint_id, team, event_id, kind, body, state, attempts, queued_at, \
                due_at) VALUES ('dlv_1', 'we_1', 'sales', 'evt_1', 'k', '{}', 'dead', 1, 1, 1), \
                ('dlv_2', 'we_1', 'sales', 'evt_2', 'k', '{}', 'from-the-future', 1, 1, 1)",
        )
        .await;
    let mut before = Vec::new();
    for table in KEPT {
        before.push(count(table, "1 = 1").await);
    }
    server.start().await;
    for (table, old) in [
        ("events", "at = 1"),
        ("inbox", "received_at = 1"),
        ("webhook_deliveries", "queued_at = 1"),
    ] {
        eventually(&format!("old rows of {table} are deleted"), || async {
            (count(table, old).await == 0).then_some(())
        })
        .await;
    }
    for (table, before) in KEPT.iter().zip(before) {
        assert!(count(table, "1 = 1").await >= before, "{table}");
    }
}

async fn the_guide_says_of_every_table_how_long_rows_are_kept(database: Database) {
    database.store().await;
    let tables = if database.kind() == "SQLite" {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    } else {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
    };
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/capacity.md");
    let guide = std::fs::read_to_string(guide).expect("the guide can be read");
    let section = guide
        .split("### What the database keeps")
        .nth(1)
        .expect("a section");
    let section = section.split("\n### ").next().expect("a section ends");
    for table in database.query_texts(tables, &[]).await {
        assert!(
            section.contains(&format!("`{table}`")),
            "docs/capacity.md does not say how long rows of `{table}` are kept"
        );
    }
}
