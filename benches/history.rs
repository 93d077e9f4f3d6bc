//! Measures reads of a long history: audit pages, exports, reports, lists of orders and events, and an order beside them.
//!
//! `cargo bench --bench history [-- ROWS]` measures SQLite and, if `NUMBERDESK_TEST_POSTGRES` is the URL of a server,
//! PostgreSQL. It writes so many rows into the audit trail and into the ledger, evenly spread over two years, and a third
//! of them as orders, as released numbers and as events of thirty days.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod support;

use std::time::{Duration, Instant};

use close_sandbox::Options;
use futures::StreamExt as _;
use futures::future::join_all;
use numberdesk::domain::time::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::sleep;

use self::support::fill::{Connection, fill};
use self::support::{Desk, database, now};

/// Readers that ask all the time while orders are measured.
const READERS: usize = 24;
const DAY: i64 = 24 * 3_600;

fn main() {
    let rows = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(3_000_000);
    let only = |store: &str| std::env::args().any(|argument| argument == store);
    tokio::runtime::Runtime::new()
        .expect("a runtime can be made")
        .block_on(async {
            if !only("postgres") {
                let folder = tempfile::tempdir().expect("a folder can be made");
                println!("SQLite");
                measure(&format!("sqlite://{}/desk.db", folder.path().display()), rows).await;
            }
            if let (Ok(server), false) = (std::env::var("NUMBERDESK_TEST_POSTGRES"), only("sqlite")) {
                println!("PostgreSQL");
                measure(&database(&server, "history").await, rows).await;
            }
        });
}

/// The time so many days ago.
fn ago(days: i64) -> String {
    Timestamp::from_seconds(now() - days * DAY).to_string()
}

async fn measure(store: &str, rows: i64) {
    let opened = numberdesk::store::Store::open(&SecretString::from(store))
        .await
        .expect("the database can be opened");
    opened.migrate().await.expect("the migrations apply");
    opened.close().await;
    let waiting = (rows / 30).min(50_000);
    println!("{rows} rows written in {:?}", fill(store, rows, waiting).await);
    let mut connection = Connection::open(store).await;
    let began = Instant::now();
    let desk = Desk::start(Options::default(), store, "[limits]\nrequests_per_minute = 0").await;
    println!("ready after {:?}", began.elapsed());
    for (what, rest, count) in [
        (
            "rows appended to the audit chain",
            "SELECT 1 FROM audit WHERE seq IS NULL LIMIT 1".to_owned(),
            waiting,
        ),
        (
            "numbers of the ledger counted",
            "SELECT 1 FROM ledger WHERE counted IS NULL AND phone_number_id > '' ORDER BY phone_number_id LIMIT 1".to_owned(),
            rows / 3,
        ),
        (
            "events deleted after their retention",
            format!("SELECT 1 FROM events WHERE seq = {waiting}"),
            waiting,
        ),
    ] {
        let rest = format!("SELECT COUNT(*) FROM ({rest}) AS rest");
        while connection.integer(&rest).await > 0 {
            sleep(Duration::from_millis(100)).await;
        }
        let took = began.elapsed().as_secs_f64();
        println!("{what:44} {count} within {took:.1} s of the start");
    }
    let reads = reads(&desk).await;
    for (name, team, path) in &reads {
        let mut times = Vec::new();
        for _ in 0..9 {
            let (status, took) = get(&desk, team, path).await;
            assert_eq!(status, 200, "{path}");
            times.push(took);
        }
        times.sort();
        println!("{name:44} {:?}, at most {:?}", times[4], times[8]);
    }
    beside(&desk, &reads).await;
    desk.stop().await;
}

