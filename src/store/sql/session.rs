//! One PostgreSQL connection on loan: it is closed instead of returned if it can't be used again.
//!
//! A call that is dropped while a statement runs, by its deadline or by a client that went away, leaves the connection
//! in the middle of an answer. To wait for the rest could take forever when the server is gone.

use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _};
use tokio::runtime::Handle;

use crate::failpoint;
use crate::store::sql::connections::{Loan, Purpose};
use crate::store::sql::server::Server;
use crate::store::sql::statement::{Statement, bound, sql};

/// How long a rollback in the background may take.
const ROLLBACK: Duration = Duration::from_secs(5);
/// How long a statement may take to respond: longer than the limits of a session, so that only a dead server reaches it.
const RESPONSE: Duration = Duration::from_secs(13);
/// How long the next row of a long result may take.
const NEXT_ROW: Duration = Duration::from_mins(1);
/// How often the server is asked whether it still works at a script.
const WATCH: Duration = Duration::from_secs(5);
/// How many such questions in a row without the right answer end the wait for a script.
const MISSES: u32 = 3;

/// A connection with or without a transaction. Dropped in a transaction, it rolls back.
pub(in crate::store) struct Session {
    server: Server,
    /// `None` only while it is being dropped.
    connection: Option<Loan>,
    /// A statement is running, or the connection has failed.
    unusable: bool,
    in_transaction: bool,
}

impl Session {
    /// Takes a connection.
    async fn take(server: &Server, purpose: Purpose) -> Result<Self, sqlx::Error> {
        Ok(Self {
            server: server.clone(),
            connection: Some(server.acquire(purpose).await?),
            unusable: false,
            in_transaction: false,
        })
    }

    /// Takes a connection and begins a transaction; `snapshot` for one that sees the same data throughout.
    pub(in crate::store) async fn begin(server: &Server, snapshot: bool) -> Result<Self, sqlx::Error> {
        let purpose = if snapshot { Purpose::Read } else { Purpose::Write };
        Self::take(server, purpose).await?.begun(snapshot).await
    }

    async fn begun(mut self, snapshot: bool) -> Result<Self, sqlx::Error> {
        self.in_transaction = true;
        self.control(self.server.begin(snapshot)).await?;
        Ok(self)
    }

    /// All rows of a statement outside a transaction.
    ///
    /// Behind a pooler, a transaction of its own keeps the parts of the statement on one server.
    pub(in crate::store) async fn read(
        server: &Server,
        statement: Statement,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut session = Self::take(server, Purpose::Read).await?;
        if server.transaction_pooling() {
            session = session.begun(false).await?;
            let rows = session.rows(statement).await?;
            session.commit().await?;
            Ok(rows)
        } else {
            session.rows(statement).await
        }
    }

    /// All rows that a statement finds or returns.
    pub(in crate::store) async fn rows(&mut self, statement: Statement) -> Result<Vec<PgRow>, sqlx::Error> {
        failpoint::executed(&statement.text, || statement.example());
        let query = bound!(statement).persistent(!self.server.transaction_pooling());
        let connection = self.start();
        let done = in_time(query.fetch_all(connection)).await;
        self.end(done)
    }

    /// Runs a statement; returns the number of affected rows.
    pub(in crate::store) async fn execute(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        failpoint::executed(&statement.text, || statement.example());
        let query = bound!(statement).persistent(!self.server.transaction_pooling());
        let connection = self.start();
        let done = in_time(query.execute(connection)).await;
        self.end(done.map(|done| done.rows_affected()))
    }

    /// Runs several statements without arguments, which may take as long as the server works at them.
    pub(in crate::store) async fn script(&mut self, text: String) -> Result<(), sqlx::Error> {
        let process = in_time(sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(self.start())).await;
        let process: i32 = self.end(process.and_then(|row| row.try_get(0)))?;
        let server = self.server.clone();
        let connection = self.start();
        let done = tokio::select! {
            done = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection) => done,
            () = no_longer_works(&server, process) => Err(timed_out()),
        };
        self.end(done.map(drop))
    }

    /// Begins or ends a transaction.
    async fn control(&mut self, text: String) -> Result<(), sqlx::Error> {
        let connection = self.start();
        let done = in_time(sqlx::raw_sql(AssertSqlSafe(text)).execute(connection)).await;
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
        let done = self.control(text.to_owned()).await;
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
        failpoint::executed(&statement.text, || statement.example());
        let query = bound!(statement).persistent(false);
        let rows = query.fetch(self.start());
        stream::try_unfold(rows, |mut rows| async move {
            match tokio::time::timeout(NEXT_ROW, rows.try_next()).await {
                Ok(next) => Ok(next?.map(|row| (row, rows))),
                Err(_) => Err(timed_out()),
            }
        })
        .boxed()
    }

    fn start(&mut self) -> &mut PgConnection {
        self.unusable = true;
        self.connection
            .as_mut()
            .expect("a session has a connection")
            .connection()
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
        let Some(mut loan) = self.connection.take() else {
            return;
        };
        if self.unusable {
            loan.discard();
        } else if self.in_transaction {
            let Ok(runtime) = Handle::try_current() else {
                return loan.discard();
            };
            runtime.spawn(async move {
                let rollback = sqlx::raw_sql("ROLLBACK").execute(loan.connection());
                if !matches!(tokio::time::timeout(ROLLBACK, rollback).await, Ok(Ok(_))) {
                    loan.discard();
                }
            });
        }
    }
}

/// Waits for the response to a statement.
async fn in_time<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(RESPONSE, work)
        .await
        .unwrap_or_else(|_| Err(timed_out()))
}

/// The error of a server that does not respond.
fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// Completes when this server process does not work at a statement any more, or is not to be found.
///
/// The answer to a statement that has ended is on its way only for a moment, so several questions decide.
async fn no_longer_works(server: &Server, process: i32) {
    let mut misses = 0;
    while misses < MISSES {
        tokio::time::sleep(WATCH).await;
        let question = sql!(
            "SELECT pid FROM pg_stat_activity WHERE pid = $1 AND state = 'active'",
            i64::from(process)
        );
        let works = matches!(Box::pin(Session::read(server, question)).await, Ok(rows) if !rows.is_empty());
        misses = if works { 0 } else { misses + 1 };
    }
}
