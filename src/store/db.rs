//! Two databases behind one face: pools, transactions, and statements that both understand. Every text uses `$1`
//! placeholders and binds only texts and 64-bit integers. It does not know what is stored.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, Postgres};
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Transaction};

use crate::error::Error;
use crate::store::arg::Arg;
use crate::store::fault::{CannotOpen, fault};
use crate::store::row::Row;

/// How long a task waits for a connection before the database counts as unavailable.
pub(super) const ACQUIRE: Duration = Duration::from_secs(5);
/// Writers of a SQLite file stand in line for one connection, each for one flush of the disk.
const WRITER_TURN: Duration = Duration::from_secs(15);
const CONNECTIONS: u32 = 10;
/// How often, and after what pause, a file that somebody else is just opening is tried again.
const LOCKED_TURNS: u32 = 200;
const LOCKED_PAUSE: Duration = Duration::from_millis(50);
/// What each PostgreSQL session runs under, whatever the server's defaults: no statement hangs for ever, the
/// guards are written for READ COMMITTED, and a commit is on disk before a paid call follows it.
pub(super) const SESSION: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '15s'; SET default_transaction_isolation = 'read committed'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// Longer than all of these: only a server that has fallen silent takes it.
const SILENT: Duration = Duration::from_secs(20);

/// Waits for the database, but not for ever.
async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(SILENT, work).await {
        Ok(done) => done.map_err(fault),
        Err(_) => Err(fault(sqlx::Error::PoolTimedOut)),
    }
}

/// The database.
#[derive(Clone)]
pub(super) enum Db {
    /// A file. One connection writes: SQLite has one writer at a time, and a line in the pool is fairer than
    /// writers that poll for the lock.
    Sqlite {
        /// The only connection that writes.
        write: SqlitePool,
        /// Connections that can't write.
        read: SqlitePool,
    },
    /// A server.
    Postgres(PgPool),
}

/// A transaction that may write. Dropped without [`Tx::commit`], it is rolled back.
pub(super) enum Tx {
    /// On SQLite, holding the write lock from its first moment.
    Sqlite(Transaction<'static, Sqlite>),
    /// On PostgreSQL, READ COMMITTED.
    Postgres(Transaction<'static, Postgres>),
}

/// A statement with its arguments. Made by `sql!` or [`crate::store::select::Select`].
#[derive(Debug)]
pub(super) struct Statement {
    /// The text: always literals from this module's siblings, never anything a user sent.
    pub(super) text: String,
    /// `$1`, `$2`, …
    pub(super) args: Vec<Arg>,
}

/// A statement and its arguments: `sql!("… $1 …", value)`.
macro_rules! sql {
    ($text:expr $(, $arg:expr)* $(,)?) => {
        $crate::store::db::Statement {
            text: ($text).to_owned(),
            args: vec![$($crate::store::arg::Arg::from($arg)),*],
        }
    };
}
pub(super) use sql;

macro_rules! bound {
    ($statement:expr) => {{
        let Statement { text, args } = $statement;
        let mut query = sqlx::query(AssertSqlSafe(text));
        for arg in args {
            query = match arg {
                Arg::Text(text) => query.bind(text),
                Arg::Int(int) => query.bind(int),
            };
        }
        query
    }};
}

/// Makes the file, when it is missing, readable by its owner alone; SQLite gives its side files the same mode.
pub(super) fn keep_private(file: &Path) -> io::Result<()> {
    private().append(true).open(file).map(drop)
}

/// Makes a file that is missing readable by its owner alone.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether SQLite says that somebody else has the file for itself.
fn locked(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY and its extended codes: the low byte is 5.
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// The SQLite file that the URL names; `None` when it names no SQLite database.
pub(super) fn sqlite_file(url: &str) -> Result<Option<SqliteConnectOptions>, CannotOpen> {
    if !url.starts_with("sqlite:") {
        return Ok(None);
    }
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(CannotOpen::new(
            "store.url names a SQLite database in memory, which would forget paid numbers; name a file",
        ));
    }
    url.parse()
        .map(Some)
        .map_err(|cause| CannotOpen::because("store.url is not a SQLite URL", cause))
}

impl Db {
    /// Opens a SQLite file, which is made when it is missing, or connects to a PostgreSQL server.
    pub(super) async fn open(url: &str) -> Result<Self, CannotOpen> {
        if let Some(options) = sqlite_file(url)? {
            Self::open_file(options).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::connect(url).await
        } else {
            Err(CannotOpen::new(
                "store.url must begin with sqlite:// or postgres://",
            ))
        }
    }

    async fn open_file(options: SqliteConnectOptions) -> Result<Self, CannotOpen> {
        let file = options.get_filename().display().to_string();
        let cannot = |cause| CannotOpen::because(format!("can't open the SQLite file {file}"), cause);
        keep_private(options.get_filename()).map_err(|cause| cannot(cause.into()))?;
        let options = options
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true)
            // The paid call follows the commit: it has to be on disk.
            .synchronous(SqliteSynchronous::Full);
        let writer = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let one = PoolOptions::new()
            .max_connections(1)
            .acquire_timeout(WRITER_TURN)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None);
        // Turning a new file to its write-ahead log needs it for oneself, and SQLite then says "locked" at once
        // instead of waiting its turn: <https://sqlite.org/wal.html#sometimes_queries_return_sqlite_busy_in_wal_mode>
        let mut turns = LOCKED_TURNS;
        let write = loop {
            match one.clone().connect_with(writer.clone()).await {
                Err(cause) if turns > 0 && locked(&cause) => turns -= 1,
                done => break done.map_err(cannot)?,
            }
            tokio::time::sleep(LOCKED_PAUSE).await;
        };
        let read = PoolOptions::new()
            .max_connections(4)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(cannot)?;
        Ok(Self::Sqlite { write, read })
    }

