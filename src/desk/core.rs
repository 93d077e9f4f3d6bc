//! The base that all parts share: store, Close client, policy, clock, settings, tasks and signals.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::close::CloseClient;
use crate::domain::id::RequestId;
use crate::domain::money::Money;
use crate::domain::number::Facts;
use crate::domain::time::{Clock, Timestamp};
use crate::error::Error;
use crate::outgoing::Outgoing;
use crate::policy::Policy;
use crate::store::{Observation, Store};
use crate::telemetry::context;

/// The shared base of all parts. A clone is one more reference to the same [`Shared`].
#[derive(Clone)]
pub(in crate::desk) struct Core(Arc<Shared>);

/// The fields of [`Core`].
pub(in crate::desk) struct Shared {
    /// The database: every fact that must survive this process is written here first.
    pub(in crate::desk) store: Store,
    /// The only client of Close, so that all parts share its rate limit and its circuit breaker.
    pub(in crate::desk) close: CloseClient,
    /// The policy in force. Parts read it at each decision, so that a reload takes effect at once.
    pub(in crate::desk) policy: ArcSwap<Policy>,
    /// Signals each change of `policy` to streams, which wait for events.
    pub(in crate::desk) policy_changed: watch::Sender<()>,
    /// The clock. Tests set it, so no part reads the clock of the operating system.
    pub(in crate::desk) clock: Clock,
    /// The configured durations and sources. They do not change while the process runs.
    pub(in crate::desk) settings: Settings,
    /// The tasks of this process, so that a shutdown can wait for paid calls.
    pub(in crate::desk) tasks: Tasks,
    /// Wakes the workers of other parts early, so that parts need not call each other.
    pub(in crate::desk) signals: Signals,
}

impl Deref for Core {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl From<Shared> for Core {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Core {
    /// The current time by the shared clock.
    pub(in crate::desk) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A number as Close showed it at `as_of`, with an estimated monthly price.
    ///
    /// The estimate counts until Close bills a price. It is zero for a number that Close does not charge for.
    pub(in crate::desk) fn observation(&self, facts: Facts, as_of: Timestamp) -> Observation {
        let estimate = if facts.rented() {
            self.policy.load().estimate(facts.country)
        } else {
            Some(Money::ZERO)
        };
        Observation {
            facts,
            as_of,
            estimate,
        }
    }

    /// Runs the work on a task of its own and waits for its result.
    ///
    /// When the client disconnects, only the waiting is dropped: the work runs to its end.
    pub(in crate::desk) async fn spawn_detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.tasks
            .tracker
            .spawn(context::inherit(work))
            .await
            .map_err(|panicked| Error::Internal(panicked.into()))?
    }
}

/// Tracks the tasks of this process, and signals its stop.
pub(in crate::desk) struct Tasks {
    /// Tracks work that must end before the process does: paid calls first of all.
    pub(in crate::desk) tracker: TaskTracker,
    /// Cancelled when the process stops: from then on no paid call begins.
    pub(in crate::desk) stop: CancellationToken,
    /// Cancelled when clients should go to another replica. A child of `stop`.
    pub(in crate::desk) leaving: CancellationToken,
    /// The name of this process in leases.
    pub(in crate::desk) process: Arc<str>,
    /// When this process started.
    pub(in crate::desk) started_at: Timestamp,
}

impl Tasks {
    pub(in crate::desk) fn new(tracker: TaskTracker, stop: CancellationToken, started_at: Timestamp) -> Self {
        Self {
            tracker,
            leaving: stop.child_token(),
            stop,
            process: RequestId::generate(started_at).as_str().into(),
            started_at,
        }
    }
}

/// The configured durations and sources of the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a request waits for the end of its order when the caller names no time.
    pub wait: Duration,
    /// The deadline of one paid call. The Close client enforces it.
    pub deadline: Duration,
    /// How long Close may take to show a rented number in every listing.
    pub settle_after: Duration,
    /// How long an order awaits a second person's approval before it expires.
    pub approval_expires: Duration,
    /// The longest pause between two checks of an unverified order.
    pub reconcile_every: Duration,
    /// How much longer than the deadline a claim lasts: the time for writing the outcome.
    pub lease_margin: Duration,
    /// The time between two complete comparisons with Close.
    pub full_sync: Duration,
    /// The greatest age of a signed webhook that is still accepted.
    pub webhook_tolerance: Duration,
    /// How long events are kept.
    pub event_retention: Duration,
    /// The configured Close organization, for an API key whose user is a member of several.
    pub organization: Option<String>,
    /// The source of the keys that verify Close's webhooks.
    pub signature_keys: SignatureKeySource,
    /// Whether a replica without a usable database is not ready.
    pub ready_needs_database: bool,
    /// Sends webhooks to apps.
    pub outgoing: Outgoing,
    /// Event streams that one process serves at the same time.
    pub event_streams: usize,
    /// Exports that one process serves at the same time. Each holds a page of the audit trail.
    pub exports: usize,
}

/// The source of the keys that verify Close's webhooks.
#[derive(Debug, Clone)]
pub enum SignatureKeySource {
    /// The configuration. The service creates no subscription.
    Configured,
    /// The service's own subscription in Close, which delivers to this URL.
    Subscription(Url),
    /// No source: no webhooks are expected.
    Missing,
}

/// Wakes workers before their interval is over. Clones share it.
#[derive(Clone, Default)]
pub struct Signals {
    /// An order became unverified: reconcile it.
    pub unverified: Arc<Notify>,
    /// A queued order may be free to be dispatched.
    pub queue: Arc<Notify>,
    /// Close sent a webhook: refetch its object.
    pub webhook: Arc<Notify>,
    /// The webhook subscription or its key may have changed.
    pub subscription: Arc<Notify>,
    /// Webhooks of Close may have been lost: poll its event log.
    pub catch_up: Arc<Notify>,
}
