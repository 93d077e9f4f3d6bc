//! The only code that knows SQL: orders, numbers, the ledger of what teams hold, and the audit trail, on SQLite or
//! PostgreSQL by one set of texts. It does not know why anything is stored, nor Close, nor HTTP.
//!
//! Every change and its audit row are one transaction. Transactions lock in one order, so that none waits for
//! another in a circle: orders, then lanes, then numbers by id, then usage by team.

mod accept;
mod approval;
mod arg;
mod audit;
mod chain;
mod changes;
mod copy;
mod db;
mod delivery;
mod doubt;
mod endpoint;
mod errand;
mod fault;
mod feed;
mod hold;
mod inbox;
mod inventory;
mod ledger;
mod listen;
mod look;
mod measure;
mod migration;
mod number;
mod order;
mod policy;
mod pool;
mod release;
mod replay;
mod row;
mod seal;
mod select;
mod send;
mod setting;
mod spend;
mod turn;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::store::db::{Db, sql};
use crate::store::pool::Pools;

pub use crate::store::accept::Accepted;
pub use crate::store::audit::AuditFilter;
pub use crate::store::chain::Period;
pub use crate::store::delivery::{Disabling, Settled};
pub use crate::store::doubt::Stray;
pub use crate::store::errand::Errand;
pub use crate::store::feed::Placed;
pub use crate::store::hold::{Hold, NotAlone};
pub use crate::store::inventory::Observation;
pub use crate::store::ledger::Cap;
pub use crate::store::measure::OpenOrders;
pub use crate::store::number::Transferred;
pub use crate::store::order::OrderFilter;
pub use crate::store::send::Claim;
pub use crate::store::spend::Booked;

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
        migration::migrate(&self.db).await
    }

    /// Whether the schema has every step that this binary knows.
    pub async fn migrated(&self) -> Result<bool, Error> {
        migration::migrated(&self.db).await
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
