//! Neighbouring versions on one database: what version 0.1 left is read, its statements work on this version's schema,
//! and what a later version may add disturbs this one.
//!
//! There is no binary of version 0.1 here. Its settings, its policy, its rows and its statements are in `version_0_1/`,
//! as they were in its sources.

use std::fs;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

use crate::support::binary::run;
use crate::support::books::assert_books_balance;
use crate::support::close::RENT;
use crate::support::database::{Database, on_both_stores};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA, Persona};
use crate::support::server::{TestConfig, TestServer, text};
use crate::support::tls::Authority;

on_both_stores! {
    a_database_of_version_0_1_is_served_and_written_by_both_versions_at_once,
    every_statement_of_version_0_1_works_on_the_schema,
    what_a_later_version_adds_to_the_schema_disturbs_nothing,
}

/// The migrations of version 0.1.
const MIGRATIONS: usize = 8;
const ADMINISTRATOR: Persona = OLGA.with("numbers:read numbers:admin audit:read spend:read");

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/operation/version_0_1");
    fs::read_to_string(folder.join(name)).expect("the fixture can be read")
}

/// What version 0.1 writes now. `run` tells the rows of two runs apart.
fn rows(run: &str) -> String {
    let now = numberdesk::domain::time::Clock::system().now().as_micros();
    let rows = fixture("rows.sql").replace("NOW", &now.to_string());
    rows.replace("5QAN", &format!("5QA{run}"))
        .replace("oldN", &format!("old{run}"))
        .replace("old-N", &format!("old-{run}"))
        .replace("ev_N", &format!("ev_{run}"))
}

/// Applies the migrations of version 0.1, as it did.
async fn migrate_to_version_0_1(database: &Database) {
    // It makes the file of SQLite.
    database.open().await.close().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let files = fs::read_dir(folder).expect("the migrations can be read");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let mut script =
        "CREATE TABLE migrations (name TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL);".to_owned();
    for file in &files[..MIGRATIONS] {
        let text = fs::read_to_string(file).expect("a migration can be read");
        let name = file.file_stem().expect("a name").to_string_lossy();
        let checksum = hex::encode(Sha256::digest(&text));
        script.extend([
            text,
            format!(";INSERT INTO migrations (name, checksum) VALUES ('{name}', '{checksum}');"),
        ]);
    }
    if database.kind() == "PostgreSQL" {
        script = script.replace(" TEXT", " TEXT COLLATE \"C\"");
    }
    database.execute(&script).await;
}

async fn a_database_of_version_0_1_is_served_and_written_by_both_versions_at_once(database: Database) {
    let database = database.without_schema().await;
    migrate_to_version_0_1(&database).await;
    database.execute(&rows("0")).await;
    let server = TestServer::with(database.clone(), TestConfig::default()).await;
    for (nth, run) in ["0", "1"].into_iter().enumerate() {
        // The second time, a replica of version 0.1 writes beside the running server.
        if nth > 0 {
            database.execute(&rows(run)).await;
        }
        eventually("the order that version 0.1 has accepted is sent", || async {
            let key = format!("/v1/orders?idempotency_key=old-{run}-2");
            let found = server.get(&ALICE, &key).await.json();
            (found["data"][0]["state"] == "fulfilled").then_some(())
        })
        .await;
    }
    assert_eq!(server.close.requests("POST", RENT).await.len(), 2);
    let orders = server.list(&ALICE, "/v1/orders").await;
    assert_eq!(orders.len(), 4);
    let events = server.list(&ALICE, "/v1/events").await;
    for run in ["0", "1"] {
        let order = format!("ord_01KB9V8ZJ3E0T9C4M6N2P5QA{run}1");
        let shown = server
            .get(&ALICE, &format!("/v1/orders/{order}"))
            .await
            .expect(200);
        assert_eq!(text(&shown["state"]), "fulfilled", "{shown}");
        let event = format!("evt_01KB9V8ZJ3E0T9C4M6N2P5QA{run}1");
        assert!(events.iter().any(|one| one["id"] == event.as_str()), "{events:?}");
    }
    let month = numberdesk::domain::time::Clock::system().now().to_string()[..7].to_owned();
    let spend = server
        .get(&ADMINISTRATOR, &format!("/v1/spend?month={month}"))
        .await
        .expect(200);
    assert_eq!(spend["total"]["numbers"], 4, "{spend}");
    eventually("the rows of both versions are sealed", || async {
        let unsealed = "SELECT COUNT(*) FROM audit WHERE seq IS NULL";
        (database.query_integer(unsealed).await == 0).then_some(())
    })
    .await;
    let verify = ["audit", "verify", "--config", "numberdesk.toml"];
    let verified = run(server.folder.path(), &verify).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_books_balance(&database).await;
}

