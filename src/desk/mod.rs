//! The desk: the use cases, one verb a file. It knows policy, Close and the store; it knows no HTTP,
//! no SQL and none of Close's JSON.

mod audit;
mod events;
mod gauges;
mod health;
mod list;
mod me;
mod number_cache;
mod numbers;
mod orders;
mod reload_policy;
mod resolve_caller;
mod retention;
mod rotate_api_key;
mod spend;
pub mod subscription;
mod sync;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::desk::audit::export::Export;
pub use crate::desk::events::stream::{EventFilter, Following};
pub use crate::desk::health::Readiness;
pub use crate::desk::list::Placed;
pub use crate::desk::me::Standing;
pub use crate::desk::numbers::release::Released;
pub use crate::desk::numbers::update::Precondition;
pub use crate::desk::orders::manual_review::Finding;
pub use crate::desk::orders::validate::Validation;
pub use crate::desk::subscription::ensure::Webhooks;
pub use crate::desk::sync::ingest::Received;
pub use crate::desk::webhooks::rotate::Secret;
pub use crate::inventory::NumberFilter;
pub use crate::store::{AuditFilter, OrderFilter, Period};

use crate::close::{Close, Trouble};
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::caller::Caller;
use crate::domain::decision::{Caps, Decision, Refusal, Usage};
use crate::domain::id::{OrderId, PhoneNumberId, RequestId};
use crate::domain::money::Money;
use crate::domain::number::{Facts, Number};
use crate::domain::time::{Clock, Timestamp};
use crate::error::Error;
use crate::outgoing::Outgoing;
use crate::policy::{Members, Policy};
use crate::store::{Observation, Store};
use crate::telemetry::context;

/// Paid calls that one process has under way at once: more would only meet Close's rate limit together.
const SENDS: usize = 8;
/// Webhooks that one process has under way at once.
const DELIVERIES: usize = 32;
/// Streams of events that one process serves at once.
const STREAMS: usize = 1_000;

/// What the desk is told about time, and about who may be told of events.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an order is waited for when the caller does not say.
    pub wait: Duration,
    /// The deadline of the paid call, as the Close client keeps it.
    pub deadline: Duration,
    /// For so long Close may not show everywhere what it has rented.
    pub settle_after: Duration,
    /// How long an order awaits a second person's approval.
    pub approval_expires: Duration,
    /// The longest pause between two looks for an order in doubt.
    pub reconcile_every: Duration,
    /// How much longer than the deadline a claim holds: time to write the outcome down.
    pub lease_margin: Duration,
    /// The time between two complete listings.
    pub full_sync: Duration,
    /// The age at which what Close has signed is still taken.
    pub webhook_tolerance: Duration,
    /// How long events are kept.
    pub keep_events: Duration,
    /// Where the keys come from that Close's deliveries are checked with.
    pub webhooks: Webhooks,
    /// The way out to apps, with what is configured of it.
    pub outgoing: Outgoing,
}

/// What wakes the steps that would otherwise wait for their time. Clones share it.
#[derive(Clone, Default)]
pub struct Wakes {
    /// An order is in doubt.
    pub doubt: Arc<Notify>,
    /// A queued order may have become free to be sent.
    pub queue: Arc<Notify>,
    /// Close has told of something.
    pub told: Arc<Notify>,
    /// The webhook subscription or its key may have changed.
    pub subscription: Arc<Notify>,
    /// Close may have told of things that did not arrive.
    pub missed: Arc<Notify>,
}

/// Who asks, and with which request: what every audit row starts from.
#[derive(Clone, Copy)]
pub struct By<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// The request.
    pub request_id: &'a RequestId,
}

impl By<'_> {
    fn row(&self, now: Timestamp, action: Action, outcome: &str) -> AuditRow {
        AuditRow::new(now, Actor::from(self.caller), action, outcome).request(Some(self.request_id))
    }
}

/// The desk. Clones share everything.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    store: Store,
    close: Close,
    policy: ArcSwap<Policy>,
    enforced: reload_policy::Told,
    members: ArcSwap<Members>,
    clock: Clock,
    /// When this process began.
    begun: Timestamp,
    settings: Settings,
    /// Names this process in leases.
    holder: String,
    /// Work that must end before the process does.
    tracker: TaskTracker,
    /// From then on no paid call is begun.
    stop: CancellationToken,
    /// From then on requests should go elsewhere; `stop` brings it about too.
    leaving: CancellationToken,
    /// Whose paid call is next.
    sends: orders::fair_queue::Shares,
    /// Since Close refused the key, orders wait.
    key_refused: health::Hold,
    /// Orders that this process is at.
    turns: orders::in_flight::Turns,
    /// Tells who waits for an order that it changed.
    changed: broadcast::Sender<OrderId>,
    wakes: Wakes,
    feed: events::sequence::Feed,
    /// How many webhooks are under way.
    deliveries: Arc<Semaphore>,
    inventory: number_cache::Inventory,
    /// How many streams of events are open.
    streams: Arc<Semaphore>,
    close_health: ArcSwap<health::CloseHealth>,
    head_told: audit::append::Told,
    measured: gauges::Told,
    /// Whether this process has compared the inventory itself.
    synced: AtomicBool,
    inbox: sync::ingest::Inbox,
    /// Since Close refused its event log, it is left alone.
    log_refused: health::Hold,
    webhooks: subscription::ensure::Watch,
}

