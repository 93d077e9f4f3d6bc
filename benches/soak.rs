//! Runs the service under mixed load for a long time, and fails if memory or file descriptors keep growing.
//!
//! `cargo bench --bench soak [-- SECONDS]`, ten minutes by default, on SQLite, or on the PostgreSQL server that
//! `NUMBERDESK_TEST_POSTGRES` names. The load has reads, orders, releases, webhooks from Close, event streams, a team
//! above its rate limit, and clients that are slow on purpose. Growth in the first third is allowed.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use close_sandbox::Options;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use self::support::{Desk, KEY, database, now};

const SAMPLE: Duration = Duration::from_secs(10);
/// The largest accepted growth of memory, as a share.
const GROWTH: f64 = 0.10;
/// The largest accepted growth of the number of descriptors.
const DESCRIPTORS: usize = 20;
const STREAMS: usize = 20;
const SLOW: usize = 30;

fn main() {
    // `cargo bench` passes `--bench`.
    let seconds = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(600));
    let flat = tokio::runtime::Runtime::new()
        .expect("a runtime can be made")
        .block_on(soak(length));
    std::process::exit(i32::from(!flat));
}

/// The service, and counts of the responses to its clients.
struct Load {
    desk: Desk,
    done: AtomicU64,
    limited: AtomicU64,
    shed: AtomicU64,
    failed: AtomicU64,
    events: AtomicU64,
    cut_off: AtomicU64,
}

async fn soak(length: Duration) -> bool {
    let options = Options {
        numbers: 200,
        ..Options::default()
    };
    let store = match std::env::var("NUMBERDESK_TEST_POSTGRES") {
        Ok(server) => database(&server, "soak").await,
        Err(_) => "sqlite://desk.db".to_owned(),
    };
    let load = Arc::new(Load {
        desk: Desk::start(options, &store, "[inventory]\nfull_sync = \"30s\"").await,
        done: AtomicU64::new(0),
        limited: AtomicU64::new(0),
        shed: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        events: AtomicU64::new(0),
        cut_off: AtomicU64::new(0),
    });
    let mut clients = JoinSet::new();
    begin(&load, &mut clients);
    let samples = watch(&load, length).await;
    clients.shutdown().await;
    let flat = is_flat(&samples) && load.failed.load(Ordering::Relaxed) == 0;
    let load = Arc::into_inner(load).expect("all clients have ended");
    println!("{}", load.desk.stop().await);
    flat
}

fn begin(load: &Arc<Load>, clients: &mut JoinSet<()>) {
    every(clients, load, 200, |load, _| async move {
        load.ask("readers", "GET", "/v1/phone-numbers?limit=50", None)
            .await;
    });
    every(clients, load, 50, |load, _| async move {
        load.ask("greedy", "GET", "/v1/me", None).await;
    });
    every(clients, load, 1_000, |load, nth| async move {
        load.rent_and_release(nth).await;
    });
    every(clients, load, 200, |load, nth| async move {
        load.deliver(nth).await;
    });
    for _ in 0..STREAMS {
        let load = load.clone();
        clients.spawn(async move {
            loop {
                load.follow().await;
                sleep(Duration::from_secs(1)).await;
            }
        });
    }
    for nth in 0..SLOW {
        let load = load.clone();
        clients.spawn(async move {
            loop {
                load.dawdle(nth % 3).await;
                sleep(Duration::from_millis(500)).await;
            }
        });
    }
}

/// Starts work at a fixed interval, even if earlier work is still in progress.
fn every<F>(
    clients: &mut JoinSet<()>,
    load: &Arc<Load>,
    millis: u64,
    work: impl Fn(Arc<Load>, u64) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let load = load.clone();
    clients.spawn(async move {
        let (mut pace, mut begun) = (interval(Duration::from_millis(millis)), JoinSet::new());
        for nth in 0.. {
            pace.tick().await;
            while begun.try_join_next().is_some() {}
            begun.spawn(work(load.clone(), nth));
        }
    });
}

impl Load {
    async fn ask(&self, team: &str, method: &str, path: &str, order: Option<(&str, &Value)>) {
        let _ = self.answer(team, method, path, order).await;
    }

    async fn answer(
        &self,
        team: &str,
        method: &str,
        path: &str,
        order: Option<(&str, &Value)>,
    ) -> Option<Value> {
        let method = method.parse().expect("a method");
        let mut request = self
            .desk
            .client
            .request(method, format!("{}{path}", self.desk.api));
        if let Some((key, body)) = order {
            request = request.header("Idempotency-Key", key).json(body);
        }
        let answer = request.bearer_auth(self.desk.token(team)).send().await;
        self.count(answer).await
    }

