//! The readiness report: whether requests can be answered, and what is wrong if not.

use std::time::Duration;

use serde::Serialize;

use crate::close::CallFailure;
use crate::desk::account::Account;
use crate::desk::core::Core;
use crate::desk::database::Database;
use crate::desk::number_cache::NumberCache;
use crate::desk::subscription::CloseSubscription;
use crate::domain::time::Timestamp;
use crate::error::Error;

/// How long no call to Close may have ended before one is made only to know whether Close answers.
const IDLE: Duration = Duration::from_secs(15);

/// Reports whether this process can serve requests.
#[derive(Clone)]
pub struct Health {
    core: Core,
    account: Account,
    cache: NumberCache,
    database: Database,
    subscription: CloseSubscription,
}

/// Whether requests can be answered.
///
/// The process is ready once it has seen the schema of its version and has loaded the inventory, until the stop
/// begins. It stays ready while Close or the database is unreachable, because reads are answered from memory; the
/// setting `server.ready_needs_database` changes that for the database.
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
    /// `ok`, or the failure of the last comparison with Close, or of the last call.
    pub close: String,
    /// `ok`, or the state of the webhook subscription in Close.
    pub webhooks: &'static str,
    /// `ok`, or why orders and releases are on hold.
    pub orders: String,
    /// The time of the last complete comparison with Close.
    pub inventory_as_of: Option<Timestamp>,
    /// A short fingerprint of the policy in force.
    pub policy: String,
    /// Where it comes from: `file`, `none`, or `database` if the file was broken when the process started.
    pub policy_source: &'static str,
}

/// Whether the process has started. Once it has, that stays so until the process ends.
#[derive(Debug, Clone, Serialize)]
pub struct Startup {
    /// Whether the process has seen the schema of its version, and has loaded the inventory.
    pub started: bool,
    /// `ok`, or what is wrong with the database.
    pub database: String,
    /// `ok`, or that the inventory is not in memory yet.
    pub inventory: &'static str,
}

impl Health {
    pub(in crate::desk) fn new(
        core: Core,
        account: Account,
        cache: NumberCache,
        database: Database,
        subscription: CloseSubscription,
    ) -> Self {
        Self {
            core,
            account,
            cache,
            database,
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

    /// The last call to Close without a usable answer, also if later calls had one.
    pub fn last_close_failure(&self) -> Option<CallFailure> {
        self.core.close.last_failure()
    }

    /// One step: calls Close if no call has ended lately, so that an outage shows within seconds.
    ///
    /// The failure of that call is no error of the step: the report and the metrics have it.
    pub async fn call_close_if_idle(&self) -> Result<(), Error> {
        if self.core.close.idle() >= IDLE {
            let _ = self.core.close.me().await;
        }
        Ok(())
    }

    /// Returns the readiness report. All values are in memory.
    pub fn readiness(&self) -> Readiness {
        let Startup {
            started,
            database,
            inventory,
        } = self.startup();
        let needed = !self.core.settings.ready_needs_database || database == "ok";
        let close = self.account.health();
        let policy = self.core.policy.load();
        let stopping = self.is_leaving();
        Readiness {
            ready: started && needed && !stopping,
            stopping,
            database,
            inventory,
            close: self.close_status(&close.status),
            webhooks: self.subscription.health(),
            orders: self.database.state().orders,
            inventory_as_of: close.inventory_as_of,
            policy: policy.fingerprint(),
            policy_source: policy.source(),
        }
    }

    /// Returns whether the process has started. All values are in memory.
    pub fn startup(&self) -> Startup {
        let database = self.database.state();
        let loaded = self.cache.loaded();
        Startup {
            // Neither of the two is ever taken back.
            started: loaded && database.schema_seen,
            database: database.fault.unwrap_or_else(|| "ok".to_owned()),
            inventory: if loaded { "ok" } else { "being loaded" },
        }
    }

    /// The failure of the last comparison with Close, or else that of the last call, or `ok`.
    fn close_status(&self, compared: &str) -> String {
        match self.core.close.last_failure() {
            Some(failure) if compared == "ok" && failure.recovered_at.is_none() => failure.to_string(),
            _ => compared.to_owned(),
        }
    }
}
