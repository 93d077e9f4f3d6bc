//! A PostgreSQL server, or several of which one accepts writes: its connections, and what they have learned about it.
//!
//! A connection is verified when it is made: the service needs a server that accepts writes. A connection that learns
//! later that its server is a standby, or is shutting down, is closed instead of returned, and so are all that are
//! older than this moment. New ones then find the new primary.
//!
//! A pooler such as `PgBouncer` may give a server connection to each transaction instead of each client. Nothing may
//! then depend on the session: every statement runs in a transaction that sets its own limits, statements are not
//! prepared across transactions, and notifications are replaced by polling.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::domain::database_url::PostgresUrl;
use crate::store::sql::connect::{self, Access, PAUSE, only_reads, passes};
use crate::store::sql::connections::{Connections, Idle, Loan, Purpose};
use crate::store::sql::diagnose::diagnose;
use crate::store::sql::error::{CannotOpen, OnlyReads};
use crate::store::sql::verdict::Verdict;

/// How long a task waits for a connection before the database counts as unavailable.
pub(in crate::store) const ACQUIRE: Duration = Duration::from_secs(5);
/// Connections of a process, unless the URL sets another number. One of them listens.
const CONNECTIONS: u32 = 10;
/// Connections of a command that only reads, which it does sequentially.
const READER_CONNECTIONS: u32 = 2;
/// How long an idle connection may take to respond before it is replaced.
const PING: Duration = Duration::from_secs(1);
/// How long the result of a search for a server that suits is valid.
const SEARCHED: Duration = Duration::from_millis(500);
/// The limits of every session or transaction, independent of the server's defaults.
///
/// No statement hangs forever, and a commit is on disk before a paid call follows it.
const LIMITS: [(&str, &str); 4] = [
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "15s"),
    // A plan for any value reads a whole table to find the few rows of a small team.
    ("plan_cache_mode", "force_custom_plan"),
];

/// The connections to PostgreSQL. Clones share them.
#[derive(Clone)]
pub(in crate::store) struct Server {
    connections: Arc<Connections>,
    shared: Arc<Shared>,
}

/// What all connections share.
struct Shared {
    access: Access,
    /// The schemas of the URL, as the value of `search_path`; empty for the server's default.
    search_path: String,
    hosts: Vec<PgConnectOptions>,
    /// The index of the host that new connections go to.
    current: AtomicUsize,
    /// A connection has failed: before the next one, a server that suits is searched.
    suspect: AtomicBool,
    /// When the last search found none. Locked during a search, so that one task searches for all.
    searched: tokio::sync::Mutex<Option<Instant>>,
    wait: Duration,
    /// A pooler gives a server connection to each transaction.
    transaction_pooling: AtomicBool,
    /// Since the last search, no server accepts writes.
    only_reads: AtomicBool,
    /// Connections that are older are not used again.
    stale_before: Mutex<Option<Instant>>,
    /// Notified when connections have become stale.
    stale: Notify,
}

impl Server {
    /// Connects to the first server of the URL that suits, and finds out how the service can use it.
    pub(in crate::store) async fn open(url: &PostgresUrl, access: Access) -> Result<Self, CannotOpen> {
        let wait = url.wait.unwrap_or(ACQUIRE);
        let hosts = connect::options(url, access)?;
        let cannot = |cause| diagnose(url, cause);
        let first = connect::first(&hosts, access, wait).await.map_err(cannot)?;
        let (current, mut connection) = first;
        let checked = tokio::time::timeout(wait.max(ACQUIRE), connect::check_server(&mut connection));
        checked.await.map_err(|_| cannot(sqlx::Error::PoolTimedOut))??;
        let pooling = url.transaction_pooling
            || connect::is_transaction_pooled(&mut connection, &hosts[current], wait)
                .await
                .map_err(cannot)?;
        connect::close(connection).await;
        let shared = Arc::new(Shared {
            access,
            search_path: search_path(&url.search_path),
            hosts,
            current: AtomicUsize::new(current),
            suspect: AtomicBool::new(false),
            searched: tokio::sync::Mutex::new(None),
            wait,
            transaction_pooling: AtomicBool::new(pooling),
            only_reads: AtomicBool::new(false),
            stale_before: Mutex::new(None),
            stale: Notify::new(),
        });
        let connections = match access {
            Access::Write => {
                let all = url.connections.unwrap_or(CONNECTIONS);
                let of_pool = if pooling { all } else { all - 1 };
                Connections::new(of_pool, (of_pool / 3).max(1))
            }
            Access::Read => Connections::new(READER_CONNECTIONS, 0),
        };
        Ok(Self { connections, shared })
    }

