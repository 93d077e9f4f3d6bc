//! The composition root: opens the store, builds the parts, starts workers and listeners, and stops them in order.
//!
//! # Start
//!
//! 1. Take the process lock: only one process may serve a SQLite file.
//! 2. Open the store and migrate its schema.
//! 3. Bind both ports, so that a taken port fails before any work begins.
//! 4. Build the parts from the configuration. Only if the organization of the API key is not stored yet, or configured,
//!    Close is asked for it; Close and the issuers may be down.
//! 5. Serve both ports, and start the workers. `/readyz` reports ready once all numbers are loaded.
//!
//! # Stop
//!
//! 1. Readiness fails. For `server.drain`, requests are still accepted, so that load balancers can notice.
//! 2. `stop` is cancelled: listeners accept no more connections, and workers end. A running step may be dropped.
//! 3. Requests get `server.grace` to end. Paid calls to Close get their own deadline, if that is longer.
//! 4. The ops port closes last, for probes and metrics. Then the store closes, and the process lock is released.
//!
//! Work that does not end in time is safe: each step is idempotent, and the next start recovers orders in progress.
//!
//! # Failure
//!
//! When a worker panics or a listener ends by itself, a guard cancels `stop`. Then [`App::broken`] completes, and the
//! process stops in the same order.

/// Makes a worker's step from an async method of the desk or the store: `step!(desk.sync.compare)`.
macro_rules! step {
    ($owner:ident $(. $member:ident)+) => {{
        let owner = $owner.clone();
        move || {
            let owner = owner.clone();
            async move { owner$(.$member)+().await }
        }
    }};
}

mod files;
mod last_policy;
mod outgoing;
mod settings;
mod tls;
pub mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::settings::{auth, close, proxies, telemetry};
use self::settings::{desk_settings, limits, logged_requests};
pub use crate::app::files::policy;
use crate::app::files::signature_keys;
pub use crate::app::last_policy::last_policy;
use crate::app::workers::{RETRY, TICK, Workers};
use crate::close::CloseClient;
use crate::config::Config;
use crate::desk::Desk;
use crate::domain::time::Clock;
use crate::egress::Proxies;
use crate::http::{self, Http, ReloadStatus};
use crate::policy::Policy;
use crate::store::{ProcessLock, Store};
use crate::telemetry::Metrics;

/// How often a replica checks whether the next complete comparison is due.
const SYNC_CHECK: Duration = Duration::from_secs(15);
/// The interval of workers that no request waits for.
const SLOW_TICK: Duration = Duration::from_secs(5);
/// How often expired rows are deleted.
const RETENTION: Duration = Duration::from_hours(1);
/// How often gauges are read from the database; more often than Prometheus usually scrapes.
const GAUGES: Duration = Duration::from_secs(10);
/// How often the database is checked. Probes and metrics show its state.
const DATABASE: Duration = Duration::from_secs(2);
/// How often the webhook subscription and its keys are checked.
const SUBSCRIPTION: Duration = Duration::from_mins(1);
/// How long the ops port and the store may take to close, after all work has ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the start waits for Close to name the organization of the API key.
const ORGANIZATION_TIMEOUT: Duration = Duration::from_secs(5);

/// A running service. Call [`Self::stop`] to stop it in order; dropping it does not do that.
pub struct App {
    /// The bound address of the API.
    pub address: SocketAddr,
    /// The bound address of probes and metrics.
    pub ops_address: SocketAddr,
    /// Cancelled at the stop, or when a worker or listener fails: ends listeners and workers.
    stop: CancellationToken,
    /// Ends the ops listener, after everything else.
    ops_stop: CancellationToken,
    /// Informed first of a stop, so that readiness fails.
    desk: Desk,
    /// How long requests are accepted after readiness fails.
    drain: Duration,
    /// How long requests may take to end after that.
    grace: Duration,
    /// API connections and workers.
    work: TaskTracker,
    /// Connections of the ops port.
    ops: TaskTracker,
    /// Paid calls to Close in progress. They may take longer than the grace period, up to `deadline`.
    paid: TaskTracker,
    /// The longest time of one call to Close.
    deadline: Duration,
    /// Closed when no work uses it any more.
    store: Store,
    /// Released last, so that no other process opens the store before.
    lock: ProcessLock,
}

