//! A desk under everything at once for a long time: readers, orders and releases, deliveries, streams, a team above its
//! quota, and clients that are slow on purpose: `cargo bench --bench soak [-- SECONDS]`, ten minutes if nothing is said. It
//! prints memory and file descriptors of the desk's process and fails if they grow after the first third.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use numberdesk::auth::LocalIssuer;
use numberdesk::sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{interval, sleep, timeout};

const ISSUER: &str = "https://idp.example.com/";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const SAMPLE: Duration = Duration::from_secs(10);
/// Growth that is still called flat: memory by this share, and so many descriptors.
const GROWTH: f64 = 0.10;
const DESCRIPTORS: usize = 20;
const STREAMS: usize = 20;
const SLOW: usize = 30;

const POLICY: &str = r#"
[teams."*"]
countries = ["DE"]
max_numbers = 400
monthly_budget = "5000.00"
assign_to = "anyone"

[prices]
default = "4.00"
"#;

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

/// What the clients have in common, and what they were answered.
struct Load {
    client: reqwest::Client,
    api: String,
    issuer: LocalIssuer,
    user: String,
    done: AtomicU64,
    limited: AtomicU64,
    shed: AtomicU64,
    failed: AtomicU64,
    events: AtomicU64,
    cut_off: AtomicU64,
}

async fn soak(length: Duration) -> bool {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let options = Options {
        numbers: 200,
        ..Options::default()
    };
    let close = Sandbox::start(options).await.expect("Close starts");
    let issuer = LocalIssuer::load_or_create(folder.path(), ISSUER).expect("an issuer can be made");
    write_files(folder.path(), &close);
    let log = folder.path().join("log");
    let mut desk = Command::new(env!("CARGO_BIN_EXE_numberdesk"))
        .args(["serve", "--config", "numberdesk.toml"])
        .env("NUMBERDESK_LOG", "warn,numberdesk::app=info")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).expect("a log can be written"))
        .kill_on_drop(true)
        .spawn()
        .expect("the desk can be started");
    let process = desk.id().expect("it runs");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let world = client.get(format!("http://{}/_control/world", close.address()));
    let world: Value = world
        .send()
        .await
        .expect("Close answers")
        .json()
        .await
        .expect("JSON");
    let load = Arc::new(Load {
        client,
        api: up(&log).await,
        issuer,
        user: world["users"][0]["id"].as_str().expect("an id").to_owned(),
        done: AtomicU64::new(0),
        limited: AtomicU64::new(0),
        shed: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        events: AtomicU64::new(0),
        cut_off: AtomicU64::new(0),
    });
    begin(&load);
    let samples = watch(process, &load, length).await;
    let flat = judge(&samples) && load.failed.load(Ordering::Relaxed) == 0;
    let sent = Command::new("kill")
        .args(["-TERM", &process.to_string()])
        .status()
        .await;
    sent.expect("kill can be run");
    let status = timeout(Duration::from_mins(1), desk.wait()).await;
    println!(
        "{:?}",
        status.map(|status| status.map(|status| status.to_string()))
    );
    close.stop().await;
    flat
}

fn begin(load: &Arc<Load>) {
    every(load, 200, |load, _| async move {
        load.ask("readers", "GET", "/v1/phone-numbers?limit=50", None)
            .await;
    });
    every(load, 50, |load, _| async move {
        load.ask("greedy", "GET", "/v1/me", None).await;
    });
    every(load, 1_000, |load, nth| async move {
        load.rent_and_release(nth).await;
    });
    every(load, 200, |load, nth| async move {
        load.deliver(nth).await;
    });
    for _ in 0..STREAMS {
        let load = load.clone();
        tokio::spawn(async move {
            loop {
                load.follow().await;
                sleep(Duration::from_secs(1)).await;
            }
        });
    }
    for nth in 0..SLOW {
        let load = load.clone();
        tokio::spawn(async move {
            loop {
                load.dawdle(nth % 3).await;
                sleep(Duration::from_millis(500)).await;
            }
        });
    }
}