    /// Takes a connection. Fails with [`OnlyReads`] if no server accepts writes now.
    pub(in crate::store) async fn acquire(&self, purpose: Purpose) -> Result<Loan, sqlx::Error> {
        if self.shared.suspect.load(Ordering::Relaxed) {
            self.search().await?;
        }
        let place = self.connections.place(purpose, self.shared.wait).await?;
        loop {
            if self.shared.suspect.load(Ordering::Relaxed) {
                self.search().await?;
            }
            let Some(mut idle) = self.connections.take_idle() else {
                return Ok(place.fill(self.connect().await?, Instant::now()));
            };
            if self.is_usable(&mut idle).await {
                return Ok(place.fill(idle.connection, idle.born));
            }
        }
    }

    /// Makes a connection.
    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let host = &self.shared.hosts[self.shared.current.load(Ordering::Relaxed)];
        let connect = async {
            let mut connection = PgConnection::connect_with(host).await?;
            self.shared.prepare(&mut connection).await?;
            Ok(connection)
        };
        let made = match tokio::time::timeout(self.shared.wait, connect).await {
            Ok(made) => made,
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        };
        if made.is_err() {
            self.shared.suspect.store(true, Ordering::Relaxed);
        }
        made
    }

    /// Whether a connection that waited can be used.
    async fn is_usable(&self, idle: &mut Idle) -> bool {
        let stale_before = *self.shared.stale_before.lock();
        if stale_before.is_some_and(|moment| idle.born <= moment) {
            return false;
        }
        match tokio::time::timeout(PING, idle.connection.ping()).await {
            Ok(Ok(())) => true,
            // The server closed this connection. The next one, or a new one, may work.
            Ok(Err(_)) => {
                self.shared.suspect.store(true, Ordering::Relaxed);
                false
            }
            // The server vanished without closing its connections.
            Err(_) => {
                self.make_stale();
                false
            }
        }
    }

    /// Lets new connections go to the first server that suits. Waits for one, as long as a task waits for a connection.
    async fn search(&self) -> Result<(), sqlx::Error> {
        let shared = &self.shared;
        let mut searched = shared.searched.lock().await;
        if !shared.suspect.load(Ordering::Relaxed) {
            return Ok(());
        }
        if searched.is_some_and(|at| at.elapsed() < SEARCHED) {
            return Err(if shared.only_reads.load(Ordering::Relaxed) {
                sqlx::Error::Configuration(Box::new(OnlyReads))
            } else {
                sqlx::Error::PoolTimedOut
            });
        }
        let deadline = Instant::now() + shared.wait;
        loop {
            let error = match connect::first(&shared.hosts, shared.access, Duration::ZERO).await {
                Ok((index, connection)) => {
                    connect::close(connection).await;
                    if shared.current.swap(index, Ordering::Relaxed) != index {
                        self.make_stale();
                    }
                    shared.only_reads.store(false, Ordering::Relaxed);
                    shared.suspect.store(false, Ordering::Relaxed);
                    return Ok(());
                }
                Err(error) => error,
            };
            shared.only_reads.store(OnlyReads::is(&error), Ordering::Relaxed);
            if !passes(&error) || Instant::now() + PAUSE >= deadline {
                *searched = Some(Instant::now());
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Draws the conclusions from an error. Returns whether its connection can be used again.
    pub(in crate::store) fn learn(&self, error: &sqlx::Error) -> bool {
        let verdict = Verdict::of(error);
        match verdict {
            Verdict::Usable => return true,
            Verdict::Broken => {}
            Verdict::ServerChanges => self.make_stale(),
            Verdict::StatementsShared => {
                self.shared.transaction_pooling.store(true, Ordering::Relaxed);
                self.make_stale();
            }
        }
        self.shared.suspect.store(true, Ordering::Relaxed);
        false
    }

    /// Closes all connections of before, as soon as they are free, and searches a server that suits.
    pub(in crate::store) fn make_stale(&self) {
        let now = Instant::now();
        *self.shared.stale_before.lock() = Some(now);
        self.connections.drop_idle_before(now);
        self.shared.suspect.store(true, Ordering::Relaxed);
        self.shared.stale.notify_waiters();
    }

    /// Completes when the connections of the time of this call have become stale.
    pub(in crate::store) fn stale(&self) -> Notified<'_> {
        self.shared.stale.notified()
    }

    /// Whether a pooler gives a server connection to each transaction.
    pub(in crate::store) fn transaction_pooling(&self) -> bool {
        self.shared.transaction_pooling.load(Ordering::Relaxed)
    }

    /// Whether the last search found only servers that accept only reads.
    pub(in crate::store) fn only_reads(&self) -> bool {
        self.shared.only_reads.load(Ordering::Relaxed)
    }

    /// Makes a listener with a connection of its own.
    ///
    /// The driver ends a listener by a statement. On a server that vanished, the connection is therefore closed when
    /// the kernel gives up; nobody waits for it.
    pub(in crate::store) async fn listener(&self) -> Result<PgListener, sqlx::Error> {
        if self.shared.suspect.load(Ordering::Relaxed) {
            self.search().await?;
        }
        let shared = self.shared.clone();
        let host = self.shared.hosts[self.shared.current.load(Ordering::Relaxed)].clone();
        let pool = PoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(self.shared.wait)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let shared = shared.clone();
                Box::pin(async move { shared.prepare(connection).await })
            });
        PgListener::connect_with(&pool.connect_lazy_with(host)).await
    }

    /// How many long reads may run at once.
    pub(in crate::store) fn long_reads(&self) -> usize {
        self.connections.long_reads()
    }

    /// Closes every connection after its current work.
    pub(in crate::store) async fn close(&self) {
        self.connections.close().await;
    }

    /// The statements that begin a transaction; `snapshot` for one that sees the same data throughout.
    pub(in crate::store) fn begin(&self, snapshot: bool) -> String {
        let mut text = "BEGIN ISOLATION LEVEL ".to_owned();
        text.push_str(if snapshot {
            "REPEATABLE READ READ ONLY"
        } else {
            match self.shared.access {
                // The conditional updates are written for READ COMMITTED.
                Access::Write => "READ COMMITTED",
                Access::Read => "READ COMMITTED READ ONLY",
            }
        });
        if self.transaction_pooling() {
            text.push_str("; ");
            text.push_str(&self.shared.settings(true));
        }
        text
    }
}

