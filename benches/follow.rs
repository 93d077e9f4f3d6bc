//! Measures how soon three replicas show a change in Close, and how soon they acknowledge webhooks.
//!
//! `cargo bench --bench follow [-- CHANGES]`. For comparison, it also measures one read from Close in the same run.
//! Needs the PostgreSQL server of the tests.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::path::Path;
use std::time::{Duration, Instant};

use close_sandbox::{Options, Sandbox};
use futures::{StreamExt as _, stream};
use hmac::{Hmac, KeyInit as _, Mac as _};
use numberdesk::app::{self, App};
use numberdesk::auth::DevIssuer;
use numberdesk::config;
use numberdesk::telemetry::Metrics;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

const ISSUER: &str = "https://idp.example.com/";
const DATABASE: &str = "numberdesk_bench_follow";
const REPLICAS: usize = 3;
const DELIVERIES: usize = 20_000;
/// Deliveries in progress at once.
const AT_ONCE: usize = 64;

fn main() {
    // `cargo bench` passes `--bench`.
    let changes = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(200);
    tokio::runtime::Runtime::new()
        .expect("a runtime can be made")
        .block_on(measure(changes));
}

struct Bench {
    client: reqwest::Client,
    close: String,
    key: String,
    token: String,
    replicas: Vec<String>,
}

async fn measure(changes: usize) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let close = Sandbox::start(Options::default()).await.expect("Close starts");
    let database = database().await;
    let metrics = Metrics::install().expect("metrics are installed once");
    let issuer = DevIssuer::load_or_create(folder.path(), ISSUER).expect("an issuer can be made");
    let now = numberdesk::domain::time::Clock::system().now().as_seconds();
    let claims = json!({ "iss": ISSUER, "aud": "numberdesk", "sub": "bench", "iat": now, "exp": now + 36_000,
        "teams": ["sales"], "scope": "numbers:read numbers:admin" });
    let mut apps = Vec::new();
    for nth in 0..REPLICAS {
        // Only one replica subscribes, because a load balancer sends each delivery to one replica.
        apps.push(replica(folder.path(), &close, &database, nth == 0, metrics.clone()).await);
    }
    let bench = Bench {
        client: reqwest::Client::builder().no_proxy().build().expect("a client"),
        close: close.base_url(),
        key: close.api_key().to_owned(),
        token: issuer.sign(&claims).expect("the issuer signs"),
        replicas: apps.iter().map(|app| format!("http://{}", app.address)).collect(),
    };
    bench
        .set(json!({ "consolidation_window": "0s", "rate_limit": { "limit": 1_000_000 } }))
        .await;
    let signer = bench.signature_key().await;
    bench.changes(changes).await;
    bench.deliveries(&signer).await;
    for app in apps {
        app.stop().await;
    }
    close.stop().await;
}

impl Bench {
    async fn changes(&self, changes: usize) {
        let number = self
            .control("POST", "numbers", &json!({ "country": "DE", "label": "0" }))
            .await;
        let id = number["id"].as_str().expect("an id").to_owned();
        self.shown_everywhere(&id, "0").await;
        let looks = || async { self.requests("/phone_number/{id}/").await };
        let (before, mut shown, mut read) = (looks().await, Vec::new(), Vec::new());
        for nth in 1..=changes {
            let label = nth.to_string();
            let began = Instant::now();
            self.control("PATCH", &format!("numbers/{id}"), &json!({ "label": label }))
                .await;
            self.shown_everywhere(&id, &label).await;
            shown.push(began.elapsed());
        }
        let asked = looks().await - before;
        for _ in 0..changes {
            let began = Instant::now();
            let request = self.client.get(format!("{}/phone_number/{id}/", self.close));
            let answer = request
                .basic_auth(&self.key, Some(""))
                .send()
                .await
                .expect("Close answers");
            answer.bytes().await.expect("an answer has a body");
            read.push(began.elapsed());
        }
        let (median, read) = (at(&mut shown, 50), at(&mut read, 50));
        println!(
            "{changes} changes at Close, shown by {REPLICAS} replicas: median {median:.1?}, 99th percentile {:.1?}; one read \
             from Close {read:.1?}, ratio {:.0}; {asked} read-backs",
            at(&mut shown, 99),
            median.as_secs_f64() / read.as_secs_f64()
        );
    }

