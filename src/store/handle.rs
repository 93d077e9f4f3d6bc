//! The handle to the database: opens it, migrates it, checks its health and closes it.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::store::sql::db::{Db, sql};
use crate::store::sql::error::CannotOpen;
use crate::store::sql::pool::Pools;
use crate::store::sql::{migrate, read_only};

/// The deadline of [`Store::ping`].
const PING: Duration = Duration::from_secs(2);

/// The database of the service. Clones share its connections.
///
/// Every method fails with [`Error::StoreUnavailable`] when the database can't be used now. No change is partial then,
/// but a commit may have succeeded. It fails with [`Error::Internal`] when something is corrupt, such as a row that
/// does not parse.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) db: Db,
}

impl Store {
    /// Opens `sqlite://file`, which is created if it is missing, or connects to `postgres://…`.
    ///
    /// It rejects a SQLite database in memory, and leaves the schema unchanged. An error names the file or server,
    /// never the password.
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        opened(Pools::open(url.expose_secret()).await)
    }

    /// Opens the database for reading only, also while a service uses it.
    ///
    /// It neither creates nor migrates the database, and every statement that writes fails. An error names the file or
    /// server, never the password.
    pub async fn open_read_only(url: &SecretString) -> Result<Self, Error> {
        opened(read_only::open(url.expose_secret()).await)
    }

    /// Applies the missing migrations, one migrator at a time; returns their names.
    pub async fn migrate(&self) -> Result<Vec<String>, Error> {
        migrate::migrate(&self.db).await
    }

    /// Whether the schema has every migration that this binary knows.
    pub async fn migrated(&self) -> Result<bool, Error> {
        migrate::migrated(&self.db).await
    }

    /// Whether the database accepts writes, as far as this can be known without one.
    ///
    /// A standby, and a server that may only read by default, still answer reads. A session that meets one is closed.
    pub async fn accepts_writes(&self) -> Result<bool, Error> {
        let Pools::Postgres(server) = &self.db.pools else {
            return Ok(true);
        };
        let state = sql!("SELECT current_setting('transaction_read_only') AS only_reads");
        let row = self.db.row(state).await?;
        let only_reads = row.map(|row| row.text("only_reads")).transpose()?;
        if only_reads.as_deref() == Some("on") {
            server.make_stale();
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether no server was found lately that accepts writes, although one was reached.
    pub fn only_reads(&self) -> bool {
        matches!(&self.db.pools, Pools::Postgres(server) if server.only_reads())
    }

    /// Whether a pooler gives a server connection to each transaction instead of each client.
    pub fn transaction_pooling(&self) -> bool {
        matches!(&self.db.pools, Pools::Postgres(server) if server.transaction_pooling())
    }

    /// Reads from the database, with a deadline of two seconds.
    pub async fn ping(&self) -> Result<(), Error> {
        let probe = match self.db.pools {
            // Reads the file, which a bare SELECT would not.
            Pools::Sqlite { .. } => sql!("SELECT COUNT(*) AS n FROM sqlite_master"),
            Pools::Postgres(_) => sql!("SELECT 1 AS n"),
        };
        match tokio::time::timeout(PING, self.db.rows(probe)).await {
            Ok(rows) => rows.map(drop),
            Err(elapsed) => Err(Error::StoreUnavailable(elapsed.into())),
        }
    }

    /// Closes every connection after its current work.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

fn opened(pools: Result<Pools, CannotOpen>) -> Result<Store, Error> {
    match pools {
        Ok(pools) => Ok(Store { db: pools.into() }),
        Err(cannot) => Err(Error::StoreUnavailable(Box::new(cannot))),
    }
}
