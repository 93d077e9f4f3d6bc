//! The composition root: open, connect, spawn, serve, drain. The only file that knows everyone.

/// A step of the desk, or of what it stands on, as a loop runs it: `step!(desk.sync)`.
macro_rules! step {
    ($it:ident . $verb:ident) => {{
        let it = $it.clone();
        move || {
            let it = it.clone();
            async move { it.$verb().await }
        }
    }};
}

mod files;
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

pub use self::settings::{auth, telemetry};
pub use crate::app::files::policy;
use crate::app::files::{WATCH, signature_keys};
use crate::app::workers::Workers;
use crate::close::{self, CloseClient};
use crate::config::Config;
use crate::desk::subscription::client::delivery_url;
use crate::desk::{self, Desk, Webhooks};
use crate::domain::time::Clock;
use crate::http::{self, Http, ReloadStatus};
use crate::policy::Policy;
use crate::store::{ProcessLock, Store};
use crate::telemetry::Metrics;

/// How often it is looked whether an order's time has come.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether the next complete listing is due.
const SYNC_TURN: Duration = Duration::from_secs(15);
/// How often it is looked for what may wait a little.
const UNHURRIED: Duration = Duration::from_secs(5);
/// How often what is old is forgotten.
const FORGET: Duration = Duration::from_hours(1);
/// How often it is counted for metrics how things stand: more often than metrics are usually read.
const MEASURE: Duration = Duration::from_secs(10);
/// After a failed step.
const RETRY: Duration = Duration::from_secs(5);
/// How often it is looked whether Close still tells of changes, and whether keys are others.
const SUBSCRIPTION: Duration = Duration::from_mins(1);
/// When all work has ended, for those who still hold something.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A desk that is running.
pub struct App {
    /// Where the API answers.
    pub address: SocketAddr,
    /// Where probes and metrics answer.
    pub ops_address: SocketAddr,
    stop: CancellationToken,
    /// Probes and metrics are answered until the rest has ended.
    ops_stop: CancellationToken,
    desk: Desk,
    drain: Duration,
    grace: Duration,
    /// Connections and loops.
    work: TaskTracker,
    /// Connections of probes and metrics.
    ops: TaskTracker,
    /// Calls to Close that are under way. They may take longer than the grace period.
    paid: TaskTracker,
    deadline: Duration,
    store: Store,
    /// Given back last of all.
    hold: ProcessLock,
}

impl App {
    /// Opens the store, brings its schema up to date, binds both ports and starts everything.
    /// Neither Close nor an issuer needs to be reachable. A SQLite file that another process serves is left alone.
    pub async fn start(config: &Config, policy: Policy, metrics: Metrics) -> anyhow::Result<Self> {
        let hold = ProcessLock::take(config.store.secret())?;
        Self::start_with(hold, config, policy, metrics).await
    }

    /// The same for who holds the database of the configuration already.
    pub async fn start_with(
        hold: ProcessLock,
        config: &Config,
        policy: Policy,
        metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let (work, paid, stop) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let (ops_work, ops_stop) = (TaskTracker::new(), CancellationToken::new());
        let store = Store::open(config.store.secret())
            .await
            .context("the database can't be opened")?;
        for migration in store.migrate().await.context("the database can't be migrated")? {
            tracing::info!(migration, "database migrated");
        }
        let api = bind(config.server.listen, "server.listen").await?;
        let ops = bind(config.server.ops_listen, "server.ops_listen").await?;
        let (address, ops_address) = (api.local_addr()?, ops.local_addr()?);

        let auth = auth(config, clock.clone())?;
        let identity = tls::Watched::start(config, clock.clone())?;
        let close = CloseClient::new(
            close::Settings {
                base_url: config.close.base_url.clone(),
                timeout: config.close.timeout,
            },
            config.close.api_key.read_api_key().map_err(anyhow::Error::msg)?,
            clock.clone(),
        )?;
        let outgoing = outgoing::way_out(config)?;
        let desk = Desk::new(
            store.clone(),
            close.clone(),
            policy,
            clock,
            desk::Settings {
                wait: config.orders.wait,
                deadline: config.close.timeout,
                settle_after: config.orders.settle_after,
                reconcile_every: config.orders.reconcile_every,
                lease_margin: config.orders.lease_margin,
                approval_expires: config.orders.approval_expires,
                full_sync: config.inventory.full_sync,
                webhook_tolerance: config.close.webhook_tolerance,
                keep_events: config.events.keep,
                webhooks: webhooks(config, address),
                outgoing: outgoing.clone(),
            },
            paid.clone(),
            stop.clone(),
        );

        if let Some(keys) = &config.close.webhook_key {
            desk.adopt_webhook_keys(signature_keys(keys).map_err(anyhow::Error::msg)?);
        }

        let rendered = metrics.clone();
        let front = Http::new(
            desk.clone(),
            auth.clone(),
            store.cursor_key().await?,
            limits(config),
        );
        let status = ReloadStatus::default();
        let operators = http::ops(front.clone(), Arc::new(move || rendered.render()), status.clone());
        let tls = identity.as_ref().map(tls::Watched::tls);
        for (listener, tls, router, until, tracker) in [
            (api, tls, http::api(front), stop.clone(), &work),
            (ops, None, operators, ops_stop.clone(), &ops_work),
        ] {
            let (limits, last_word) = (limits(config), stop.clone().drop_guard());
            tracker.spawn(async move {
                if let Err(error) = http::serve(listener, tls, router, &limits, until).await {
                    tracing::error!(%error, "a listener failed");
                }
                drop(last_word);
            });
        }
        let workers = Workers::new(work.clone(), stop.clone());
        workers.every("upkeep", WATCH, WATCH, move || {
            metrics.run_upkeep();
            std::future::ready(Ok::<(), std::convert::Infallible>(()))
        });
        spawn_workers(&workers, config, &desk, &store);
        files::spawn(&workers, config, &desk, &auth, &status);
        tls::spawn(&workers, identity, &status);
        outgoing::spawn(&workers, config, &desk, &store, outgoing, &status);
        tracing::info!(%address, %ops_address, "numberdesk is up");
        Ok(Self {
            address,
            ops_address,
            stop,
            ops_stop,
            desk,
            drain: config.server.drain,
            grace: config.server.grace,
            work,
            ops: ops_work,
            paid,
            deadline: config.close.timeout,
            store,
            hold,
        })
    }

