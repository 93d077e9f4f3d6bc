//! The bookkeeping of teams: the usage that the API reports, and consistency checks of the ledger.

use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::personas::ALICE;
use crate::support::server::TestServer;

/// Returns the usage of team sales as `/v1/me` reports it.
pub(crate) async fn usage(server: &TestServer) -> Value {
    let me = server.get(&ALICE, "/v1/me").await.expect(200);
    let usage = &me["teams"][0]["usage"];
    json!({ "held": usage["numbers_held"], "reserved": usage["numbers_reserved"], "today": usage["orders_last_day"] })
}

/// Asserts that the usage rows equal the sums of the ledger, and of the numbers and orders.
pub(crate) async fn assert_books_balance(database: &Database) {
    let unequal = database
        .query_integer(
            "SELECT COUNT(*) FROM usage u WHERE \
                numbers_held <> (SELECT CAST(SUM(numbers_held) AS BIGINT) FROM ledger l WHERE l.team = u.team) \
             OR numbers_reserved <> (SELECT CAST(SUM(numbers_reserved) AS BIGINT) FROM ledger l WHERE l.team = u.team) \
             OR monthly_held <> (SELECT CAST(SUM(monthly_held) AS BIGINT) FROM ledger l WHERE l.team = u.team) \
             OR monthly_reserved <> (SELECT CAST(SUM(monthly_reserved) AS BIGINT) FROM ledger l WHERE l.team = u.team)",
        )
        .await;
    assert_eq!(
        unequal, 0,
        "usage rows that are not the sum of their ledger entries"
    );
    let unequal = database
        .query_integer(
            "SELECT COUNT(*) FROM usage u WHERE \
                numbers_held <> (SELECT COUNT(*) FROM numbers n WHERE n.team = u.team AND n.gone_at IS NULL) \
             OR monthly_held <> (SELECT CAST(COALESCE(SUM(monthly), 0) AS BIGINT) FROM numbers n \
                    WHERE n.team = u.team AND n.gone_at IS NULL) \
             OR numbers_reserved <> (SELECT COUNT(*) FROM orders o \
                    WHERE o.team = u.team AND o.state NOT IN ('fulfilled', 'refused', 'cancelled')) \
             OR monthly_reserved <> (SELECT CAST(COALESCE(SUM(monthly), 0) AS BIGINT) FROM orders o \
                    WHERE o.team = u.team AND o.state NOT IN ('fulfilled', 'refused', 'cancelled'))",
        )
        .await;
    assert_eq!(unequal, 0, "usage rows that do not match numbers and orders");
    let orphaned = database
        .query_integer("SELECT COUNT(*) FROM ledger WHERE team NOT IN (SELECT team FROM usage)")
        .await;
    assert_eq!(orphaned, 0, "ledger entries without a usage row");
}
