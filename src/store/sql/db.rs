//! One interface to SQLite and PostgreSQL: transactions and statements that both databases understand.
//!
//! Every statement uses `$1` placeholders and binds only texts and 64-bit integers. This module does not know what is
//! stored.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::sqlite::Sqlite;
use sqlx::{AssertSqlSafe, Transaction};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Error;
use crate::store::sql::commit_hooks::{CommitEffects, CommitHooks};
use crate::store::sql::error::store_error;
use crate::store::sql::pool::Pools;
use crate::store::sql::row::Row;
use crate::store::sql::session::Session;
use crate::store::sql::statement::bound;
pub(in crate::store) use crate::store::sql::statement::{Statement, sql};

/// The deadline of every database call.
///
/// It is longer than all time-outs of a session, so that only a dead server reaches it.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long a long read waits for others to end.
const LONG_READ_WAIT: Duration = Duration::from_secs(5);

/// Runs a database call with the deadline.
async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done.map_err(store_error),
        Err(_) => Err(store_error(sqlx::Error::PoolTimedOut)),
    }
}

/// The database and the commit hooks of this process.
#[derive(Clone)]
pub(in crate::store) struct Db {
    pub(in crate::store) pools: Pools,
    /// One permit for each long read at once.
    long_reads: Arc<Semaphore>,
    pub(in crate::store) hooks: CommitHooks,
}

/// A transaction that may write. Dropped without [`Tx::commit`], it is rolled back.
pub(in crate::store) struct Tx {
    on: On,
    hooks: CommitHooks,
    /// The effects that the commit hooks report.
    effects: CommitEffects,
}

enum On {
    /// On SQLite; it holds the write lock from the start.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL, READ COMMITTED.
    Postgres(Session),
}

impl Db {
    /// Begins a transaction that may write.
    pub(in crate::store) async fn begin(&self) -> Result<Tx, Error> {
        let on = bounded(async {
            match &self.pools {
                Pools::Sqlite { write, .. } => write.begin_with("BEGIN IMMEDIATE").await.map(On::Sqlite),
                Pools::Postgres(server) => Session::begin(server, false).await.map(On::Postgres),
            }
        })
        .await?;
        Ok(self.tx(on))
    }

    /// Begins a transaction that only reads, and sees the same data throughout.
    pub(in crate::store) async fn snapshot(&self) -> Result<Tx, Error> {
        let on = bounded(async {
            match &self.pools {
                Pools::Sqlite { read, .. } => read.begin().await.map(On::Sqlite),
                Pools::Postgres(server) => Session::begin(server, true).await.map(On::Postgres),
            }
        })
        .await?;
        Ok(self.tx(on))
    }

    fn tx(&self, on: On) -> Tx {
        Tx {
            on,
            hooks: self.hooks.clone(),
            effects: CommitEffects::default(),
        }
    }

    /// All rows of a statement that only reads.
    pub(in crate::store) async fn rows(&self, statement: Statement) -> Result<Vec<Row>, Error> {
        bounded(async {
            match &self.pools {
                Pools::Sqlite { read, .. } => bound!(statement)
                    .fetch_all(read)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
                Pools::Postgres(server) => Session::read(server, statement)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
            }
        })
        .await
    }

    /// All rows of a statement that only reads and may read much, such as a page of the audit trail.
    ///
    /// Few of them run at once, so that short reads find a free connection. Fails with [`Error::Busy`] after a wait.
    pub(in crate::store) async fn long_rows(&self, statement: Statement) -> Result<Vec<Row>, Error> {
        let _turn = self.long_turn().await?;
        self.rows(statement).await
    }

    /// Waits until another long read may run, which lasts until the result is dropped.
    pub(in crate::store) async fn long_turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        match tokio::time::timeout(LONG_READ_WAIT, self.long_reads.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Error::Busy {
                detail: "too many long reads, such as audit pages, exports and reports, are in progress",
            }),
        }
    }

    /// The row of a statement that only reads and finds at most one.
    pub(in crate::store) async fn row(&self, statement: Statement) -> Result<Option<Row>, Error> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Closes every connection after its current work.
    pub(in crate::store) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(server) => server.close().await,
        }
    }
}

