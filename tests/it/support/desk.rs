//! The desk without HTTP: tests call the use cases directly, and the clock moves only when the test moves it.
//!
//! Hours of settling pass in a moment. Close is the simulated one over real HTTP, and the database is real. The desk runs
//! in its own runtime, which a test can drop at any point, as when a machine loses power.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use close_sandbox as sandbox;
use numberdesk::close::{self, CloseClient};
use numberdesk::desk::{self, Desk, Finding, NumberFilter, OrderWithNumber, Released, SignatureKeySource};
use numberdesk::domain::authority::CallContext;
use numberdesk::domain::authority::Scope;
use numberdesk::domain::caller::{Caller, Team};
use numberdesk::domain::id::{OrderId, PhoneNumberId, RequestId};
use numberdesk::domain::number::Number;
use numberdesk::domain::order::{Order, Request, State};
use numberdesk::domain::page::{Limit, Page};
use numberdesk::domain::time::Clock;
use numberdesk::error::Error;
use numberdesk::outgoing::{self, Outgoing};
use numberdesk::policy::Policy;
use numberdesk::store::{OrderFilter, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::close::{FakeClose, RENT};
use crate::support::database::Database;
use crate::support::eventually;

/// How long Close must show no number before the desk decides that there is none.
pub(crate) const SETTLE_AFTER: Duration = Duration::from_mins(5);
/// The deadline of calls to Close, in real time.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Desk, Close, database and clock.
pub(crate) struct TestDesk {
    pub(crate) close: FakeClose,
    pub(crate) database: Database,
    clock: Clock,
    policy: String,
    /// The source of webhook signature keys for replicas that start from now on.
    pub(crate) webhooks: SignatureKeySource,
    /// The addresses that host names resolve to.
    pub(crate) names: Names,
    running: Option<Running>,
}

/// A name service that the test fills.
pub(crate) type Names = Arc<Mutex<BTreeMap<String, Vec<IpAddr>>>>;

/// For how long a webhook is tried, and how long a secret overlaps the next.
pub(crate) const RETRY_FOR: Duration = Duration::from_hours(72);
pub(crate) const OVERLAP: Duration = Duration::from_hours(24);

/// A client for outgoing webhooks that may call this machine on any port, and `*.test`.
fn outgoing(names: &Names) -> Outgoing {
    let names = names.clone();
    let settings = outgoing::Settings {
        rules: outgoing::Rules {
            hosts: vec!["*.test".parse().expect("a pattern")],
            networks: vec!["127.0.0.1/32".parse().expect("a network")],
            ports: (1..=u16::MAX).collect(),
            allow_http: true,
        },
        secret: Some("a master secret of the tests alone".into()),
        // A receiver that hangs does so for longer than a test looks on.
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
    Outgoing::new(settings, lookup).expect("a way out")
}

/// One replica: a desk, its store and the paid calls under way.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) desk: Desk,
    pub(crate) store: Store,
    paid: TaskTracker,
}

impl Replica {
    /// Returns once no paid call is under way.
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

    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.0.as_ref().expect("it is on").spawn(work)
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
        let (told, settings) = (clock.clone(), sandbox::Settings::default());
        let options = sandbox::Options {
            seed,
            clock: sandbox::Clock::new(move || {
                jiff::Timestamp::from_microsecond(told.now().as_micros()).expect("a time of this century")
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
            webhooks: SignatureKeySource::Missing,
            names: Names::default(),
            running: None,
        };
        test_desk.start().await;
        test_desk
    }

    /// Starts a replica, as after a crash. It finds what the one before has left.
    pub(crate) async fn start(&mut self) {
        let process = Process::start();
        let replica = self.build_replica(&process).await;
        self.running = Some(Running { replica, process });
        // A fault that is armed may keep it from looking; it looks again later.
        let _ = self.run(|desk| async move { desk.sync.compare().await }).await;
    }

    /// A second replica on the same database. It runs until its `Process` is dropped.
    pub(crate) async fn another_replica(&self) -> (Replica, Process) {
        let process = Process::start();
        (self.build_replica(&process).await, process)
    }

    async fn build_replica(&self, process: &Process) -> Replica {
        let (database, clock) = (self.database.clone(), self.clock.clone());
        let base_url = self.close.base_url().parse().expect("a URL");
        let (key, policy) = (self.close.api_key().to_owned(), self.policy.clone());
        let webhooks = self.webhooks.clone();
        let outgoing = outgoing(&self.names);
        let made = process.spawn(async move {
            let store = database.store().await;
            let settings = close::Settings {
                base_url,
                timeout: TIMEOUT,
            };
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
                    approval_expires: Duration::from_hours(72),
                    signature_keys: webhooks,
                    outgoing,
                },
                paid.clone(),
                CancellationToken::new(),
            );
            Replica { desk, store, paid }
        });
        made.await.expect("the desk can be made")
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
        self.spawn(work).await.expect("the replica goes on")
    }

    /// Moves the clock of desk and Close.
    pub(crate) fn advance_clock(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Orders a number. Calls to Close that follow from it have ended when this returns.
    pub(crate) async fn order(
        &self,
        who: &Caller,
        key: &str,
        request: &Request,
    ) -> Result<OrderWithNumber, Error> {
        let placed = self
            .spawn(order(who, key, request))
            .await
            .expect("the replica goes on");
        self.wait_until_idle().await;
        placed
    }

    /// Returns once no paid call is under way, here or at Close.
    pub(crate) async fn wait_until_idle(&self) {
        self.replica().wait_until_idle().await;
        self.wait_until_close_is_idle().await;
    }

    /// Returns once Close has done all that it was asked to.
    pub(crate) async fn wait_until_close_is_idle(&self) {
        eventually("Close ends what it has begun", || async {
            let rents = self.close.requests("POST", RENT).await;
            let pending = rents.iter().any(|rent| rent["ending"] == "pending");
            (!pending).then_some(())
        })
        .await;
    }

    /// Every order there is.
    pub(crate) async fn orders(&self) -> Vec<Order> {
        let limit = Limit::new(200).expect("a limit");
        let (mut orders, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .store()
                .orders(
                    &Scope::system("test"),
                    &OrderFilter::default(),
                    limit,
                    after.as_deref(),
                )
                .await
                .expect("orders can be read");
            orders.extend(page.rows);
            match page.next {
                Some(next) => after = Some(next),
                None => return orders,
            }
        }
    }

    /// Runs every step once, in the order in which a replica would.
    pub(crate) async fn run_steps(&self) {
        // A step that fails is logged and tried again.
        let _ = self.run(|desk| async move { desk.orders.recover().await }).await;
        self.wait_until_idle().await;
        let _ = self
            .run(|desk| async move { desk.orders.reconcile().await })
            .await;
        let _ = self
            .run(|desk| async move { desk.numbers.finish_releases().await })
            .await;
    }

    /// Lets time pass until nothing is unsettled; what waits for a person stays. How long it took by the clock.
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
            assert!(passed < longest, "unsettled after {passed:?}: {open:?}");
            self.advance_clock(Duration::from_secs(15));
        }
    }

    /// Ids of the numbers that Close rents to the desk's key now, and of all it ever did.
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