    async fn deliveries(&self, signer: &[u8]) {
        let timestamp = numberdesk::domain::time::Clock::system()
            .now()
            .as_seconds()
            .to_string();
        let began = Instant::now();
        let mut took: Vec<Duration> = stream::iter(0..DELIVERIES)
            .map(|nth| {
                let event = json!({ "id": format!("ev_bench{nth}"), "object_type": "phone_number",
                    "object_id": format!("phon_bench{}", nth % 100), "action": "updated",
                    "date_updated": "2026-11-23T10:05:02.456000", "data": null });
                let body = json!({ "subscription_id": "whsub_0", "event": event }).to_string();
                let mut mac = Hmac::<Sha256>::new_from_slice(signer).expect("HMAC takes any key");
                mac.update(timestamp.as_bytes());
                mac.update(body.as_bytes());
                let request = self
                    .client
                    .post(format!("{}/webhooks/close", self.replicas[0]))
                    .header("close-sig-hash", hex::encode(mac.finalize().into_bytes()))
                    .header("close-sig-timestamp", &timestamp)
                    .body(body);
                async move {
                    let began = Instant::now();
                    let answer = request.send().await.expect("the desk answers");
                    assert_eq!(answer.status(), 204);
                    began.elapsed()
                }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let all = began.elapsed();
        println!(
            "{DELIVERIES} deliveries, {AT_ONCE} at once: {:.0} a second, median {:.1?}, 99th percentile {:.1?}",
            f64::from(u32::try_from(DELIVERIES).expect("a small count")) / all.as_secs_f64(),
            at(&mut took, 50),
            at(&mut took, 99)
        );
    }

    async fn shown_everywhere(&self, id: &str, label: &str) {
        for replica in &self.replicas {
            let url = format!("{replica}/v1/phone-numbers/{id}");
            loop {
                let request = self.client.get(&url).bearer_auth(&self.token);
                let answer = request.send().await.expect("the desk answers");
                let shown: Value = answer.json().await.expect("JSON");
                if shown["label"] == label {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// Returns the signature key of the subscription that the service created.
    async fn signature_key(&self) -> Vec<u8> {
        loop {
            let request = self.client.get(format!("{}/webhook/", self.close));
            let answer = request
                .basic_auth(&self.key, Some(""))
                .send()
                .await
                .expect("Close answers");
            let page: Value = answer.json().await.expect("JSON");
            if let Some(key) = page["data"][0]["signature_key"].as_str() {
                return hex::decode(key).expect("a key is hexadecimal");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn requests(&self, path: &str) -> usize {
        let found = self
            .control("GET", &format!("requests?method=GET&path={path}"), &Value::Null)
            .await;
        found.as_array().map_or(0, Vec::len)
    }

    async fn set(&self, settings: Value) {
        self.control("POST", "settings", &settings).await;
    }

    async fn control(&self, method: &str, route: &str, body: &Value) -> Value {
        let root = self.close.trim_end_matches("/api/v1");
        let request = self.client.request(
            method.parse().expect("a method"),
            format!("{root}/_control/{route}"),
        );
        let request = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        let answer = request.send().await.expect("Close answers");
        answer.json().await.unwrap_or_default()
    }
}

/// Returns this percentile of the times.
fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

async fn database() -> String {
    let server = std::env::var("NUMBERDESK_TEST_POSTGRES")
        .unwrap_or_else(|_| "postgres://root@127.0.0.1:5432/postgres".to_owned());
    let mut admin = PgConnection::connect(&server).await.expect("a PostgreSQL server");
    for statement in [
        format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"),
        format!("CREATE DATABASE {DATABASE} TEMPLATE template0"),
    ] {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        statement
            .execute(&mut admin)
            .await
            .expect("the database can be made");
    }
    let mut url = url::Url::parse(&server).expect("a URL");
    url.set_path(DATABASE);
    url.into()
}

async fn replica(folder: &Path, close: &Sandbox, database: &str, subscribe: bool, metrics: Metrics) -> App {
    std::fs::write(folder.join("close-api-key"), close.api_key()).expect("a file can be written");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\n[store]\nurl = \"{database}\"\n[close]\nbase_url = \
         \"{}\"\napi_key_file = \"close-api-key\"\nsubscribe = {subscribe}\n[[auth.issuers]]\nissuer = \"{ISSUER}\"\naudiences \
         = [\"numberdesk\"]\njwks_file = \"jwks.json\"\nalgorithms = [\"EdDSA\"]\n",
        close.base_url()
    );
    let config =
        config::parse("bench", &text, folder, std::iter::empty()).expect("the configuration is fine");
    let policy = app::policy(&config).expect("a policy");
    App::start(&config, policy, metrics)
        .await
        .expect("a replica starts")
}
