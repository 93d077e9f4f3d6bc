//! A database for one test: a SQLite file in a folder of its own, or a database of its own on the PostgreSQL server
//! that `NUMBERDESK_TEST_POSTGRES` names. It is gone after the test, failed or not.

use std::str::FromStr;

use numberdesk::domain::id::OrderId;
use numberdesk::domain::time::Clock;
use numberdesk::store::Store;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row as _};
use tempfile::TempDir;

/// A database that nobody else uses.
#[derive(Clone)]
pub(crate) struct Database {
    url: SecretString,
}

enum Remains {
    Folder(#[expect(dead_code, reason = "dropping it removes the folder")] TempDir),
    Named(String),
}

/// Makes two tests of each function named, one on SQLite and one on PostgreSQL:
/// `on_both_stores! { it_holds }` for `async fn it_holds(database: Database) { … }`.
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_sqlite() {
                $crate::support::database::on_sqlite(super::$name).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_postgres() {
                $crate::support::database::on_postgres(super::$name).await;
            }
        })*
    };
}
pub(crate) use on_both_stores;

/// Runs a test on a SQLite file of its own.
pub(crate) async fn on_sqlite<F>(test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("desk.db").display());
    run(url, Remains::Folder(folder), test).await;
}

/// Runs a test on a PostgreSQL database of its own.
pub(crate) async fn on_postgres<F>(test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let name = format!(
        "t_{}",
        OrderId::generate(Clock::system().now()).as_str().to_lowercase()
    );
    server(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await
        .expect("a PostgreSQL server for the tests; NUMBERDESK_TEST_POSTGRES names it");
    let mut url = url::Url::parse(&postgres()).expect("a URL");
    url.set_path(&name);
    run(url.into(), Remains::Named(name), test).await;
}

async fn run<F>(url: String, remains: Remains, test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let outcome = tokio::spawn(test(Database { url: url.into() })).await;
    if let Remains::Named(name) = &remains {
        server(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await
            .expect("the test's database can be dropped");
    }
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// The server that the tests use.
pub(crate) fn postgres() -> String {
    std::env::var("NUMBERDESK_TEST_POSTGRES")
        .unwrap_or_else(|_| "postgres://root@127.0.0.1:5432/postgres".to_owned())
}

async fn server(statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(&postgres()).await?;
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

impl Database {
    /// Its URL, as `store.url` has it.
    pub(crate) fn url(&self) -> &SecretString {
        &self.url
    }

    /// `SQLite` or `PostgreSQL`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.url.expose_secret().starts_with("sqlite:") {
            "SQLite"
        } else {
            "PostgreSQL"
        }
    }

    /// Another set of connections to it, as another replica would have.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url).await.expect("the database can be opened")
    }

    /// A store with its schema.
    pub(crate) async fn store(&self) -> Store {
        let store = self.open().await;
        store.migrate().await.expect("the migrations apply");
        store
    }

    /// Does this to the desk's own tables, as time would have done.
    pub(crate) async fn change(&self, statement: &str) {
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
        .expect("it does that");
    }

    /// The whole number that a question in SQL answers, past the store.
    pub(crate) async fn ask(&self, question: &str) -> i64 {
        let question = AssertSqlSafe(question.to_owned());
        let url = self.url.expose_secret();
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            sqlx::query_scalar(question).fetch_one(&mut connection).await
        } else {
            let options = PgConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            sqlx::query_scalar(question).fetch_one(&mut connection).await
        }
        .expect("an answer")
    }

    /// The texts in the first column of what a question in SQL finds, past the store.
    pub(crate) async fn texts(&self, question: &str, args: &[String]) -> Vec<String> {
        let question = AssertSqlSafe(question.to_owned());
        let url = self.url.expose_secret();
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            let bound = args.iter().fold(sqlx::query(question), sqlx::query::Query::bind);
            let rows = bound.fetch_all(&mut connection).await.expect("an answer");
            rows.iter().map(|row| row.get(0)).collect()
        } else {
            let options = PgConnectOptions::from_str(url).expect("a URL");
            let mut connection = options.connect().await.expect("a connection");
            let bound = args.iter().fold(sqlx::query(question), sqlx::query::Query::bind);
            let rows = bound.fetch_all(&mut connection).await.expect("an answer");
            rows.iter().map(|row| row.get(0)).collect()
        }
    }
}
