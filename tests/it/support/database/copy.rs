//! Copies of a database, as a backup is one, and as a database is one that was restored from a backup.

use super::{Database, execute_on_server, postgres};
use secrecy::ExposeSecret as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

impl Database {
    /// Copies the database, which no replica may use meanwhile. The copy is removed after the test.
    ///
    /// `name` is a word that no other copy of this test has.
    pub(crate) async fn copy(&self, name: &str) -> Self {
        let url = self.url().expose_secret();
        if let Some(file) = url.strip_prefix("sqlite://") {
            let (folder, _) = file.rsplit_once('/').expect("a file in a folder");
            let copy = format!("{folder}/{name}.db");
            // As an online backup: it has what was committed, and nothing else.
            self.execute(&format!("VACUUM INTO '{copy}'")).await;
            return Self::by(&format!("sqlite://{copy}"));
        }
        let source = self.name();
        let original = source.split("__").next().expect("a name");
        let copy = format!("{original}__{name}");
        // PostgreSQL copies no database to which somebody is connected. A crashed replica may still be.
        let end =
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{source}'");
        let statements = [end, format!("CREATE DATABASE {copy} TEMPLATE {source}")];
        for statement in statements {
            execute_on_server(&statement)
                .await
                .expect("the database can be copied");
        }
        let mut url = url::Url::parse(url).expect("a URL");
        url.set_path(&copy);
        Self::by(url.as_str())
    }
}

/// Returns the names of a database of PostgreSQL and of its copies.
pub(super) async fn with_copies(name: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(&postgres())
        .await
        .expect("the server of the tests");
    let query =
        format!("SELECT datname FROM pg_database WHERE datname = '{name}' OR datname LIKE '{name}\\_\\_%'");
    let names = sqlx::query_scalar(AssertSqlSafe(query))
        .fetch_all(&mut connection)
        .await
        .expect("databases can be listed");
    connection.close().await.expect("the connection ends");
    names
}