/// What a task of the replica does to its end.
type Work<T> = futures::future::BoxFuture<'static, Result<T, Error>>;

/// One use case, run for a caller, as its own task.
macro_rules! done_by {
    ($who:expr, |$desk:ident, $by:ident| $work:expr) => {{
        let who = $who.clone();
        move |$desk: Desk| -> Work<_> {
            Box::pin(async move {
                let request_id = RequestId::generate($desk.now());
                let $by = CallContext::new(&who, &request_id);
                $work.await
            })
        }
    }};
}

/// Orders, and does not wait.
pub(crate) fn order(
    who: &Caller,
    key: &str,
    request: &Request,
) -> impl FnOnce(Desk) -> Work<OrderWithNumber> + use<> {
    let (request, key) = (request.clone(), key.parse().expect("a key"));
    done_by!(who, |desk, by| desk.orders.create(
        by,
        None,
        request,
        Some(key),
        Some(Duration::ZERO)
    ))
}

/// Releases.
pub(crate) fn release(who: &Caller, number: &PhoneNumberId) -> impl FnOnce(Desk) -> Work<Released> + use<> {
    let number = number.clone();
    done_by!(who, |desk, by| desk.numbers.release(by, &number))
}

/// Reads a number.
pub(crate) fn find(who: &Caller, number: &PhoneNumberId) -> impl FnOnce(Desk) -> Work<Arc<Number>> + use<> {
    let number = number.clone();
    done_by!(who, |desk, by| desk.numbers.find(by, &number))
}

/// Cancels.
pub(crate) fn cancel(who: &Caller, id: &OrderId) -> impl FnOnce(Desk) -> Work<OrderWithNumber> + use<> {
    let id = id.clone();
    done_by!(who, |desk, by| desk.orders.cancel(by, &id))
}

/// Adopts a number for a team.
pub(crate) fn adopt(
    who: &Caller,
    number: &PhoneNumberId,
    team: &str,
) -> impl FnOnce(Desk) -> Work<Number> + use<> {
    let (number, team) = (number.clone(), team.parse().expect("a team"));
    done_by!(who, |desk, by| desk.numbers.transfer(by, &number, &team))
}

/// Lists the first two hundred numbers.
pub(crate) fn list(who: &Caller) -> impl FnOnce(Desk) -> Work<Page<Arc<Number>>> + use<> {
    let (filter, limit) = (NumberFilter::default(), Limit::new(200).expect("a limit"));
    done_by!(who, |desk, by| desk.numbers.list(by, None, &filter, limit, None))
}

/// Says what became of an order in review.
pub(crate) fn settle_review(
    who: &Caller,
    id: &OrderId,
    finding: Finding,
) -> impl FnOnce(Desk) -> Work<OrderWithNumber> + use<> {
    let id = id.clone();
    done_by!(who, |desk, by| desk.orders.settle_review(by, &id, &finding))
}

/// Someone of this team who may do everything.
pub(crate) fn caller(team: &str) -> Caller {
    let team: Team = team.parse().expect("a team");
    let permissions = "numbers:read numbers:rent numbers:update numbers:release numbers:group numbers:admin";
    Caller {
        issuer: "https://idp.example.com/".to_owned(),
        subject: format!("app of {team}"),
        teams: vec![team],
        permissions: permissions.split(' ').map(str::to_owned).collect(),
        close_user: None,
        claims: json!({}),
    }
}

/// A request as its JSON would be read.
pub(crate) fn request(body: &Value) -> Request {
    let read = numberdesk::domain::order::request::OrderBody::read;
    numberdesk::domain::input::fields::read(body, read)
        .expect("a request")
        .request
}