impl Shared {
    /// The statements that set the limits of this transaction, or of the session.
    fn settings(&self, local: bool) -> String {
        let mut settings: Vec<String> = LIMITS
            .iter()
            .map(|(name, value)| format!("set_config('{name}', '{value}', {local})"))
            .collect();
        if !self.search_path.is_empty() {
            settings.push(format!(
                "set_config('search_path', '{}', {local})",
                self.search_path
            ));
        }
        if !local && self.access == Access::Read {
            settings.push("set_config('default_transaction_read_only', 'on', false)".to_owned());
        }
        format!(
            "SELECT {}; SELECT set_config('synchronous_commit', 'on', {local}) \
             WHERE current_setting('synchronous_commit') = 'off'",
            settings.join(", ")
        )
    }

    /// Prepares a new connection. Fails if its server does not suit.
    async fn prepare(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.access == Access::Write && only_reads(connection).await? {
            self.suspect.store(true, Ordering::Relaxed);
            return Err(sqlx::Error::Configuration(Box::new(OnlyReads)));
        }
        if !self.transaction_pooling.load(Ordering::Relaxed) {
            let settings = AssertSqlSafe(self.settings(false));
            sqlx::raw_sql(settings).execute(connection).await?;
        }
        Ok(())
    }
}

/// The value of `search_path` for these schemas, quoted.
fn search_path(schemas: &[String]) -> String {
    let quoted: Vec<_> = schemas.iter().map(|schema| format!("\"{schema}\"")).collect();
    quoted.join(", ")
}
