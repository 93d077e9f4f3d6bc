//! Connection pools: how each of the two databases is opened, and the settings of every session.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqliteSynchronous,
};

use crate::domain::database_url::DatabaseUrl;
use crate::store::sql::connect::Access;
use crate::store::sql::error::CannotOpen;
use crate::store::sql::server::{ACQUIRE, Server};

/// How long a writer of a SQLite file waits for the only writing connection.
///
/// Each transaction before it needs one flush of the disk.
const WRITER_WAIT: Duration = Duration::from_secs(15);
/// How often opening a file is retried while another process is opening the file.
const LOCKED_TRIES: u32 = 200;
/// The pause before such a retry.
const LOCKED_PAUSE: Duration = Duration::from_millis(50);
/// The connections to the database.
#[derive(Clone)]
pub(in crate::store) enum Pools {
    /// A file.
    ///
    /// Only one connection writes, because SQLite has one writer at a time. The pool's queue is fairer than several
    /// writers that poll for the lock.
    Sqlite {
        /// The only connection that writes.
        write: SqlitePool,
        /// Connections that can't write.
        read: SqlitePool,
    },
    /// A server.
    Postgres(Server),
}

impl Pools {
    /// Opens a SQLite file, which is created if it is missing, or connects to a PostgreSQL server.
    pub(in crate::store) async fn open(url: &str) -> Result<Self, CannotOpen> {
        match sqlite_file(url)? {
            Some(options) => Self::open_file(options).await,
            None => Self::connect(url, Access::Write).await,
        }
    }

    /// Connects to the PostgreSQL server that the URL names.
    pub(in crate::store) async fn connect(url: &str, access: Access) -> Result<Self, CannotOpen> {
        match DatabaseUrl::parse(url) {
            Ok(DatabaseUrl::Postgres(url)) => Server::open(&url, access).await.map(Self::Postgres),
            Ok(DatabaseUrl::Sqlite(_)) => Err(CannotOpen::new("store.url is not a PostgreSQL URL")),
            Err(fault) => Err(CannotOpen::new(format!("store.url {fault}"))),
        }
    }

    /// How many long reads may run at once, so that connections stay free for short ones.
    pub(in crate::store) fn long_reads(&self) -> usize {
        match self {
            Self::Sqlite { .. } => 2,
            Self::Postgres(server) => server.long_reads(),
        }
    }

    async fn open_file(options: SqliteConnectOptions) -> Result<Self, CannotOpen> {
        let file = options.get_filename().display().to_string();
        let cannot = |cause| CannotOpen::because(format!("can't open the SQLite file {file}"), cause);
        keep_private(options.get_filename()).map_err(|cause| cannot(cause.into()))?;
        let options = options
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true)
            // A paid call follows the commit, so the commit must be on disk.
            .synchronous(SqliteSynchronous::Full);
        let writer = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let one = PoolOptions::new()
            .max_connections(1)
            .acquire_timeout(WRITER_WAIT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(is_clean(connection)));
        // Switching a new file to its write-ahead log needs an exclusive lock, and SQLite fails with "locked" at once
        // instead of waiting: <https://sqlite.org/wal.html#sometimes_queries_return_sqlite_busy_in_wal_mode>
        let mut tries = LOCKED_TRIES;
        let write = loop {
            match one.clone().connect_with(writer.clone()).await {
                Err(cause) if tries > 0 && locked(&cause) => tries -= 1,
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
}

/// Whether a connection can be used again.
///
/// SQLite ends some transactions by itself, such as when the disk is full. The driver then fails to roll back, and
/// treats the connection as in a transaction forever.
async fn is_clean(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The driver answers the ping after it has finished a rollback in progress.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Creates a missing file, readable only by its owner. SQLite gives its side files the same mode.
pub(in crate::store) fn keep_private(file: &Path) -> io::Result<()> {
    private().append(true).open(file).map(drop)
}

/// Options that create a missing file readable only by its owner.
pub(in crate::store) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether SQLite reports that another process holds the file.
fn locked(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY and its extended codes: the low byte is 5.
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// The SQLite file that the URL names; `None` for another database.
pub(in crate::store) fn sqlite_file(url: &str) -> Result<Option<SqliteConnectOptions>, CannotOpen> {
    if !url.starts_with("sqlite:") {
        return Ok(None);
    }
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(CannotOpen::new(
            "store.url names a SQLite database in memory, which loses paid numbers when the process ends; name a file",
        ));
    }
    url.parse()
        .map(Some)
        .map_err(|cause| CannotOpen::because("store.url is not a SQLite URL", cause))
}
