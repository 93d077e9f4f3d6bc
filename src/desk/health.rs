//! The readiness report: whether requests can be answered, and what is wrong if not.

use std::time::Duration;

use serde::Serialize;

use crate::desk::account::Account;
use crate::desk::core::Core;
use crate::desk::number_cache::NumberCache;
use crate::desk::subscription::CloseSubscription;
use crate::domain::time::Timestamp;
use crate::error::Error;

/// The state of a database that a failover has made a standby, or that may only read by default.
const ONLY_READS: &str = "the database accepts only reads";

/// Reports whether this process can serve requests.
#[derive(Clone)]
pub struct Health {
    core: Core,
    account: Account,
    cache: NumberCache,
    subscription: CloseSubscription,
}

/// Whether requests can be answered.
///
/// The process is not ready while the database is unreachable or accepts only reads, while the inventory is being loaded, and after the stop
/// has begun. It stays ready while Close is unreachable.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether requests can be answered.
    pub ready: bool,
    /// Whether the process is stopping: it accepts no new work and finishes the work in progress.
    pub stopping: bool,
    /// `ok`, or what is wrong with the database.
    pub database: String,
    /// `ok`, or that the inventory is not in memory yet.
    pub inventory: &'static str,
    /// `ok`, or the failure of the last comparison with Close.
    pub close: String,
    /// `ok`, or the state of the webhook subscription in Close.
    pub webhooks: &'static str,
    /// `ok`, or why orders and releases are on hold.
    pub orders: String,
    /// The time of the last complete comparison with Close.
    pub inventory_as_of: Option<Timestamp>,
    /// A short fingerprint of the policy in force.
    pub policy: String,
}

impl Health {
    pub(in crate::desk) fn new(
        core: Core,
        account: Account,
        cache: NumberCache,
        subscription: CloseSubscription,
    ) -> Self {
        Self {
            core,
            account,
            cache,
            subscription,
        }
    }

    /// Reports this process as not ready, so that clients use other replicas.
    ///
    /// Requests that still arrive are answered.
    pub fn leave(&self) {
        self.core.tasks.leaving.cancel();
    }

    /// Whether clients should go to other replicas.
    pub fn is_leaving(&self) -> bool {
        self.core.tasks.leaving.is_cancelled()
    }

    /// Whether the circuit breaker holds back calls because Close has stopped answering.
    pub fn close_circuit_open(&self) -> bool {
        self.core.close.circuit_open()
    }

    /// Returns the readiness report. Queries only the database; all other values are in memory.
    pub async fn readiness(&self) -> Readiness {
        let store = &self.core.store;
        let query = async { Ok::<_, Error>((store.accepts_writes().await?, store.migrated().await?)) };
        let database = match tokio::time::timeout(Duration::from_secs(2), query).await {
            Ok(Ok((true, true))) => "ok".to_owned(),
            Ok(Ok((true, false))) => {
                "the schema is not the one of this version: run `numberdesk migrate`".to_owned()
            }
            Ok(Ok((false, _))) => ONLY_READS.to_owned(),
            _ if store.only_reads() => ONLY_READS.to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the database does not answer".to_owned(),
        };
        let hold = tokio::time::timeout(Duration::from_secs(2), store.holds()).await;
        let orders = match hold {
            Ok(Ok(holds)) => holds
                .into_iter()
                .next()
                .map_or_else(|| "ok".to_owned(), |hold| format!("on hold: {}", hold.reason)),
            _ => "unknown: the database does not answer".to_owned(),
        };
        let close = self.account.health();
        let stopping = self.is_leaving();
        let loaded = self.cache.loaded();
        Readiness {
            ready: database == "ok" && loaded && !stopping,
            stopping,
            database,
            inventory: if loaded { "ok" } else { "being loaded" },
            close: close.status.clone(),
            webhooks: self.subscription.health(),
            orders,
            inventory_as_of: close.inventory_as_of,
            policy: self.core.policy.load().fingerprint(),
        }
    }
}