impl App {
    /// Starts the service.
    ///
    /// Fails if the configuration is unusable, a port is taken, or another process has the SQLite file. Neither Close
    /// nor an issuer needs to be reachable.
    pub async fn start(config: &Config, policy: Policy, metrics: Metrics) -> anyhow::Result<Self> {
        let proxies = proxies(config).map_err(anyhow::Error::msg)?;
        Self::start_by(proxies, config, policy, metrics).await
    }

    /// Starts the service as [`Self::start`] does, with the [`proxies`] of its configuration.
    pub async fn start_by(
        proxies: Proxies,
        config: &Config,
        policy: Policy,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let lock = ProcessLock::take(config.store.url().map_err(anyhow::Error::msg)?.secret())?;
        Box::pin(Self::start_with(lock, config, proxies, policy, metrics)).await
    }

    /// Starts the service as [`Self::start_by`] does, with the process lock that the caller has taken.
    pub async fn start_with(
        lock: ProcessLock,
        config: &Config,
        proxies: Proxies,
        policy: Policy,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let files_clock = clock.clone();
        let (work, paid, stop) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let (ops_work, ops_stop) = (TaskTracker::new(), CancellationToken::new());
        let store = open_store(config).await?;
        let api = bind(*config.server.listen, "server.listen")?;
        let ops = bind(*config.server.ops_listen, "server.ops_listen")?;
        let (address, ops_address) = (api.local_addr()?, ops.local_addr()?);

        tracing::info!(route = %proxies.route(&config.close.base_url), "Close is reached");
        if config.close.is_simulated() {
            tracing::warn!("Close is simulated; nothing is rented or paid");
        }
        let auth = auth(config, &proxies, clock.clone())?;
        let identity = tls::CertificateWatch::start(config, clock.clone())?;
        let close = CloseClient::new(
            close(config, &proxies),
            config
                .close
                .api_key()
                .read_api_key()
                .map_err(anyhow::Error::msg)?,
            clock.clone(),
        )?;
        let outgoing = outgoing::outgoing_client(config, &proxies)?;
        let desk = Desk::new(
            store.clone(),
            close.clone(),
            policy,
            clock,
            desk_settings(config, address, outgoing.clone()),
            paid.clone(),
            stop.clone(),
        );

        // Before the first probe, which is answered from memory.
        desk.database.check().await?;
        let check = desk.api_key.check_organization();
        if let Ok(Err(wrong)) = tokio::time::timeout(ORGANIZATION_TIMEOUT, check).await {
            anyhow::bail!(wrong);
        }
        if let Some(keys) = config.close.webhook_key() {
            desk.subscription
                .set_keys(signature_keys(&keys).map_err(anyhow::Error::msg)?);
        }

        let http_state = Http::new(
            desk.clone(),
            auth.clone(),
            store.cursor_key().await?,
            limits(config),
        )
        .below(config.server.public_url().path())
        .allow_origins(&config.server.cors_origins())
        .log_requests(logged_requests(config));
        let status = ReloadStatus::default();
        let operators = http::ops(
            http_state.clone(),
            Arc::new(move |format| metrics.render(format)),
            status.clone(),
        );
        let tls = identity.as_ref().map(tls::CertificateWatch::tls);
        for (listener, tls, router, until, tracker) in [
            (api, tls, http::api(http_state), stop.clone(), &work),
            (ops, None, operators, ops_stop.clone(), &ops_work),
        ] {
            let (limits, stop_on_drop) = (limits(config), stop.clone().drop_guard());
            tracker.spawn(async move {
                if let Err(error) = http::serve(listener, tls, router, &limits, until).await {
                    tracing::error!(%error, "listener failed");
                }
                drop(stop_on_drop);
            });
        }
        let workers = Workers::new(work.clone(), stop.clone());
        spawn_workers(&workers, config, &desk, &store);
        files::spawn(&workers, config, &desk, &auth, &status);
        files::spawn_egress(&workers, config, proxies, close, &status, files_clock);
        tls::spawn(&workers, identity, &status);
        outgoing::spawn(&workers, config, &desk, &store, outgoing, &status);
        tracing::info!(%address, %ops_address, "numberdesk is up");
        Ok(Self {
            address,
            ops_address,
            stop,
            ops_stop,
            desk,
            drain: config.server.drain.get(),
            grace: config.server.grace.get(),
            work,
            ops: ops_work,
            paid,
            deadline: config.close.timeout.get(),
            store,
            lock,
        })
    }