impl Desk {
    /// A desk over an open store and a client. `tracker` holds the paid calls: whoever stops the process cancels
    /// `stop`, after which no other begins, and waits for it.
    pub fn new(
        store: Store,
        close: Close,
        policy: Policy,
        clock: Clock,
        settings: Settings,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let webhooks = subscription::ensure::Watch::new(&settings.webhooks);
        let begun = clock.now();
        let holder = RequestId::generate(begun).to_string();
        Self(Arc::new(Inner {
            store,
            close,
            policy: ArcSwap::from_pointee(policy),
            enforced: reload_policy::Told::default(),
            members: ArcSwap::from_pointee(Members::new()),
            clock,
            begun,
            settings,
            holder,
            tracker,
            leaving: stop.child_token(),
            stop,
            sends: orders::fair_queue::Shares::new(SENDS),
            key_refused: health::Hold::default(),
            turns: orders::in_flight::Turns::default(),
            changed: broadcast::channel(1024).0,
            wakes: Wakes::default(),
            feed: events::sequence::Feed::default(),
            deliveries: Arc::new(Semaphore::new(DELIVERIES)),
            inventory: number_cache::Inventory::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            close_health: ArcSwap::from_pointee(health::CloseHealth::default()),
            head_told: audit::append::Told::default(),
            measured: gauges::Told::default(),
            synced: AtomicBool::new(false),
            inbox: sync::ingest::Inbox::default(),
            log_refused: health::Hold::default(),
            webhooks,
        }))
    }

    /// What wakes [`Desk::reconcile`], [`Desk::resume`] and [`Desk::keep_subscription`] before their time.
    pub fn wakes(&self) -> Wakes {
        self.0.wakes.clone()
    }

    /// Now, by the clock the desk was given.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// What the caller's team is called in metrics: by its name if the policy has an entry for it, so that tokens make no
    /// names there.
    pub fn team_in_metrics(&self, caller: &Caller) -> String {
        let policy = self.0.policy.load();
        let named = caller
            .teams
            .first()
            .filter(|team| caller.teams.len() == 1 && policy.names(team));
        named.map_or_else(|| "other".to_owned(), ToString::to_string)
    }

    /// A number that is in the caller's reach; what is not does not exist.
    async fn reach(&self, by: By<'_>, id: &PhoneNumberId) -> Result<Number, Error> {
        self.0
            .store
            .number(&by.caller.scope(None)?, id)
            .await?
            .ok_or(Error::NotFound)
    }

    /// What Close said at `as_of`, with the price to reckon with until Close has billed one.
    fn observation(&self, facts: Facts, as_of: Timestamp) -> Observation {
        let estimate = if facts.rented() {
            self.0.policy.load().estimate(facts.country)
        } else {
            Some(Money::ZERO)
        };
        Observation {
            facts,
            as_of,
            estimate,
        }
    }

    /// Does the work on a task of its own: a caller that hangs up loses the answer and nothing else.
    async fn outlive<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.0
            .tracker
            .spawn(context::inherit(work))
            .await
            .map_err(|died| Error::Internal(died.into()))?
    }
}

/// A refusal by policy as an error; caps are told where they are the reason. When others were quicker than the
/// decision, the same rule is asked again; should it now say yes, they were quicker back, too.
fn denied(decision: Decision, caps: Caps, usage: Usage) -> Error {
    match decision {
        Decision::Denied(refusal, explanation) => Error::Denied {
            refusal,
            explanation: Box::new(explanation),
            caps: (refusal != Refusal::Policy).then_some((caps, usage)),
        },
        Decision::Allowed(_) => {
            Error::StoreUnavailable("the team's usage changes too quickly to decide".into())
        }
    }
}

/// What Close's trouble with a number means to who asked for it.
fn troubled(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Refused {
            close_status,
            reason,
            close_errors,
            ..
        } => Error::CloseRefused {
            close_status,
            message: reason,
            errors: close_errors,
        },
        Trouble::NotFound => Error::NotFound,
        Trouble::RateLimited { .. } => unavailable("Close's rate limit is used up"),
        Trouble::Unauthorized => unavailable("Close does not accept the API key"),
        Trouble::Unavailable { reason } => unavailable(reason),
    }
}

/// What a refusal is called when Close gives it no word, as field errors have none.
fn no_word() -> String {
    "error".to_owned()
}

fn unavailable(reason: impl Into<String>) -> Error {
    Error::CloseUnavailable {
        reason: reason.into(),
    }
}
