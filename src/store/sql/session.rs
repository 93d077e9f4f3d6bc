//! One PostgreSQL connection on loan: it is closed instead of returned if it can't be used again.
//!
//! A call that is dropped while a statement runs, by its deadline or by a client that went away, leaves the connection
//! in the middle of an answer. To wait for the rest could take forever when the server is gone.

use std::time::Duration;

use futures::stream::BoxStream;
use sqlx::AssertSqlSafe;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgRow, Postgres};
use tokio::runtime::Handle;

use crate::store::sql::server::Server;
use crate::store::sql::statement::{Statement, bound};

/// How long a rollback in the background may take.
const ROLLBACK: Duration = Duration::from_secs(5);

/// A connection with or without a transaction. Dropped in a transaction, it rolls back.
pub(in crate::store) struct Session {
    server: Server,
    /// `None` only while it is being dropped.
    connection: Option<PoolConnection<Postgres>>,
    /// A statement is running, or the connection has failed.
    unusable: bool,
    in_transaction: bool,
}

impl Session {
    /// Takes a connection.
    pub(in crate::store) async fn take(server: &Server) -> Result<Self, sqlx::Error> {
        Ok(Self {
            server: server.clone(),
            connection: Some(server.acquire().await?),
            unusable: false,
            in_transaction: false,
        })
    }

    /// Takes a connection and begins a transaction; `snapshot` for one that sees the same data throughout.
    pub(in crate::store) async fn begin(server: &Server, snapshot: bool) -> Result<Self, sqlx::Error> {
        let mut session = Self::take(server).await?;
        session.in_transaction = true;
        session.script(server.begin(snapshot)).await?;
        Ok(session)
    }

    /// All rows of a statement outside a transaction.
    ///
    /// Behind a pooler, a transaction of its own keeps the parts of the statement on one server.
    pub(in crate::store) async fn read(
        server: &Server,
        statement: Statement,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        if server.transaction_pooling() {
            let mut session = Self::begin(server, false).await?;
            let rows = session.rows(statement).await?;
            session.commit().await?;
            Ok(rows)
        } else {
            Self::take(server).await?.rows(statement).await
        }
    }

    /// All rows that a statement finds or returns.
    pub(in crate::store) async fn rows(&mut self, statement: Statement) -> Result<Vec<PgRow>, sqlx::Error> {
        let query = bound!(statement).persistent(!self.server.transaction_pooling());
        let connection = self.start();
        let done = query.fetch_all(connection).await;
        self.end(done)
    }

    /// Runs a statement; returns the number of affected rows.
    pub(in crate::store) async fn execute(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        let query = bound!(statement).persistent(!self.server.transaction_pooling());
        let connection = self.start();
        let done = query.execute(connection).await;
        self.end(done.map(|done| done.rows_affected()))
    }

    /// Runs several statements without arguments.
    pub(in crate::store) async fn script(&mut self, text: String) -> Result<(), sqlx::Error> {
        let connection = self.start();
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
        self.end(done.map(drop))
    }

    /// Commits the transaction.
    pub(in crate::store) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.finish("COMMIT").await
    }

    /// Undoes every change of the transaction.
    pub(in crate::store) async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.finish("ROLLBACK").await
    }

    async fn finish(&mut self, text: &str) -> Result<(), sqlx::Error> {
        let done = self.script(text.to_owned()).await;
        self.in_transaction = false;
        // A connection on which the end of a transaction failed may still be in it.
        self.unusable |= done.is_err();
        done
    }

    /// The rows of a statement, one after the other. The connection is closed at the end of this session.
    pub(in crate::store) fn stream(
        &mut self,
        statement: Statement,
    ) -> BoxStream<'_, Result<PgRow, sqlx::Error>> {
        let query = bound!(statement).persistent(false);
        query.fetch(self.start())
    }

    fn start(&mut self) -> &mut PgConnection {
        self.unusable = true;
        self.connection.as_mut().expect("a session has a connection")
    }

    /// Notes how a statement ended.
    fn end<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.unusable = match &done {
            Ok(_) => false,
            Err(error) => !self.server.learn(error),
        };
        done
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if self.unusable {
            connection.close_on_drop();
        } else if self.in_transaction
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut *connection);
                if !matches!(tokio::time::timeout(ROLLBACK, rollback).await, Ok(Ok(_))) {
                    connection.close_on_drop();
                }
            });
        }
    }
}