    /// Completes when a worker or listener has failed: the service can't go on.
    pub async fn broken(&self) {
        self.stop.cancelled().await;
    }

    /// Stops the service in the order that the module describes.
    pub async fn stop(self) {
        self.desk.health.leave();
        // Ends at once if a part has failed, because `stop` is cancelled then.
        let _ = tokio::time::timeout(self.drain, self.stop.cancelled()).await;
        self.stop.cancel();
        self.work.close();
        self.paid.close();
        let paid_grace = self.grace.max(self.deadline + Duration::from_secs(5));
        let ended = async {
            tokio::join!(
                tokio::time::timeout(self.grace, self.work.wait()),
                tokio::time::timeout(paid_grace, self.paid.wait())
            )
        };
        if let (Err(_), _) | (_, Err(_)) = ended.await {
            tracing::warn!("grace period ended with work in progress; the next start recovers the work");
        }
        self.ops_stop.cancel();
        self.ops.close();
        let ops_closed = tokio::time::timeout(CLOSE_TIMEOUT, self.ops.wait());
        if ops_closed.await.is_err() {
            tracing::warn!("ops connections not closed in time");
        }
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, self.store.close());
        if closed.await.is_err() {
            tracing::warn!("database not closed in time");
        }
        drop(self.lock);
    }
}

/// Opens the database and applies missing migrations.
async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let url = config.store.url().map_err(anyhow::Error::msg)?;
    if let Some(weakness) = url.weakness() {
        tracing::warn!(weakness, "database connection is not verified");
    }
    let store = Store::open(url.secret())
        .await
        .context("the database can't be opened")?;
    for migration in store.migrate().await.context("the database can't be migrated")? {
        tracing::info!(migration, "database migrated");
    }
    if store.transaction_pooling() {
        tracing::info!(
            "database is behind a pooler in transaction mode; replicas poll for each other's events"
        );
    }
    Ok(store)
}

fn spawn_workers(workers: &Workers, config: &Config, desk: &Desk, store: &Store) {
    let (signals, inventory) = (desk.signals(), &config.inventory);
    let every = inventory.full_sync.get().min(SYNC_CHECK);
    workers.every("sync", every, RETRY, step!(desk.sync.compare_when_due));
    workers.woken(
        "read-back",
        signals.webhook,
        TICK,
        RETRY,
        step!(desk.sync.refetch),
    );
    workers.woken("resume", signals.queue, TICK, RETRY, step!(desk.orders.recover));
    workers.woken(
        "reconcile",
        signals.unverified,
        TICK,
        RETRY,
        step!(desk.orders.reconcile),
    );
    workers.woken(
        "catch-up",
        signals.catch_up,
        inventory.catch_up.get(),
        RETRY,
        step!(desk.sync.poll_event_log),
    );
    workers.woken(
        "subscription",
        signals.subscription,
        SUBSCRIPTION,
        RETRY,
        step!(desk.subscription.ensure),
    );
    workers.every("hold", SYNC_CHECK, RETRY, step!(desk.holds.search_when_due));
    workers.every("orphans", SLOW_TICK, RETRY, step!(desk.orders.explain_orphans));
    workers.every("forget", RETENTION, RETRY, step!(desk.retention.delete_expired));
    workers.woken(
        "feed",
        store.new_events(),
        TICK,
        TICK,
        step!(desk.events.assign_sequence),
    );
    workers.every("listen", RETRY, RETRY, step!(store.listen));
    workers.every("approvals", TICK, RETRY, step!(desk.orders.expire_approvals));
    workers.every("releases", SLOW_TICK, RETRY, step!(desk.numbers.finish_releases));
    workers.every("due-releases", SLOW_TICK, RETRY, step!(desk.numbers.release_due));
    workers.every("labels", SLOW_TICK, RETRY, step!(desk.orders.set_labels));
    workers.every("seal", TICK, RETRY, step!(desk.audit.append));
    workers.every("close-drift", SLOW_TICK, RETRY, step!(desk.close_drift.record));
    workers.every("spend", SLOW_TICK, RETRY, step!(desk.spend.count));
    workers.every("database", DATABASE, DATABASE, step!(desk.database.check));
    workers.every(
        "close-calls",
        SLOW_TICK,
        RETRY,
        step!(desk.health.call_close_if_idle),
    );
    workers.every("measure", GAUGES, GAUGES, step!(desk.gauges.record));
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    http::bind(address).with_context(|| format!("{key}: can't listen on {address}"))
}
