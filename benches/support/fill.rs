//! Fills a database with the history of years, by few statements that both databases understand.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use super::now;

const YEARS: i64 = 2;
/// How long events are kept by default.
const KEPT: i64 = 30 * 24 * 3_600 * 1_000_000;

/// A connection of the bench, beside those of the service.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(crate) async fn open(store: &str) -> Self {
        if store.starts_with("sqlite:") {
            let connection = SqliteConnection::connect(store).await;
            Self::Sqlite(connection.expect("the file can be opened"))
        } else {
            let connection = PgConnection::connect(store).await;
            Self::Postgres(connection.expect("the server can be reached"))
        }
    }

    pub(crate) async fn execute(&mut self, statement: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        match self {
            Self::Sqlite(connection) => statement.execute(connection).await.map(drop),
            Self::Postgres(connection) => statement.execute(connection).await.map(drop),
        }
        .expect("the statement succeeds");
    }

    pub(crate) async fn integer(&mut self, query: &str) -> i64 {
        let query = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        match self {
            Self::Sqlite(connection) => query.fetch_one(connection).await.and_then(|row| row.try_get(0)),
            Self::Postgres(connection) => query.fetch_one(connection).await.and_then(|row| row.try_get(0)),
        }
        .expect("the query has one integer")
    }

    /// The definitions of the indexes of the tables that are filled, by name, without those of keys.
    async fn indexes(&mut self) -> Vec<(String, String)> {
        let query = match self {
            Self::Sqlite(_) => {
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN \
                 ('audit', 'ledger', 'orders', 'events', 'numbers')"
            }
            Self::Postgres(_) => {
                "SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename IN \
                 ('audit', 'ledger', 'orders', 'events', 'numbers') \
                 AND indexname NOT LIKE '%\\_pkey' AND indexname NOT LIKE '%\\_key'"
            }
        };
        let rows: Result<Vec<_>, sqlx::Error> = match self {
            Self::Sqlite(connection) => {
                let rows = sqlx::raw_sql(query).fetch_all(connection).await.expect("indexes");
                rows.iter()
                    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                    .collect()
            }
            Self::Postgres(connection) => {
                let rows = sqlx::raw_sql(query).fetch_all(connection).await.expect("indexes");
                rows.iter()
                    .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                    .collect()
            }
        };
        rows.expect("an index has a name and a text")
    }
}

/// The first part of an id, from the time in the column `at`, and the last part, from the column `i`.
fn id(prefix: &str) -> String {
    let digits: Vec<String> = (0..10)
        .rev()
        .map(|digit| {
            format!(
                "substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', CAST((((at / 1000) >> {}) & 31) AS INTEGER) + 1, 1)",
                digit * 5
            )
        })
        .collect();
    format!(
        "'{prefix}' || {} || substr(CAST(10000000000000000 + i AS TEXT), 2)",
        digits.join(" || ")
    )
}

/// `WITH`: the numbers `i` from 1 to `rows`, with times `at` that are spread evenly over `span` before `end`.
fn moments(rows: i64, end: i64, span: i64) -> String {
    format!(
        "WITH RECURSIVE series(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM series WHERE i < {rows}), \
         moments AS (SELECT i, {} + i * {} AS at FROM series)",
        end - span,
        span / rows
    )
}

