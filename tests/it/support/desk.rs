//! The service without its HTTP API: tests call the use cases directly and move the clock.
//!
//! So hours of settling pass in a moment. Close is the simulated one over real HTTP, and the database is real. Each
//! replica runs in its own Tokio runtime, which a test can drop at any point, as when a machine loses power.

mod calls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use close_sandbox as sandbox;
use numberdesk::close::{self, CloseClient};
use numberdesk::desk::{self, Desk, OrderWithNumber, SignatureKeySource};
use numberdesk::domain::caller::Caller;
use numberdesk::domain::order::{Order, Request, State};
use numberdesk::domain::time::Clock;
use numberdesk::error::Error;
use numberdesk::outgoing::{self, Outgoing};
use numberdesk::policy::Policy;
use numberdesk::store::Store;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::calls::{
    adopt, caller, caller_with, cancel, find, find_order, list, order, orders_in, release, request,
    settle_review, update,
};
use crate::support::close::{FakeClose, RENT};
use crate::support::database::Database;
use crate::support::eventually;

/// How long Close must list no number for an order before the service decides that none was rented.
pub(crate) const SETTLE_AFTER: Duration = Duration::from_mins(5);
/// The deadline of calls to Close, in real time.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A replica of the service with the simulated Close, a database and a clock that the test moves.
pub(crate) struct TestDesk {
    pub(crate) close: FakeClose,
    pub(crate) database: Database,
    clock: Clock,
    policy: String,
    /// The configured organization for replicas that start from now on.
    pub(crate) organization: Option<String>,
    /// The source of webhook signature keys for replicas that start from now on.
    pub(crate) webhooks: SignatureKeySource,
    /// The addresses that the host names of webhook endpoints resolve to.
    pub(crate) names: Names,
    running: Option<Running>,
}

/// The records of the name service for webhook endpoints, which tests can change.
pub(crate) type Names = Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>;

/// How long the delivery of a webhook is retried.
pub(crate) const RETRY_FOR: Duration = Duration::from_hours(72);
/// How long the previous secret of an endpoint stays valid after a rotation.
pub(crate) const OVERLAP: Duration = Duration::from_hours(24);

/// Returns a client for outgoing webhooks to this machine on any port, and to hosts under `.test`.
fn outgoing(names: &Names) -> Outgoing {
    let names = names.clone();
    let settings = outgoing::Settings {
        rules: outgoing::Rules {
            hosts: vec!["*.test".parse().expect("a pattern")],
            networks: vec!["127.0.0.1/32".parse().expect("a network")],
            ports: (1..=u16::MAX).collect(),
            allow_http: true,
        },
        secret: Some("a master secret for tests only".into()),
        ca_file: None,
        proxies: None,
        // Longer than any test waits: the delivery to a receiver that hangs must not end during the test.
        timeout: Duration::from_secs(30),
        retry_for: RETRY_FOR,
        overlap: OVERLAP,
    };
    let lookup: outgoing::Lookup = Arc::new(move |host| {
        let found = names
            .lock()
            .expect("the lock is not poisoned")
            .get(&host)
            .cloned();
        Box::pin(std::future::ready(
            found.ok_or_else(|| std::io::Error::other("no such host")),
        ))
    });
    Outgoing::new(settings, lookup).expect("the client can be made")
}

/// One replica: its use cases, its store, and its tracked tasks.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) desk: Desk,
    pub(crate) store: Store,
    paid: TaskTracker,
}

impl Replica {
    /// Returns once no tracked task is running: no call that rents a number, and no delivery of a webhook.
    pub(crate) async fn wait_until_idle(&self) {
        self.paid.close();
        self.paid.wait().await;
        self.paid.reopen();
    }
}

struct Running {
    replica: Replica,
    process: Process,
}

/// The runtime of one replica. When it is dropped, all its tasks stop where they are, as in a crash.
pub(crate) struct Process(Option<Runtime>);

