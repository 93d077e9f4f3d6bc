//! A database outage: an exclusive lock on SQLite, refused connections on PostgreSQL.

use secrecy::ExposeSecret as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use crate::support::database::{Database, postgres};

/// A running outage. No other connection can write to the database until [`Outage::end`].
pub(crate) enum Outage {
    Sqlite(SqliteConnection),
    Postgres(String),
}

impl Outage {
    pub(crate) async fn begin(database: &Database) -> Self {
        let url = database.url().expose_secret().to_owned();
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&url).await.expect("a connection");
            sqlx::raw_sql("BEGIN EXCLUSIVE")
                .execute(&mut connection)
                .await
                .expect("the lock is free");
            return Self::Sqlite(connection);
        }
        let name = url.rsplit('/').next().expect("a URL has a path").to_owned();
        let refuse_connections = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false");
        let end_connections =
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        execute_on_server(&refuse_connections).await;
        execute_on_server(&end_connections).await;
        Self::Postgres(name)
    }

    pub(crate) async fn end(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.expect("the lock is released"),
            Self::Postgres(name) => {
                execute_on_server(&format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")).await;
            }
        }
    }
}

async fn execute_on_server(statement: &str) {
    let mut connection = PgConnection::connect(&postgres())
        .await
        .expect("a PostgreSQL server");
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .expect("the statement succeeds");
}