async fn every_statement_of_version_0_1_works_on_the_schema(database: Database) {
    database.store().await.close().await;
    let text = fixture("statements.sql");
    let statements: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .map(|line| line.trim_end_matches(';'))
        .collect();
    assert!(statements.len() > 100, "{}", statements.len());
    let url = database.url().expose_secret();
    let mut faults = Vec::new();
    if database.kind() == "PostgreSQL" {
        let mut connection = PgConnection::connect(url).await.expect("a connection");
        for statement in statements {
            if let Some(error) = fault_on_postgres(&mut connection, statement).await {
                faults.push(format!("{error}: {statement}"));
            }
        }
    } else {
        let options: sqlx::sqlite::SqliteConnectOptions = url.parse().expect("a URL");
        let mut connection: SqliteConnection = options.connect().await.expect("a connection");
        for statement in statements {
            let explain = AssertSqlSafe(format!("EXPLAIN {statement}"));
            if let Err(error) = sqlx::raw_sql(explain).fetch_all(&mut connection).await {
                faults.push(format!("{error}: {statement}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Why PostgreSQL can't prepare the statement, if it can't.
///
/// Version 0.1 bound texts and 64-bit integers. Where the server can't tell which, all combinations are tried.
async fn fault_on_postgres(connection: &mut PgConnection, statement: &str) -> Option<sqlx::Error> {
    let mut count = 0;
    while statement.contains(&format!("${}", count + 1)) {
        count += 1;
    }
    let combinations = if count <= 6 { 1_u32 << count } else { 0 };
    let typed = (0..combinations).map(|bits| {
        let kinds = (0..count).map(|nth| if bits >> nth & 1 == 0 { "bigint" } else { "text" });
        format!("({})", kinds.collect::<Vec<_>>().join(", "))
    });
    let mut fault = None;
    for types in std::iter::once(String::new()).chain(typed.filter(|types| types != "()")) {
        let prepare = AssertSqlSafe(format!("PREPARE one{types} AS {statement}; DEALLOCATE one"));
        match sqlx::raw_sql(prepare).execute(&mut *connection).await {
            Ok(_) => return None,
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault
}

/// The tables of the service.
async fn tables(database: &Database) -> Vec<String> {
    let query = if database.kind() == "PostgreSQL" {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    };
    database.query_texts(query, &[]).await
}

async fn what_a_later_version_adds_to_the_schema_disturbs_nothing(database: Database) {
    database.store().await.close().await;
    for table in tables(&database).await {
        let add = format!(
            "ALTER TABLE {table} ADD COLUMN from_the_future TEXT; \
             ALTER TABLE {table} ADD COLUMN counted_in_the_future BIGINT NOT NULL DEFAULT 0; \
             CREATE INDEX {table}_of_the_future ON {table} (from_the_future)"
        );
        database.execute(&add).await;
    }
    let table = "CREATE TABLE future (id TEXT NOT NULL PRIMARY KEY); \
                 INSERT INTO migrations (name, checksum) VALUES ('9999_future', 'x')";
    database.execute(table).await;
    let server = TestServer::with(database.clone(), TestConfig::default()).await;
    let number = server.rent(&ALICE, "k", "DE").await;
    let patched = server.patch(&ALICE, &number, &json!({ "label": "kept" })).await;
    assert_eq!(patched.status, 200, "{patched}");
    server.release(&ALICE, &number).await;
    for page in ["/v1/orders", "/v1/audit", "/v1/events", "/v1/phone-numbers"] {
        assert_eq!(server.get(&ADMINISTRATOR, page).await.status, 200, "{page}");
    }
    let migrated = run(server.folder.path(), &["migrate", "--config", "numberdesk.toml"]).await;
    assert_eq!(migrated.code, 0, "{migrated:?}");
    assert_books_balance(&database).await;
}

#[tokio::test]
async fn the_settings_and_the_policy_of_version_0_1_are_read() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let authority = Authority::new();
    let pair = authority.issue();
    for (name, content) in [
        ("numberdesk.toml", fixture("numberdesk.toml")),
        ("policy.toml", fixture("policy.toml")),
        ("tls.crt", pair.certificate.clone()),
        ("tls.key", pair.key.clone()),
        ("ca.crt", pair.authority.clone()),
        ("database-url", "sqlite://numberdesk.db".to_owned()),
        ("close-api-key", "api_1234567890".to_owned()),
        ("close-webhook-key", "00".repeat(32)),
        ("token", "token".to_owned()),
        ("webhook-secret", "s".repeat(64)),
    ] {
        fs::write(folder.path().join(name), content).expect("a file can be written");
    }
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
}
