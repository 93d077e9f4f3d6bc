//! A database for one test: a SQLite file, or a database on the PostgreSQL server of the tests.
//!
//! `NUMBERDESK_TEST_POSTGRES` names the server. The database is removed after the test, also when the test fails.

mod copy;

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::str::FromStr;
use std::sync::Once;

use futures::FutureExt as _;
use numberdesk::domain::id::OrderId;
use numberdesk::domain::time::Clock;
use numberdesk::store::Store;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row as _};
use tempfile::TempDir;

use crate::support::eventually;

/// A database that only one test uses.
#[derive(Clone)]
pub(crate) struct Database {
    url: SecretString,
}

/// What must be removed after a test.
enum Cleanup {
    Folder(#[expect(dead_code, reason = "dropping it removes the folder")] TempDir),
    Database(String),
}

/// Makes two tests of each named function, one on SQLite and one on PostgreSQL.
///
/// `on_both_stores! { orders_are_listed }` needs `async fn orders_are_listed(database: Database) { … }`.
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                $crate::support::database::with_sqlite(super::$name).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                $crate::support::database::with_postgres(super::$name).await;
            }
        })*
    };
}
pub(crate) use on_both_stores;

/// Makes one test of each named function, on SQLite. For subjects that do not depend on the store.
///
/// `on_sqlite! { a_token_is_required }` needs `async fn a_token_is_required(database: Database) { … }`.
macro_rules! on_sqlite {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                $crate::support::database::with_sqlite(super::$name).await;
            }
        })*
    };
}
pub(crate) use on_sqlite;

/// Makes one test of each named function, on PostgreSQL only. For what SQLite does not have, such as replicas.
macro_rules! on_postgres_only {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                $crate::support::database::with_postgres(super::$name).await;
            }
        })*
    };
}
pub(crate) use on_postgres_only;

/// Runs a test on its own SQLite file.
pub(crate) async fn with_sqlite<F>(test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("desk.db").display());
    run(url, Cleanup::Folder(folder), test).await;
}

/// Runs a test on its own PostgreSQL database, which is a copy of a migrated template.
///
/// If no server responds, the test is skipped, with one message for each process. If `CI` or
/// `NUMBERDESK_TEST_POSTGRES` is set, the test fails instead.
pub(crate) async fn with_postgres<F>(test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    static SKIPPED: Once = Once::new();
    let named = std::env::var_os("NUMBERDESK_TEST_POSTGRES").is_some() || std::env::var_os("CI").is_some();
    if !named && PgConnection::connect(&postgres()).await.is_err() {
        // Not `eprintln!`, because the test runner captures its output.
        SKIPPED.call_once(|| {
            std::io::stderr()
                .write_all(WITHOUT_POSTGRES)
                .expect("stderr is open");
        });
        return;
    }
    let name = format!(
        "t_{}",
        OrderId::generate(Clock::system().now()).as_str().to_lowercase()
    );
    copy_template(&name).await;
    run(database_url(&name), Cleanup::Database(name), test).await;
}

const WITHOUT_POSTGRES: &[u8] =
    b"skipped: all tests on PostgreSQL. To run them, name a server where the tests may create databases: \
    NUMBERDESK_TEST_POSTGRES=postgres://user@host/postgres, or run `make test`, which starts a server.\n";

/// Creates the database as a copy of the template, and first the template if it does not exist yet.
///
/// The template's name contains a hash of the migrations, so a changed schema leads to a new template.
async fn copy_template(name: &str) {
    let template = format!("numberdesk_template_{}", migrations_hash());
    let mut connection = PgConnection::connect(&postgres())
        .await
        .expect("a PostgreSQL server for the tests; NUMBERDESK_TEST_POSTGRES names it");
    let copy = format!("CREATE DATABASE {name} TEMPLATE {template}");
    if execute(&mut connection, &copy).await.is_ok() {
        return;
    }
    // Several test processes may get here: one makes the template, the others wait. The lock ends with the connection.
    execute(&mut connection, "SELECT pg_advisory_lock(5417702661)")
        .await
        .expect("the lock");
    if execute(&mut connection, &copy).await.is_err() {
        let unfinished = format!("{template}_unfinished");
        for statement in [
            format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)"),
            format!("CREATE DATABASE {unfinished} TEMPLATE template0"),
        ] {
            execute(&mut connection, &statement)
                .await
                .expect("a database for the template");
        }
        let store = Store::open(&database_url(&unfinished).into())
            .await
            .expect("the template can be opened");
        store.migrate().await.expect("the migrations apply");
        store.close().await;
        let rename = format!("ALTER DATABASE {unfinished} RENAME TO {template}");
        execute(&mut connection, &rename)
            .await
            .expect("the template gets its name");
        execute(&mut connection, &copy)
            .await
            .expect("a copy of the template");
    }
    connection.close().await.expect("the connection ends");
}

fn migrations_hash() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the migrations can be listed")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(std::fs::read(file).expect("a migration can be read"));
    }
    hex::encode(&hash.finalize()[..8])
}

/// Returns the URL of a database on the server of the tests.
fn database_url(name: &str) -> String {
    let mut url = url::Url::parse(&postgres()).expect("a URL");
    url.set_path(name);
    url.into()
}