    async fn connect(url: &str) -> Result<Self, CannotOpen> {
        let options: PgConnectOptions = url
            .parse()
            .map_err(|cause| CannotOpen::because("store.url is not a PostgreSQL URL", cause))?;
        let place = format!(
            "can't reach PostgreSQL at {}:{} as {}",
            options.get_host(),
            options.get_port(),
            options.get_username()
        );
        PoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
            })
            .connect_with(options.application_name("numberdesk"))
            .await
            .map(Self::Postgres)
            .map_err(|cause| CannotOpen::because(place, cause))
    }

    /// Begins a transaction that may write.
    pub(super) async fn begin(&self) -> Result<Tx, Error> {
        bounded(async {
            match self {
                Self::Sqlite { write, .. } => write.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite),
                Self::Postgres(pool) => pool.begin().await.map(Tx::Postgres),
            }
        })
        .await
    }

    /// All rows of one statement that only reads.
    pub(super) async fn rows(&self, statement: Statement) -> Result<Vec<Row>, Error> {
        bounded(async {
            match self {
                Self::Sqlite { read, .. } => bound!(statement)
                    .fetch_all(read)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
                Self::Postgres(pool) => bound!(statement)
                    .fetch_all(pool)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
            }
        })
        .await
    }

    /// The row of one statement that only reads and finds at most one.
    pub(super) async fn row(&self, statement: Statement) -> Result<Option<Row>, Error> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// Closes every connection once its present work is done.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Runs a statement; the number of rows it touched.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, Error> {
        bounded(async {
            match self {
                Self::Sqlite(tx) => bound!(statement)
                    .execute(&mut **tx)
                    .await
                    .map(|done| done.rows_affected()),
                Self::Postgres(tx) => bound!(statement)
                    .execute(&mut **tx)
                    .await
                    .map(|done| done.rows_affected()),
            }
        })
        .await
    }

    /// All rows that a statement finds or returns.
    pub(super) async fn rows(&mut self, statement: Statement) -> Result<Vec<Row>, Error> {
        bounded(async {
            match self {
                Self::Sqlite(tx) => bound!(statement)
                    .fetch_all(&mut **tx)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
                Self::Postgres(tx) => bound!(statement)
                    .fetch_all(&mut **tx)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
            }
        })
        .await
    }

    /// The row of a statement that finds or returns at most one.
    pub(super) async fn row(&mut self, statement: Statement) -> Result<Option<Row>, Error> {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    /// The row of a SELECT, which nobody else changes before this transaction ends. SQLite's writer holds the
    /// whole file anyway.
    pub(super) async fn lock(&mut self, mut statement: Statement) -> Result<Option<Row>, Error> {
        if matches!(self, Self::Postgres(_)) {
            statement.text.push_str(" FOR UPDATE");
        }
        self.row(statement).await
    }

    /// The same, but `None` at once where another transaction holds the row. On SQLite nobody else can.
    pub(super) async fn lock_if_free(&mut self, mut statement: Statement) -> Result<Option<Row>, Error> {
        if matches!(self, Self::Postgres(_)) {
            statement.text.push_str(" FOR UPDATE SKIP LOCKED");
        }
        self.row(statement).await
    }

    /// Runs several statements without arguments.
    pub(super) async fn script(&mut self, text: String) -> Result<(), Error> {
        match self {
            Self::Sqlite(tx) => sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut **tx)
                .await
                .map(drop),
            Self::Postgres(tx) => sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut **tx)
                .await
                .map(drop),
        }
        .map_err(fault)
    }

    /// Makes it so.
    pub(super) async fn commit(self) -> Result<(), Error> {
        bounded(async {
            match self {
                Self::Sqlite(tx) => tx.commit().await,
                Self::Postgres(tx) => tx.commit().await,
            }
        })
        .await
    }

    /// Makes it as if nothing had happened.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
        }
        .map_err(fault)
    }
}