    /// Completes when something that must run has stopped.
    pub async fn broken(&self) {
        self.stop.cancelled().await;
    }

    /// Tells probes to send requests elsewhere, and answers them until that must have happened. Then accepts nothing more,
    /// lets requests and paid calls end, and closes the store. A paid call that has begun is waited for until its own
    /// deadline; what is left after that, or when this is dropped, is found again at the next start.
    pub async fn stop(self) {
        self.desk.leave();
        // Where a part has stopped by itself, nobody is served any more.
        let _ = tokio::time::timeout(self.drain, self.stop.cancelled()).await;
        self.stop.cancel();
        self.work.close();
        self.paid.close();
        let last = self.grace.max(self.deadline + Duration::from_secs(5));
        let ended = async {
            tokio::join!(
                tokio::time::timeout(self.grace, self.work.wait()),
                tokio::time::timeout(last, self.paid.wait())
            )
        };
        if let (Err(_), _) | (_, Err(_)) = ended.await {
            tracing::warn!("the grace period is over with work under way; it is taken up at the next start");
        }
        self.ops_stop.cancel();
        self.ops.close();
        let told = tokio::time::timeout(LAST_WORDS, self.ops.wait());
        if told.await.is_err() {
            tracing::warn!("a probe did not let go in time");
        }
        let closed = tokio::time::timeout(LAST_WORDS, self.store.close());
        if closed.await.is_err() {
            tracing::warn!("the database did not let go in time");
        }
        drop(self.hold);
    }
}

fn spawn_workers(workers: &Workers, config: &Config, desk: &Desk, store: &Store) {
    let (wakes, inventory) = (desk.wakes(), &config.inventory);
    let every = inventory.full_sync.min(SYNC_TURN);
    workers.every("sync", every, RETRY, step!(desk.sync_in_turn));
    workers.woken("read-back", wakes.told, TICK, RETRY, step!(desk.read_back));
    workers.woken("resume", wakes.queue, TICK, RETRY, step!(desk.resume));
    workers.woken("reconcile", wakes.doubt, TICK, RETRY, step!(desk.reconcile));
    workers.woken(
        "catch-up",
        wakes.missed,
        inventory.catch_up,
        RETRY,
        step!(desk.catch_up),
    );
    workers.woken(
        "subscription",
        wakes.subscription,
        SUBSCRIPTION,
        RETRY,
        step!(desk.keep_subscription),
    );
    workers.every("orphans", UNHURRIED, RETRY, step!(desk.explain_orphans));
    workers.every("forget", FORGET, RETRY, step!(desk.forget));
    workers.woken("feed", store.new_events(), TICK, TICK, step!(desk.feed));
    workers.every("listen", RETRY, RETRY, step!(store.listen));
    workers.every("approvals", TICK, RETRY, step!(desk.expire_approvals));
    workers.every("releases", UNHURRIED, RETRY, step!(desk.finish_releases));
    workers.every("due-releases", UNHURRIED, RETRY, step!(desk.release_due));
    workers.every("labels", UNHURRIED, RETRY, step!(desk.set_labels));
    workers.every("seal", TICK, RETRY, step!(desk.seal));
    workers.every("measure", MEASURE, MEASURE, step!(desk.measure));
}

/// Where signatures of Close's deliveries are told by; `address` is where the API answers.
fn webhooks(config: &Config, address: SocketAddr) -> Webhooks {
    if config.close.webhook_key.is_some() {
        return Webhooks::Configured;
    }
    let mut public_url = config.server.public_url.clone();
    if public_url.port() == Some(0) && public_url.set_port(Some(address.port())).is_err() {
        return Webhooks::Nowhere;
    }
    match delivery_url(&public_url, &config.close.base_url) {
        Some(url) if config.close.subscribe => Webhooks::Own(url),
        _ => Webhooks::Nowhere,
    }
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key}: can't listen on {address}"))
}

fn limits(config: &Config) -> http::Limits {
    http::Limits {
        body: config.server.body_limit,
        header_timeout: config.server.header_timeout,
        max_headers: config.server.max_headers,
        grace: config.server.grace,
        requests_per_minute: config.limits.requests_per_minute,
        burst: config.limits.burst,
        in_flight: config.limits.in_flight,
        waiting_orders: config.limits.waiting_orders,
    }
}
