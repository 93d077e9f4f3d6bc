//! Whether the desk can do its work, and what stands in the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::desk::Desk;
use crate::domain::time::Timestamp;

/// What the last comparison with Close said.
#[derive(Debug, Clone)]
pub(super) struct CloseHealth {
    pub(super) said: String,
    pub(super) inventory_as_of: Option<Timestamp>,
}

/// Until when something is left alone.
#[derive(Default)]
pub(super) struct Hold(AtomicI64);

impl Hold {
    pub(super) fn until(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::Relaxed);
    }
    pub(super) fn hold(&self, now: Timestamp) -> bool {
        now.as_micros() < self.0.load(Ordering::Relaxed)
    }
}

impl Default for CloseHealth {
    fn default() -> Self {
        Self {
            said: "not asked yet".to_owned(),
            inventory_as_of: None,
        }
    }
}

/// Whether requests can be answered. Close being down does not make the desk unready; the database being down does, and
/// so does an inventory that is still being loaded.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether requests can be answered.
    pub ready: bool,
    /// The process was asked to end: it takes nothing new and ends what is under way.
    pub stopping: bool,
    /// `ok`, or what is wrong with the database.
    pub database: String,
    /// `ok`, or that the inventory is not in memory yet.
    pub inventory: &'static str,
    /// `ok`, or what the last comparison with Close ran into.
    pub close: String,
    /// How it is with the subscription by which Close tells of changes: `ok`, or what else.
    pub webhooks: &'static str,
    /// The moment of the last complete comparison with Close.
    pub inventory_as_of: Option<Timestamp>,
    /// Short fingerprint of the policy in force.
    pub policy: String,
}

impl Desk {
    /// Remembers what is to be said of Close.
    pub(super) fn close_is(&self, said: &str) {
        let known = self.0.close_health.load();
        if known.said != said {
            let inventory_as_of = known.inventory_as_of;
            self.0.close_health.store(Arc::new(CloseHealth {
                said: said.to_owned(),
                inventory_as_of,
            }));
        }
    }

    /// From now on readiness says that requests should go elsewhere; those that come are answered all the same.
    pub fn leave(&self) {
        self.0.leaving.cancel();
    }

    /// Whether requests should go elsewhere.
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.is_cancelled()
    }

    /// Whether Close has stopped answering, so that nobody calls for a while.
    pub fn leaves_close_alone(&self) -> bool {
        self.0.close.is_away()
    }

    /// Asks the database; tells what is known of the rest.
    pub async fn readiness(&self) -> Readiness {
        let asked = tokio::time::timeout(Duration::from_secs(2), self.0.store.migrated());
        let database = match asked.await {
            Ok(Ok(true)) => "ok".to_owned(),
            Ok(Ok(false)) => "the schema is not the one of this version: run `numberdesk migrate`".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the database does not answer".to_owned(),
        };
        let health = self.0.close_health.load_full();
        let stopping = self.is_leaving();
        let loaded = self.0.inventory.loaded();
        Readiness {
            ready: database == "ok" && loaded && !stopping,
            stopping,
            database,
            inventory: if loaded { "ok" } else { "being loaded" },
            close: health.said.clone(),
            webhooks: self.0.webhooks.health(),
            inventory_as_of: health.inventory_as_of,
            policy: self.0.policy.load().fingerprint(),
        }
    }
}