/// At a fixed pace, whether or not what began before has ended.
fn every<F>(load: &Arc<Load>, millis: u64, work: impl Fn(Arc<Load>, u64) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let load = load.clone();
    tokio::spawn(async move {
        let mut pace = interval(Duration::from_millis(millis));
        for nth in 0.. {
            pace.tick().await;
            tokio::spawn(work(load.clone(), nth));
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
        let mut request = self.client.request(method, format!("{}{path}", self.api));
        if let Some((key, body)) = order {
            request = request.header("Idempotency-Key", key).json(body);
        }
        let answer = request.bearer_auth(self.token(team)).send().await;
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
            .client
            .post(format!("{}/webhooks/close", self.api))
            .header("close-sig-hash", hex::encode(mac.finalize().into_bytes()))
            .header("close-sig-timestamp", seconds)
            .body(body);
        self.count(request.send().await).await;
    }

    /// Twenty seconds of events.
    async fn follow(&self) {
        let request = self.client.get(format!("{}/v1/events/stream", self.api));
        let Ok(mut stream) = request.bearer_auth(self.token("watchers")).send().await else {
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

    /// Begins a head, a body or nothing at all, and waits until the desk has had enough.
    async fn dawdle(&self, manner: usize) {
        let address = self.api.trim_start_matches("http://");
        let Ok(mut stream) = TcpStream::connect(address).await else {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let said = match manner {
            0 => "GET /v1/me HTTP/1.1\r\nHost: desk\r\nX-Slow: ".to_owned(),
            1 => format!(
                "POST /v1/orders HTTP/1.1\r\nHost: desk\r\nAuthorization: Bearer {}\r\nIdempotency-Key: slow\r\n\
                 Content-Type: application/json\r\nContent-Length: 60\r\n\r\n{{\"coun",
                self.token("slow")
            ),
            _ => String::new(),
        };
        let _ = stream.write_all(said.as_bytes()).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        self.cut_off.fetch_add(1, Ordering::Relaxed);
    }

    fn token(&self, team: &str) -> String {
        let claims = json!({ "iss": ISSUER, "aud": "numberdesk", "sub": team, "iat": now(), "exp": now() + 600,
            "teams": [team], "close_user_id": self.user,
            "scope": "numbers:read numbers:rent numbers:release" });
        self.issuer.sign(&claims).expect("the issuer signs")
    }
}

/// Memory in KiB and open descriptors, once in a while.
async fn watch(process: u32, load: &Load, length: Duration) -> Vec<(u64, usize)> {
    let (began, mut samples) = (Instant::now(), Vec::new());
    println!("seconds  rss MiB  descriptors  done  429  503  failed  events  slow ones cut off");
    while began.elapsed() < length {
        sleep(SAMPLE).await;
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the desk runs");
        let memory = status
            .lines()
            .find_map(|line| {
                line.strip_prefix("VmRSS:")?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse()
                    .ok()
            })
            .expect("Linux says how much memory it has");
        let open = fs::read_dir(format!("/proc/{process}/fd"))
            .expect("the desk runs")
            .count();
        let said = [
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
            "{:7}  {:7}  {open:11}  {said}",
            began.elapsed().as_secs(),
            memory / 1024
        );
        samples.push((memory, open));
    }
    samples
}

/// Whether the last sixth is as the sixth after the first third was.
fn judge(samples: &[(u64, usize)]) -> bool {
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

fn now() -> i64 {
    numberdesk::domain::time::Clock::system().now().as_seconds()
}

/// Where the desk answers, once it does.
async fn up(log: &Path) -> String {
    for _ in 0..600 {
        sleep(Duration::from_millis(100)).await;
        let said = fs::read_to_string(log).expect("the log can be read");
        if let Some(line) = said.lines().find(|line| line.contains("numberdesk is up")) {
            let line: Value = serde_json::from_str(line).expect("a line of the log is JSON");
            return format!(
                "http://{}",
                line["address"].as_str().expect("an address is logged")
            );
        }
    }
    panic!(
        "the desk does not start: {}",
        fs::read_to_string(log).unwrap_or_default()
    );
}

fn write_files(folder: &Path, close: &Sandbox) {
    let config = format!(
        r#"
[server]
listen = "127.0.0.1:0"
ops_listen = "127.0.0.1:0"

[store]
url = "sqlite://desk.db"

[close]
base_url = "{}"
api_key_file = "close-api-key"
webhook_signature_key_file = "close-webhook-key"

[[auth.issuers]]
issuer = "{ISSUER}"
audiences = ["numberdesk"]
jwks_file = "jwks.json"
algorithms = ["EdDSA"]

[policy]
file = "policy.toml"

[inventory]
full_sync = "30s"

[log]
format = "json"
"#,
        close.base_url()
    );
    for (name, text) in [
        ("numberdesk.toml", config.as_str()),
        ("policy.toml", POLICY),
        ("close-api-key", close.api_key()),
        ("close-webhook-key", KEY),
    ] {
        fs::write(folder.join(name), text).expect("a file can be written");
    }
}
