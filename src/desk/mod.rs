//! The use cases. They know the policy, Close and the store, but no HTTP, no SQL and no JSON of Close.
//!
//! Each part is named after a noun, such as [`orders`](Parts::orders), and has only the fields that it needs. All parts
//! use `core`, `account` (facts about the Close account), `number_cache` and `number_claims`. Calls between parts have
//! one direction: `sync` and `events` may call `orders`, `health` may call `subscription` and
//! `database`, `gauges` may call `database`, and no part calls back.

mod account;
mod audit;
mod close_drift;
mod cooldown;
mod core;
mod database;
mod each;
mod errors;
mod events;
mod gauges;
mod health;
mod hold;
mod hold_control;
mod me;
mod number_cache;
mod number_claims;
mod numbers;
mod orders;
pub mod organization;
mod own_keys;
mod reload_policy;
mod resolve_caller;
mod retention;
mod rotate_api_key;
mod shares;
mod spend;
pub mod subscription;
mod sync;
mod webhooks;

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::close::{CallFailure, Forged};
pub use crate::desk::audit::Audit;
pub use crate::desk::audit::export::Export;
pub use crate::desk::close_drift::CloseDrift;
pub use crate::desk::core::{Settings, Signals, SignatureKeySource};
pub use crate::desk::database::Database;
pub use crate::desk::events::Events;
pub use crate::desk::events::stream::{EventFilter, EventStream};
pub use crate::desk::gauges::Gauges;
pub use crate::desk::health::{Health, Readiness, Startup};
pub use crate::desk::hold::Holds;
pub use crate::desk::hold_control::{HoldAuthor, HoldControl, HoldReason, HoldState};
pub use crate::desk::me::{Me, TeamUsage};
pub use crate::desk::numbers::Numbers;
pub use crate::desk::numbers::precondition::Precondition;
pub use crate::desk::numbers::release::Released;
pub use crate::desk::orders::Orders;
pub use crate::desk::orders::create::Accepted;
pub use crate::desk::orders::manual_review::Finding;
pub use crate::desk::orders::order_with_number::{OrderWithNumber, QueueStatus, RentedNumber};
pub use crate::desk::orders::validate::Validation;
pub use crate::desk::reload_policy::PolicyFile;
pub use crate::desk::resolve_caller::Access;
pub use crate::desk::retention::Retention;
pub use crate::desk::rotate_api_key::ApiKey;
pub use crate::desk::spend::Spending;
pub use crate::desk::subscription::CloseSubscription;
pub use crate::desk::sync::InventorySync;
pub use crate::desk::sync::ingest::Ingested;
pub use crate::desk::webhooks::Webhooks;
pub use crate::desk::webhooks::rotate::Secret;
pub use crate::inventory::NumberFilter;
pub use crate::store::{AuditFilter, OrderFilter, Period};

use crate::close::CloseClient;
use crate::desk::account::Account;
use crate::desk::core::{Core, Shared, Tasks};
use crate::desk::number_cache::NumberCache;
use crate::desk::number_claims::NumberClaims;
use crate::domain::time::{Clock, Timestamp};
use crate::policy::Policy;
use crate::store::Store;

/// All use cases. A clone is one more reference to the same [`Parts`].
#[derive(Clone)]
pub struct Desk(Arc<Parts>);

impl Deref for Desk {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The use cases, grouped by noun.
pub struct Parts {
    /// Orders for numbers.
    pub orders: Orders,
    /// Rented numbers.
    pub numbers: Numbers,
    /// Synchronization of the inventory with Close.
    pub sync: InventorySync,
    /// The webhook subscription in Close that delivers to this service.
    pub subscription: CloseSubscription,
    /// Changes of Close's API.
    pub close_drift: CloseDrift,
    /// The event log.
    pub events: Events,
    /// Webhooks to apps.
    pub webhooks: Webhooks,
    /// The audit trail.
    pub audit: Audit,
    /// The cost of a month.
    pub spend: Spending,
    /// The teams of the caller.
    pub me: Me,
    /// Callers and their rights.
    pub access: Access,
    /// The policy file.
    pub policy: PolicyFile,
    /// Holds on everything that costs or destroys.
    pub holds: Holds,
    /// A person's control of holds.
    pub hold_control: HoldControl,
    /// The API key for Close.
    pub api_key: ApiKey,
    /// The state of the database.
    pub database: Database,
    /// The readiness report.
    pub health: Health,
    /// Gauges of orders, numbers and teams.
    pub gauges: Gauges,
    /// Deletion of old rows.
    pub retention: Retention,
    core: Core,
}

impl Desk {
    /// Creates all parts for an open store and a Close client.
    ///
    /// `tracker` tracks the paid calls. To stop the process, cancel `stop` and wait for the tracker: after the
    /// cancellation no paid call begins.
    pub fn new(
        store: Store,
        close: CloseClient,
        policy: Policy,
        clock: Clock,
        settings: Settings,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let core = Core::from(Shared {
            store,
            close,
            policy: ArcSwap::from_pointee(policy),
            policy_changed: watch::Sender::default(),
            tasks: Tasks::new(tracker, stop, clock.now()),
            clock,
            settings,
            signals: Signals::default(),
        });
        let account = Account::new(core.clone());
        let cache = NumberCache::new(core.clone());
        let claims = NumberClaims::new(core.clone());
        let access = Access::new(core.clone());
        let database = Database::new(core.clone());
        let holds = Holds::new(core.clone(), account.clone());
        let orders = Orders::new(
            core.clone(),
            account.clone(),
            cache.clone(),
            claims.clone(),
            holds.clone(),
        );
        let subscription = CloseSubscription::new(core.clone(), account.clone());
        Self(Arc::new(Parts {
            numbers: Numbers::new(
                core.clone(),
                account.clone(),
                cache.clone(),
                claims,
                holds.clone(),
            ),
            sync: InventorySync::new(
                core.clone(),
                account.clone(),
                cache.clone(),
                orders.clone(),
                subscription.clone(),
            ),
            events: Events::new(
                core.clone(),
                account.clone(),
                cache.clone(),
                access.clone(),
                orders.changes(),
            ),
            close_drift: CloseDrift::new(core.clone()),
            webhooks: Webhooks::new(core.clone()),
            audit: Audit::new(core.clone()),
            spend: Spending::new(core.clone()),
            me: Me::new(core.clone()),
            policy: PolicyFile::new(core.clone()),
            api_key: ApiKey::new(core.clone()),
            hold_control: HoldControl::new(core.store.clone(), core.clock.clone()),
            health: Health::new(
                core.clone(),
                account,
                cache.clone(),
                database.clone(),
                subscription.clone(),
            ),
            gauges: Gauges::new(core.clone(), cache, database.clone()),
            database,
            retention: Retention::new(core.clone()),
            access,
            holds,
            orders,
            subscription,
            core,
        }))
    }

    /// The signals that wake workers before their interval is over.
    pub fn signals(&self) -> Signals {
        self.core.signals.clone()
    }

    /// The current time by the shared clock.
    pub fn now(&self) -> Timestamp {
        self.core.now()
    }
}