/// Names, readers and paths. `sales` is an administrator, the others are members of teams with rows.
#[expect(clippy::too_many_lines, reason = "a table of all reads")]
async fn reads(desk: &Desk) -> Vec<(&'static str, &'static [&'static str], String)> {
    const ADMIN: &[&str] = &[];
    const ONE: &[&str] = &["team3"];
    const FEW: &[&str] = &["team3", "team4", "team5", "team99"];
    let month = |days| ago(days)[..7].to_owned();
    let orders = body(desk, ADMIN, "/v1/orders?limit=1").await;
    let key = orders["data"][0]["idempotency_key"]
        .as_str()
        .unwrap_or("k1")
        .to_owned();
    let recent = body(desk, FEW, "/v1/events?limit=200").await;
    let after = recent["data"][100]["id"]
        .as_str()
        .expect("an event has an id")
        .to_owned();
    vec![
        ("audit, newest page", ADMIN, "/v1/audit".to_owned()),
        ("audit of a team", ONE, "/v1/audit".to_owned()),
        ("audit of several teams", FEW, "/v1/audit".to_owned()),
        (
            "audit, until a year ago",
            ADMIN,
            format!("/v1/audit?until={}", ago(365)),
        ),
        (
            "audit of several teams, until a year ago",
            FEW,
            format!("/v1/audit?until={}", ago(365)),
        ),
        (
            "audit, since a year ago",
            ADMIN,
            format!("/v1/audit?since={}", ago(365)),
        ),
        (
            "audit, a rare action",
            ADMIN,
            "/v1/audit?action=policy.change".to_owned(),
        ),
        (
            "audit of a team, an action it lacks",
            ONE,
            "/v1/audit?action=policy.change".to_owned(),
        ),
        ("audit, denied", ADMIN, "/v1/audit?allowed=false".to_owned()),
        (
            "audit of a team, denied",
            ONE,
            "/v1/audit?allowed=false".to_owned(),
        ),
        ("audit of a person", ADMIN, "/v1/audit?actor=u7".to_owned()),
        (
            "export of a day, a year ago",
            ADMIN,
            format!("/v1/audit/export?since={}&until={}", ago(365), ago(364)),
        ),
        (
            "export since a year ago, its first part",
            ADMIN,
            format!("/v1/audit/export?since={}", ago(365)),
        ),
        (
            "export of several teams, its first part",
            FEW,
            format!("/v1/audit/export?since={}", ago(365)),
        ),
        (
            "spend of this month",
            ADMIN,
            format!("/v1/spend?month={}", month(0)),
        ),
        (
            "spend of a month a year ago",
            ADMIN,
            format!("/v1/spend?month={}", month(365)),
        ),
        (
            "spend of the first month",
            ADMIN,
            format!("/v1/spend?month={}", month(729)),
        ),
        (
            "spend by user",
            ADMIN,
            format!("/v1/spend?month={}&group_by=user", month(365)),
        ),
        (
            "spend by country",
            ADMIN,
            format!("/v1/spend?month={}&group_by=country", month(365)),
        ),
        ("spend of a team", ONE, format!("/v1/spend?month={}", month(365))),
        ("orders, newest page", ADMIN, "/v1/orders".to_owned()),
        ("orders of several teams", FEW, "/v1/orders".to_owned()),
        ("orders, refused", ADMIN, "/v1/orders?state=refused".to_owned()),
        (
            "orders of a team, refused",
            ONE,
            "/v1/orders?state=refused".to_owned(),
        ),
        (
            "orders of several teams, refused",
            FEW,
            "/v1/orders?state=refused".to_owned(),
        ),
        (
            "orders, in review",
            ADMIN,
            "/v1/orders?state=needs_review".to_owned(),
        ),
        (
            "orders, one key",
            ADMIN,
            format!("/v1/orders?idempotency_key={key}"),
        ),
        (
            "events after a cursor",
            ADMIN,
            format!("/v1/events?after={after}"),
        ),
        (
            "events of several teams after a cursor",
            FEW,
            format!("/v1/events?after={after}"),
        ),
        (
            "events of a rare type",
            ADMIN,
            format!("/v1/events?type=order.needs_review&after={after}"),
        ),
        (
            "events of a type that a team lacks",
            ONE,
            "/v1/events?type=order.refused".to_owned(),
        ),
    ]
}

/// Rents beside readers that ask all the time.
async fn beside(desk: &Desk, reads: &[(&str, &[&str], String)]) {
    let readers = async {
        join_all((0..READERS).map(|nth| {
            let (_, team, path) = &reads[nth % reads.len()];
            async move {
                let began = Instant::now();
                while began.elapsed() < Duration::from_secs(20) {
                    get(desk, team, path).await;
                }
            }
        }))
        .await;
    };
    let orders = async {
        sleep(Duration::from_secs(3)).await;
        let mut times = Vec::new();
        for nth in 0..10 {
            let began = Instant::now();
            let order = desk
                .client
                .post(format!("{}/v1/orders", desk.api))
                .bearer_auth(desk.token("sales"))
                .header("Idempotency-Key", format!("new-{nth}"))
                .json(&json!({ "country": "DE", "carrier_type": "local" }));
            let answer = order.send().await.expect("the desk answers");
            assert_eq!(answer.status(), 201);
            times.push(began.elapsed());
        }
        times.sort();
        println!(
            "an order beside {READERS} readers                {:?}, at most {:?}",
            times[5], times[9]
        );
    };
    tokio::join!(readers, orders);
}

async fn body(desk: &Desk, teams: &[&str], path: &str) -> Value {
    let answer = desk
        .client
        .get(format!("{}{path}", desk.api))
        .bearer_auth(token(desk, teams));
    let answer = answer.send().await.expect("the desk answers");
    answer.json().await.expect("the answer is JSON")
}

/// A token of an administrator, or of a member of these teams.
fn token(desk: &Desk, teams: &[&str]) -> String {
    match teams {
        [] => desk.token("sales"),
        teams => desk.token_of_member(teams),
    }
}

/// Sends a request, and reads the first part of the answer, or all of it if that is short.
async fn get(desk: &Desk, teams: &[&str], path: &str) -> (u16, Duration) {
    let began = Instant::now();
    let request = desk.client.get(format!("{}{path}", desk.api));
    let answer = request.bearer_auth(token(desk, teams)).send().await;
    let answer = answer.expect("the desk answers");
    let status = answer.status().as_u16();
    let mut parts = answer.bytes_stream();
    if path.contains("export") && !path.contains("until") {
        parts.next().await;
    } else {
        while let Some(part) = parts.next().await {
            part.expect("the answer ends");
        }
    }
    (status, began.elapsed())
}
