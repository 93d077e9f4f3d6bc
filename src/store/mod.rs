//! The only code that knows SQL: orders, numbers, the ledger of what teams hold, and the audit trail, on SQLite or
//! PostgreSQL by one set of texts. It does not know why anything is stored, nor Close, nor HTTP.
//!
//! Every change and its audit row are one transaction. Transactions lock in one order, so that none waits for
//! another in a circle: orders, then lanes, then numbers by id, then usage by team.

mod audit;
mod events;
mod gauges;
mod inbox;
mod ledger;
mod numbers;
mod orders;
mod policy;
mod refetch_queue;
mod schedule;
mod settings;
mod spend;
mod sql;
mod webhooks;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::store::sql::db::{Db, sql};
use crate::store::sql::pool::Pools;

pub use crate::store::audit::read_chain::Period;
pub use crate::store::audit::rows::AuditFilter;
pub use crate::store::events::feed::SequencedEvent;
pub use crate::store::gauges::OpenOrders;
pub use crate::store::ledger::Cap;
pub use crate::store::numbers::assign::Transferred;
pub use crate::store::numbers::upsert::Observation;
pub use crate::store::orders::claim::Claim;
pub use crate::store::orders::insert::Inserted;
pub use crate::store::orders::list::OrderFilter;
pub use crate::store::orders::unverified::UnassignedNumber;
pub use crate::store::refetch_queue::RefetchJob;
pub use crate::store::spend::LedgerRow;
pub use crate::store::sql::process_lock::{ProcessLock, ProcessLockError};
pub use crate::store::webhooks::deliveries::{AttemptResult, DisableEndpoint};

const PING: Duration = Duration::from_secs(2);

/// The database of the desk. Clones share its connections.
///
/// Every method fails with [`Error::StoreUnavailable`] when the database can't be used now (nothing is half done
/// then; whether a commit took place may be unknown), and with [`Error::Internal`] for what should not happen,
/// such as a row that does not parse.
#[derive(Clone)]
pub struct Store {
    db: Db,
}

impl Store {
    /// Opens `sqlite://file`, which is made when it is missing, or connects to `postgres://…`; a SQLite database
    /// in memory is refused. Leaves the schema alone. The error names the place, never the password.
    pub async fn open(url: &SecretString) -> Result<Self, Error> {
        match Db::open(url.expose_secret()).await {
            Ok(db) => Ok(Self { db }),
            Err(cannot) => Err(Error::StoreUnavailable(Box::new(cannot))),
        }
    }

    /// Brings the schema up to date, one migrator at a time; the names of the steps that were missing.
    pub async fn migrate(&self) -> Result<Vec<String>, Error> {
        sql::migrate::migrate(&self.db).await
    }

    /// Whether the schema has every step that this binary knows.
    pub async fn migrated(&self) -> Result<bool, Error> {
        sql::migrate::migrated(&self.db).await
    }

    /// Asks the database for a sign of life, for two seconds at most.
    pub async fn ping(&self) -> Result<(), Error> {
        let question = match self.db.pools {
            // Reads the file, which a bare SELECT would not.
            Pools::Sqlite { .. } => sql!("SELECT COUNT(*) AS n FROM sqlite_master"),
            Pools::Postgres(_) => sql!("SELECT 1 AS n"),
        };
        match tokio::time::timeout(PING, self.db.rows(question)).await {
            Ok(answer) => answer.map(drop),
            Err(elapsed) => Err(Error::StoreUnavailable(elapsed.into())),
        }
    }

    /// Closes every connection once its present work is done.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