impl From<Pools> for Db {
    fn from(pools: Pools) -> Self {
        Self {
            long_reads: Arc::new(Semaphore::new(pools.long_reads())),
            pools,
            hooks: CommitHooks::default(),
        }
    }
}

impl Tx {
    /// Runs a statement; returns the number of affected rows.
    pub(in crate::store) async fn execute(&mut self, statement: Statement) -> Result<u64, Error> {
        bounded(async {
            match &mut self.on {
                On::Sqlite(tx) => bound!(statement)
                    .execute(&mut **tx)
                    .await
                    .map(|done| done.rows_affected()),
                On::Postgres(session) => session.execute(statement).await,
            }
        })
        .await
    }

    /// All rows that a statement finds or returns.
    pub(in crate::store) async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>, Error> {
        bounded(async {
            match &mut self.on {
                On::Sqlite(tx) => bound!(statement)
                    .fetch_all(&mut **tx)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
                On::Postgres(session) => session
                    .rows(statement)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
            }
        })
        .await
    }

    /// The row of a statement that finds or returns at most one.
    pub(in crate::store) async fn row(&mut self, statement: Statement) -> Result<Option<Row>, Error> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// The rows of a statement that only reads, one after the other, without a deadline.
    pub(in crate::store) fn stream(&mut self, statement: Statement) -> BoxStream<'_, Result<Row, Error>> {
        match &mut self.on {
            On::Sqlite(tx) => bound!(statement)
                .fetch(&mut **tx)
                .map_ok(Row::Sqlite)
                .map_err(store_error)
                .boxed(),
            On::Postgres(session) => session
                .stream(statement)
                .map_ok(Row::Postgres)
                .map_err(store_error)
                .boxed(),
        }
    }

    /// The row of a SELECT, locked until this transaction ends.
    ///
    /// On SQLite a writer holds the lock on the whole file anyway.
    pub(in crate::store) async fn lock(&mut self, mut statement: Statement) -> Result<Option<Row>, Error> {
        if self.on_postgres() {
            statement.text.push_str(" FOR UPDATE");
        }
        self.row(statement).await
    }

    /// The row of a SELECT, locked until this transaction ends.
    ///
    /// Returns `None` at once if another transaction has locked the row, which cannot happen on SQLite.
    pub(in crate::store) async fn lock_if_free(
        &mut self,
        mut statement: Statement,
    ) -> Result<Option<Row>, Error> {
        if self.on_postgres() {
            statement.text.push_str(" FOR UPDATE SKIP LOCKED");
        }
        self.row(statement).await
    }

    /// Runs several statements without arguments.
    pub(in crate::store) async fn script(&mut self, text: String) -> Result<(), Error> {
        match &mut self.on {
            On::Sqlite(tx) => sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut **tx)
                .await
                .map(drop),
            On::Postgres(session) => session.script(text).await,
        }
        .map_err(store_error)
    }

    /// Commits, and runs the commit hooks, even if it is unknown whether the commit succeeded.
    pub(in crate::store) async fn commit(self) -> Result<(), Error> {
        let done = bounded(async {
            match self.on {
                On::Sqlite(tx) => tx.commit().await,
                On::Postgres(session) => session.commit().await,
            }
        })
        .await;
        self.hooks.run(self.effects);
        done
    }

    /// Undoes every change of the transaction.
    pub(in crate::store) async fn rollback(self) -> Result<(), Error> {
        bounded(async {
            match self.on {
                On::Sqlite(tx) => tx.rollback().await,
                On::Postgres(session) => session.rollback().await,
            }
        })
        .await
    }

    /// The effects of this transaction, which the commit hooks report after the commit.
    pub(in crate::store) fn effects(&mut self) -> &mut CommitEffects {
        &mut self.effects
    }

    /// Whether the database is PostgreSQL.
    pub(in crate::store) fn on_postgres(&self) -> bool {
        matches!(self.on, On::Postgres(_))
    }
}