async fn run<F>(url: String, cleanup: Cleanup, test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    // Not spawned: to prove that every test's future is `Send` took more than half of the time to compile the tests.
    let test = Box::pin(test(Database { url: url.into() }));
    let outcome = AssertUnwindSafe(test).catch_unwind().await;
    if let Cleanup::Database(name) = &cleanup {
        for database in copy::with_copies(name).await {
            execute_on_server(&format!("DROP DATABASE {database} WITH (FORCE)"))
                .await
                .expect("the test's database can be dropped");
        }
    }
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure);
    }
}

/// Returns the URL of the PostgreSQL server that the tests use.
pub(crate) fn postgres() -> String {
    std::env::var("NUMBERDESK_TEST_POSTGRES")
        .unwrap_or_else(|_| "postgres://root@127.0.0.1:5432/postgres".to_owned())
}

/// Executes a statement on the server of the tests, in its own database.
pub(crate) async fn execute_on_server(statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&postgres()).await?;
    execute(&mut connection, statement).await?;
    connection.close().await
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    statement.execute(connection).await.map(drop)
}

impl Database {
    /// Returns the URL, as the setting `store.url` needs it.
    pub(crate) fn url(&self) -> &SecretString {
        &self.url
    }

    /// Returns the same database of PostgreSQL, at another port of this machine.
    pub(crate) fn at(&self, port: u16) -> Self {
        let mut url = url::Url::parse(self.url.expose_secret()).expect("a URL");
        url.set_host(Some("127.0.0.1")).expect("the host can be set");
        url.set_port(Some(port)).expect("the port can be set");
        Self::by(url.as_str())
    }

    /// Returns the database at a URL.
    pub(crate) fn by(url: &str) -> Self {
        Self { url: url.into() }
    }

    /// Returns the name of a database of PostgreSQL.
    pub(crate) fn name(&self) -> String {
        let url = url::Url::parse(self.url.expose_secret()).expect("a URL");
        url.path().trim_start_matches('/').to_owned()
    }

    /// Returns `SQLite` or `PostgreSQL`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.url.expose_secret().starts_with("sqlite:") {
            "SQLite"
        } else {
            "PostgreSQL"
        }
    }

    /// Opens another pool of connections, as another replica would.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url).await.expect("the database can be opened")
    }

    /// Removes the schema, so that the database is as an administrator creates it.
    pub(crate) async fn without_schema(self) -> Self {
        if self.kind() == "PostgreSQL" {
            self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                .await;
        }
        self
    }

    /// Opens a store and applies the migrations.
    pub(crate) async fn store(&self) -> Store {
        let store = self.open().await;
        store.migrate().await.expect("the migrations apply");
        store
    }

    /// Executes a statement on the service's tables directly, for example to make rows older.
    pub(crate) async fn execute(&self, statement: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        let url = self.url.expose_secret();
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            statement.execute(&mut connection).await.map(drop)
        } else {
            let options = PgConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            statement.execute(&mut connection).await.map(drop)
        }
        .expect("the statement succeeds");
    }

    /// Returns the integer that a query selects, without going through the store.
    pub(crate) async fn query_integer(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(query.to_owned());
        let url = self.url.expose_secret();
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            sqlx::query_scalar(query).fetch_one(&mut connection).await
        } else {
            let options = PgConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            sqlx::query_scalar(query).fetch_one(&mut connection).await
        }
        .expect("the query returns a number")
    }

    /// Returns the first column of the rows that a query selects, without going through the store.
    pub(crate) async fn query_texts(&self, query: &str, args: &[String]) -> Vec<String> {
        let query = AssertSqlSafe(query.to_owned());
        let url = self.url.expose_secret();
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            let bound = args.iter().fold(sqlx::query(query), sqlx::query::Query::bind);
            let rows = bound
                .fetch_all(&mut connection)
                .await
                .expect("the query succeeds");
            rows.iter().map(|row| row.get(0)).collect()
        } else {
            let options = PgConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            let bound = args.iter().fold(sqlx::query(query), sqlx::query::Query::bind);
            let rows = bound
                .fetch_all(&mut connection)
                .await
                .expect("the query succeeds");
            rows.iter().map(|row| row.get(0)).collect()
        }
    }
}

/// Returns everything that the database stores, as one text.
///
/// For SQLite this is the content of the files, for PostgreSQL a dump of all tables.
pub(crate) async fn contents(database: &Database) -> String {
    let url = database.url().expose_secret().to_owned();
    if let Some(file) = url.strip_prefix("sqlite://") {
        let mut bytes = Vec::new();
        for ending in ["", "-wal"] {
            bytes.extend(std::fs::read(format!("{file}{ending}")).unwrap_or_default());
        }
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    let dump = "SELECT query_to_xml('SELECT * FROM ' || quote_ident(tablename), true, false, '') \
                FROM pg_tables WHERE schemaname = 'public'";
    eventually("the database is dumped", || async {
        let output = tokio::process::Command::new("psql")
            .args(["-At", "-c", dump, &url])
            .output()
            .await
            .expect("psql can be run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    })
    .await
}