impl Process {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        Self(Some(runtime))
    }

    /// Starts work that ends with the process.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.0
            .as_ref()
            .expect("the runtime exists until it is dropped")
            .spawn(work)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl TestDesk {
    pub(crate) async fn new(database: Database, policy: &str, seed: u64) -> Self {
        let clock = Clock::manual(Clock::system().now());
        let (clock_of_close, settings) = (clock.of_another_machine(), sandbox::Settings::default());
        let options = sandbox::Options {
            seed,
            clock: sandbox::Clock::new(move || {
                jiff::Timestamp::from_microsecond(clock_of_close.now().as_micros())
                    .expect("a time of this century")
            }),
            settings: sandbox::Settings {
                rate_limit: sandbox::RateLimit {
                    limit: 1_000_000,
                    ..settings.rate_limit
                },
                ..settings
            },
            ..sandbox::Options::default()
        };
        let mut test_desk = Self {
            close: FakeClose::start(options).await,
            database,
            clock,
            policy: policy.to_owned(),
            organization: None,
            webhooks: SignatureKeySource::Missing,
            names: Names::default(),
            running: None,
        };
        test_desk.start().await;
        test_desk
    }

    /// Starts a replica, as after a crash. It continues with the state that the previous one has stored.
    pub(crate) async fn start(&mut self) {
        let process = Process::start();
        let replica = self.build_replica(&process, self.clock.clone()).await;
        self.running = Some(Running { replica, process });
        // The comparison with Close fails if a fault is armed. The service repeats it later.
        let _ = self.run(|desk| async move { desk.sync.compare().await }).await;
    }

    /// Starts a second replica on the same database. It runs until its `Process` is dropped.
    pub(crate) async fn another_replica(&self) -> (Replica, Process) {
        let process = Process::start();
        (self.build_replica(&process, self.clock.clone()).await, process)
    }

    /// Starts a second replica as [`Self::another_replica`] does, on a machine whose clock is wrong by `seconds`.
    pub(crate) async fn replica_with_a_clock_wrong_by(&self, seconds: i64) -> (Replica, Process) {
        let (process, clock) = (Process::start(), self.clock.of_another_machine());
        clock.set_wrong_by(seconds);
        (self.build_replica(&process, clock).await, process)
    }

    async fn build_replica(&self, process: &Process, clock: Clock) -> Replica {
        let database = self.database.clone();
        let base_url = self.close.base_url().parse().expect("a URL");
        let (key, policy) = (self.close.api_key().to_owned(), self.policy.clone());
        let (webhooks, organization) = (self.webhooks.clone(), self.organization.clone());
        let outgoing = outgoing(&self.names);
        let building = process.spawn(async move {
            let store = database.store().await;
            let settings = close::Settings::new(base_url, TIMEOUT);
            let close = CloseClient::new(settings, key.into(), clock.clone()).expect("a client");
            let paid = TaskTracker::new();
            let desk = Desk::new(
                store.clone(),
                close,
                Policy::parse("policy.toml", &policy).expect("a policy"),
                clock,
                desk::Settings {
                    wait: Duration::ZERO,
                    deadline: TIMEOUT,
                    settle_after: SETTLE_AFTER,
                    reconcile_every: Duration::from_secs(30),
                    lease_margin: Duration::from_secs(30),
                    full_sync: Duration::from_mins(15),
                    webhook_tolerance: Duration::from_hours(72),
                    event_retention: Duration::from_hours(720),
                    event_streams: 1_000,
                    exports: 32,
                    approval_expires: Duration::from_hours(72),
                    organization,
                    signature_keys: webhooks,
                    ready_needs_database: false,
                    outgoing,
                },
                paid.clone(),
                CancellationToken::new(),
            );
            Replica { desk, store, paid }
        });
        building.await.expect("the replica can be made")
    }

    pub(crate) fn replica(&self) -> &Replica {
        &self.running.as_ref().expect("a replica runs").replica
    }

    pub(crate) fn store(&self) -> &Store {
        &self.replica().store
    }

    /// Stops the replica at once, as in a crash.
    pub(crate) fn crash(&mut self) {
        drop(self.running.take().expect("a replica runs"));
    }

    /// Starts work in the replica. A crash of the replica ends it.
    pub(crate) fn spawn<T, F>(&self, work: impl FnOnce(Desk) -> F) -> tokio::task::JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let running = self.running.as_ref().expect("a replica runs");
        running.process.spawn(work(running.replica.desk.clone()))
    }

    /// Runs work in the replica and returns its result.
    pub(crate) async fn run<T, F>(&self, work: impl FnOnce(Desk) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.spawn(work)
            .await
            .expect("the task of the replica ends normally")
    }

    /// Moves the clock of the service and of Close.
    pub(crate) fn advance_clock(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Sets the clock of the service to a time that is wrong by `seconds`. Close's clock stays right.
    pub(crate) fn set_clock_wrong_by(&self, seconds: i64) {
        self.clock.set_wrong_by(seconds);
    }

    /// Orders a number, and waits until all calls to Close that follow from the order have ended.
    pub(crate) async fn order(
        &self,
        caller: &Caller,
        key: &str,
        request: &Request,
    ) -> Result<OrderWithNumber, Error> {
        let order = self
            .spawn(order(caller, key, request))
            .await
            .expect("the task of the replica ends normally");
        self.wait_until_idle().await;
        order
    }

    /// Returns once no tracked task is running in the replica, and Close has executed all rents.
    pub(crate) async fn wait_until_idle(&self) {
        self.replica().wait_until_idle().await;
        self.wait_until_close_is_idle().await;
    }

    /// Returns once Close has executed all requests to rent a number.
    pub(crate) async fn wait_until_close_is_idle(&self) {
        eventually("Close has executed all requests to rent", || async {
            let rents = self.close.requests("POST", RENT).await;
            let pending = rents.iter().any(|rent| rent["ending"] == "pending");
            (!pending).then_some(())
        })
        .await;
    }

    /// Returns all orders.
    pub(crate) async fn orders(&self) -> Vec<Order> {
        orders_in(self.store()).await
    }

    /// Runs the workers' steps for orders and releases once each.
    pub(crate) async fn run_steps(&self) {
        // Errors are ignored: a replica logs a failed step and repeats it.
        let _ = self.run(|desk| async move { desk.orders.recover().await }).await;
        self.wait_until_idle().await;
        let _ = self
            .run(|desk| async move { desk.orders.reconcile().await })
            .await;
        let _ = self
            .run(|desk| async move { desk.numbers.finish_releases().await })
            .await;
    }

    /// Runs steps and moves the clock until each order is final or needs a review.
    ///
    /// Returns how far the clock has moved.
    pub(crate) async fn settle(&self) -> Duration {
        let (began, longest) = (self.clock.now(), SETTLE_AFTER * 6);
        loop {
            self.run_steps().await;
            let open: Vec<Order> = self.orders().await;
            let open: Vec<_> = open
                .iter()
                .filter(|order| !order.state.is_final() && order.state != State::NeedsReview)
                .collect();
            if open.is_empty() {
                return self.clock.now().since(began);
            }
            let passed = self.clock.now().since(began);
            assert!(
                passed < longest,
                "orders are not settled after {passed:?}: {open:?}"
            );
            self.advance_clock(Duration::from_secs(15));
        }
    }

    /// Returns the ids of the numbers rented with the API key: those rented now, and all so far.
    pub(crate) async fn rented_by_key(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let all = self.close.numbers().await;
        let ours = |number: &&Value| number["_control"]["made_by"] == "api";
        let id = |number: &Value| number["id"].as_str().expect("an id").to_owned();
        let held = |number: &&Value| number["_control"]["state"] == "rented";
        (
            all.iter().filter(ours).filter(held).map(id).collect(),
            all.iter().filter(ours).map(id).collect(),
        )
    }
}