    async fn count(&self, answer: reqwest::Result<reqwest::Response>) -> Option<Value> {
        let counter = match &answer {
            Ok(answer) => match answer.status().as_u16() {
                200..300 => &self.done,
                429 => &self.limited,
                503 => &self.shed,
                _ => &self.failed,
            },
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let text = answer.ok()?.text().await.ok()?;
        serde_json::from_str(&text).ok()
    }

    async fn rent_and_release(&self, nth: u64) {
        let body = json!({ "country": "DE", "carrier_type": "local" });
        let key = format!("soak-{nth}");
        let Some(order) = self
            .answer("orders", "POST", "/v1/orders", Some((&key, &body)))
            .await
        else {
            return;
        };
        if let Some(number) = order["phone_number"]["id"].as_str() {
            self.ask("orders", "DELETE", &format!("/v1/phone-numbers/{number}"), None)
                .await;
        }
    }

    async fn deliver(&self, nth: u64) {
        let body = json!({ "subscription_id": "whsub_0000000000000000000000", "event": {
            "id": format!("ev_{nth}"), "object_type": "phone_number", "object_id": format!("phon_{:020}", nth % 50),
            "action": "updated", "date_created": "2026-11-23T10:05:00.123000", "date_updated": "2026-11-23T10:05:02.456000",
            "data": null, "changed_fields": [], "previous_data": {}, "meta": {} } })
        .to_string();
        let seconds = now().to_string();
        let key = hex::decode(KEY).expect("it is hexadecimal");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes any key");
        mac.update(seconds.as_bytes());
        mac.update(body.as_bytes());
        let request = self
            .desk
            .client
            .post(format!("{}/webhooks/close", self.desk.api))
            .header("close-sig-hash", hex::encode(mac.finalize().into_bytes()))
            .header("close-sig-timestamp", seconds)
            .body(body);
        self.count(request.send().await).await;
    }

    /// Reads the event stream for 20 s.
    async fn follow(&self) {
        let request = self
            .desk
            .client
            .get(format!("{}/v1/events/stream", self.desk.api));
        let Ok(mut stream) = request.bearer_auth(self.desk.token("watchers")).send().await else {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let _ = timeout(Duration::from_secs(20), async {
            while let Ok(Some(_)) = stream.chunk().await {
                self.events.fetch_add(1, Ordering::Relaxed);
            }
        })
        .await;
    }

    /// Sends part of a request's head, part of a body or nothing, and waits until the service closes the connection.
    async fn dawdle(&self, manner: usize) {
        let address = self.desk.api.trim_start_matches("http://");
        let Ok(mut stream) = TcpStream::connect(address).await else {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let partial_request = match manner {
            0 => "GET /v1/me HTTP/1.1\r\nHost: desk\r\nX-Slow: ".to_owned(),
            1 => format!(
                "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {}\r\nIdempotency-Key: slow\r\n\
                 Content-Type: application/json\r\nContent-Length: 60\r\n\r\n{{\"coun",
                self.desk.token("slow")
            ),
            _ => String::new(),
        };
        let _ = stream.write_all(partial_request.as_bytes()).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        self.cut_off.fetch_add(1, Ordering::Relaxed);
    }
}

/// Samples memory in KiB and open descriptors at a fixed interval.
async fn watch(load: &Load, length: Duration) -> Vec<(u64, usize)> {
    let (began, mut samples) = (Instant::now(), Vec::new());
    println!("seconds  rss MiB  descriptors  done  429  503  failed  events  slow clients cut off");
    while began.elapsed() < length {
        sleep(SAMPLE).await;
        let (memory, open) = (load.desk.memory(), load.desk.descriptors());
        let counters = [
            &load.done,
            &load.limited,
            &load.shed,
            &load.failed,
            &load.events,
            &load.cut_off,
        ]
        .map(|counter| counter.load(Ordering::Relaxed).to_string())
        .join("  ");
        println!(
            "{:7}  {:7}  {open:11}  {counters}",
            began.elapsed().as_secs(),
            memory / 1024
        );
        samples.push((memory, open));
    }
    samples
}

/// Whether the last sixth of the samples is no larger than the sixth after the first third.
fn is_flat(samples: &[(u64, usize)]) -> bool {
    let (third, sixth) = (samples.len() / 3, (samples.len() / 6).max(1));
    let middle = |part: &[(u64, usize)]| {
        let (mut memory, mut open): (Vec<_>, Vec<_>) = part.iter().copied().unzip();
        memory.sort_unstable();
        open.sort_unstable();
        (memory[memory.len() / 2], open[open.len() / 2])
    };
    let before = middle(&samples[third..third + sixth]);
    let after = middle(&samples[samples.len() - sixth..]);
    #[expect(clippy::cast_precision_loss, reason = "memory in KiB is far below 2^53")]
    let growth = after.0 as f64 / before.0 as f64 - 1.0;
    println!(
        "memory {} KiB, then {} KiB ({:+.1} %); descriptors {}, then {}",
        before.0,
        after.0,
        growth * 100.0,
        before.1,
        after.1
    );
    growth <= GROWTH && after.1 <= before.1 + DESCRIPTORS
}
