//! Measures the cost of requests: throughput, processor time, memory, and the database space of an order.
//!
//! `cargo bench --bench capacity [-- ORDERS]`. Runs on SQLite, and also on PostgreSQL if `NUMBERDESK_TEST_POSTGRES`
//! names a server. For comparison ("peer"), the same client also calls the simulated Close directly.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use close_sandbox::{Options, RateLimit, Settings};
use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use self::support::{Desk, database};

/// Requests in progress at once.
const AT_ONCE: usize = 32;
const READING: Duration = Duration::from_secs(5);
const NUMBERS: u32 = 1_000;

fn main() {
    // `cargo bench` passes `--bench`.
    let orders = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(2_000);
    tokio::runtime::Runtime::new()
        .expect("a runtime can be made")
        .block_on(async {
            measure("sqlite://desk.db", orders).await;
            if let Ok(server) = std::env::var("NUMBERDESK_TEST_POSTGRES") {
                measure(&database(&server, "capacity").await, orders).await;
            }
        });
}

async fn measure(store: &str, orders: usize) {
    let options = Options {
        numbers: NUMBERS,
        settings: Settings {
            rate_limit: RateLimit {
                limit: 1_000_000,
                ..RateLimit::default()
            },
            ..Settings::default()
        },
        ..Options::default()
    };
    let desk = Desk::start(options, store, "[limits]\nrequests_per_minute = 0").await;
    let kind = store.split(':').next().unwrap_or_default();
    println!(
        "\n{kind}: {AT_ONCE} requests at once, {NUMBERS} numbers; {} MiB before",
        desk.memory() / 1024
    );
    println!("request                         a second   ratio to peer   CPU ms each");

    let close = desk.close.base_url();
    let key = desk.close.api_key().to_owned();
    let peer = reading(&desk, || {
        desk.client
            .get(format!("{close}/phone_number/?_limit=50"))
            .basic_auth(&key, Some(""))
    })
    .await;
    say("peer: 50 numbers from Close", peer, peer);
    let token = desk.token("sales");
    let ask = |method: Method, path: &str| {
        desk.client
            .request(method, format!("{}{path}", desk.api))
            .bearer_auth(&token)
    };
    let page: Value = ask(Method::GET, "/v1/phone-numbers?limit=50")
        .send()
        .await
        .expect("the desk answers")
        .json()
        .await
        .expect("JSON");
    let number = page["data"][0]["id"]
        .as_str()
        .expect("there are numbers")
        .to_owned();
    for (name, path) in [
        ("a page of 50 numbers", "/v1/phone-numbers?limit=50".to_owned()),
        ("one number", format!("/v1/phone-numbers/{number}")),
        ("me", "/v1/me".to_owned()),
    ] {
        say(name, reading(&desk, || ask(Method::GET, &path)).await, peer);
    }
    let order = json!({ "country": "DE", "carrier_type": "local" });
    let trial = || ask(Method::POST, "/v1/orders/validate").json(&order);
    say("an order, validated only", reading(&desk, trial).await, peer);
    println!("{} MiB after reading", desk.memory() / 1024);

    let before = size(&desk, store).await;
    let next = AtomicUsize::new(0);
    let (began, cpu) = (Instant::now(), cpu(&desk));
    join_all((0..AT_ONCE).map(|_| async {
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= orders {
                return;
            }
            let rent = ask(Method::POST, "/v1/orders")
                .header("Idempotency-Key", format!("capacity-{nth}"))
                .header("Prefer", "wait=60")
                .json(&order);
            let status = rent.send().await.expect("the desk answers").status();
            assert_eq!(status, 201, "a number is rented");
        }
    }))
    .await;
    say("an order, rented", cost(orders, began, cpu, &desk), peer);
    println!("{} MiB after {orders} orders", desk.memory() / 1024);
    let grown = size(&desk, store).await.saturating_sub(before);
    println!("{} bytes in the database an order", grown / orders as u64);
    println!("{}", desk.stop().await);
}

/// Requests a second, and milliseconds of the service's processor time for each.
type Cost = (f64, f64);

/// Sends requests for a fixed time, [`AT_ONCE`] of them in parallel.
async fn reading(desk: &Desk, request: impl Fn() -> RequestBuilder) -> Cost {
    let (began, cpu, done) = (Instant::now(), cpu(desk), AtomicUsize::new(0));
    join_all((0..AT_ONCE).map(|_| async {
        while began.elapsed() < READING {
            let answer = request().send().await.expect("it answers");
            assert_eq!(answer.status(), 200);
            answer.bytes().await.expect("it answers in full");
            done.fetch_add(1, Ordering::Relaxed);
        }
    }))
    .await;
    cost(done.into_inner(), began, cpu, desk)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn cost(done: usize, began: Instant, before: f64, desk: &Desk) -> Cost {
    let done = done as f64;
    (done / began.elapsed().as_secs_f64(), (cpu(desk) - before) / done)
}

fn say(name: &str, (rate, cpu): Cost, (peer, _): Cost) {
    println!("{name:30} {rate:9.0} {:15.2} {cpu:13.2}", rate / peer);
}

/// Returns the used processor time in milliseconds: fields 14 and 15 of proc(5)'s `stat`, in hundredths of a second.
fn cpu(desk: &Desk) -> f64 {
    let stat = desk.proc_file("stat");
    let (_, fields) = stat.rsplit_once(')').expect("a name stands in parentheses");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().expect("a number") * 10.0)
        .sum()
}

/// Returns the size of the database in bytes.
async fn size(desk: &Desk, store: &str) -> u64 {
    if store.starts_with("sqlite") {
        let file = desk.folder.path().join("desk.db");
        let url = format!("sqlite://{}", file.display());
        let mut database = sqlx::SqliteConnection::connect(&url).await.expect("it opens");
        let size: i64 = sqlx::query_scalar(
            "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)",
        )
        .fetch_one(&mut database)
        .await
        .expect("it knows its size");
        return size.unsigned_abs();
    }
    let mut database = PgConnection::connect(store).await.expect("it can be reached");
    let size: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
        .fetch_one(&mut database)
        .await
        .expect("it knows its size");
    size.unsigned_abs()
}