/// Writes `rows` rows into the audit trail and the ledger, and a third of that into orders, numbers and events.
///
/// Indexes are made afterwards, which is quicker. `unsealed` rows of the trail are not in the chain yet, and as many
/// events are older than what is kept.
pub(crate) async fn fill(store: &str, rows: i64, unsealed: i64) -> Duration {
    let began = Instant::now();
    let (end, span) = (now() * 1_000_000, YEARS * 365 * 24 * 3_600 * 1_000_000);
    let mut connection = Connection::open(store).await;
    if matches!(connection, Connection::Sqlite(_)) {
        connection
            .execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA temp_store = MEMORY")
            .await;
    }
    let indexes = connection.indexes().await;
    for (name, _) in &indexes {
        connection.execute(&format!("DROP INDEX {name}")).await;
    }
    let (sealed, third) = (rows - unsealed, rows / 3);
    let entries = format!(
        "{}, entries AS (SELECT i, at + (i % 3) * {} AS at FROM moments)",
        moments(rows, end - span / 12, span - span / 12),
        span / 30
    );
    let statements = [
        format!(
            "INSERT INTO audit (id, at, issuer, subject, team, action, allowed, outcome, detail, seq, hash) {} \
             SELECT {}, at, 'i', 'u' || (i % 100), 'team' || (i % 20), \
                CASE WHEN i % 500000 = 0 THEN 'policy.change' ELSE 'order.create' END, \
                CASE WHEN i % 1000000 = 7 THEN 0 ELSE 1 END, 'x', '{{}}', CASE WHEN i <= {sealed} THEN i END, \
                CASE WHEN i <= {sealed} THEN 'hash' || i END FROM moments",
            moments(rows, end, span),
            id("aud_")
        ),
        format!("UPDATE audit_head SET seq = {sealed}, hash = 'hash{sealed}'"),
        format!(
            "INSERT INTO ledger (id, at, team, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held, \
                monthly_reserved) {entries} \
             SELECT {}, at, 'team' || ((i / 3) % 20), 'phon_' || (i / 3), 'hold', \
                CASE i % 3 WHEN 0 THEN 1 WHEN 1 THEN 0 ELSE -1 END, 0, \
                CASE i % 3 WHEN 0 THEN 500 WHEN 1 THEN -385 ELSE -115 END, 0 FROM entries",
            id("led_")
        ),
        format!(
            "INSERT INTO orders (id, team, issuer, created_by, idempotency_key, fingerprint, country, request, terms, \
                monthly, state, attempt, phone_number_id, evidence, created_at, updated_at, finished_at) {} \
             SELECT {}, 'team' || (i % 20), 'i', 'u' || (i % 100), 'k' || i, 'f', 'DE', \
                '{{\"country\":\"DE\",\"sharing\":\"personal\"}}', \
                '{{\"carrier_type\":\"local\",\"assign_to\":null,\"monthly\":\"4.00\"}}', 400, \
                CASE WHEN i % 1000 = 0 THEN 'refused' ELSE 'fulfilled' END, 1, \
                CASE WHEN i % 1000 = 0 THEN NULL ELSE 'phon_' || i END, \
                CASE WHEN i % 1000 = 0 THEN 'close-refusal' ELSE 'close-201' END, at, at, at FROM moments",
            moments(third, end, span),
            id("ord_")
        ),
        // Released numbers: those that are held are in the memory of the service.
        format!(
            "INSERT INTO numbers (id, number, country, kind, label_folded, facts, team, monthly, as_of, gone_at) {} \
             SELECT 'phon_' || i, '+49' || i, 'DE', 'internal', '', '{{}}', 'team' || (i % 20), 115, at, at FROM moments",
            moments(third, end, span)
        ),
        format!(
            "INSERT INTO events (id, at, nth, team, kind, data, seq) {} \
             SELECT {}, at, 0, 'team' || (i % 20), CASE WHEN i % 100000 = 0 THEN 'order.needs_review' \
                WHEN i % 2 = 0 THEN 'order.fulfilled' ELSE 'order.renting' END, '{{}}', i FROM moments",
            moments(unsealed, end - KEPT - 3_600_000_000, KEPT),
            id("evt_")
        ),
        format!(
            "INSERT INTO events (id, at, nth, team, kind, data, seq) {} \
             SELECT {}, at, 0, 'team' || (i % 20), CASE WHEN i % 100000 = 0 THEN 'order.needs_review' \
                WHEN i % 2 = 0 THEN 'order.fulfilled' ELSE 'order.renting' END, '{{}}', i + {unsealed} FROM moments",
            moments(third, end, KEPT - 3_600_000_000),
            id("evt_")
        ),
        format!("UPDATE feed_head SET seq = {}", third + unsealed),
    ];
    for statement in statements {
        connection.execute(&statement).await;
    }
    for (_, text) in &indexes {
        connection.execute(text).await;
    }
    if matches!(connection, Connection::Postgres(_)) {
        connection.execute("VACUUM ANALYZE").await;
    }
    began.elapsed()
}
