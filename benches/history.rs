//! Measures reads of a long history on PostgreSQL: audit pages, exports and reports, and an order beside many of them.
//!
//! `cargo bench --bench history [-- ROWS]`, with `NUMBERDESK_TEST_POSTGRES` as the URL of a server. It writes so many
//! rows into the audit trail and into the ledger, evenly spread over two years, and one number for three entries.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod support;

use std::time::{Duration, Instant};

use close_sandbox::Options;
use futures::future::join_all;
use secrecy::SecretString;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use self::support::{Desk, database, now};

/// Readers that ask all the time while orders are measured.
const READERS: usize = 24;
const YEARS: i64 = 2;

fn main() {
    let rows = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(3_000_000);
    tokio::runtime::Runtime::new()
        .expect("a runtime can be made")
        .block_on(async {
            let server = std::env::var("NUMBERDESK_TEST_POSTGRES").expect("the URL of a PostgreSQL server");
            measure(&database(&server, "history").await, rows).await;
        });
}

async fn measure(store: &str, rows: i64) {
    let opened = numberdesk::store::Store::open(&SecretString::from(store))
        .await
        .expect("the database can be opened");
    opened.migrate().await.expect("the migrations apply");
    opened.close().await;
    let began = Instant::now();
    fill(store, rows).await;
    println!("{rows} rows of each table written in {:?}", began.elapsed());
    let began = Instant::now();
    let desk = Desk::start(Options::default(), store, "[limits]\nrequests_per_minute = 0").await;
    println!("ready after {:?}", began.elapsed());
    let month = |ago: i64| {
        let at = numberdesk::domain::time::Timestamp::from_seconds(now() - ago * 30 * 24 * 3_600);
        at.to_string()
    };
    // The service counts the ledger once.
    while get(&desk, &format!("/v1/spend?month={}", &month(1)[..7])).await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("the ledger is counted after {:?}", began.elapsed());
    let reads = [
        ("audit, newest page", "/v1/audit".to_owned()),
        (
            "audit, until a year ago",
            format!("/v1/audit?until={}", month(12)),
        ),
        (
            "audit, an action that is rare",
            "/v1/audit?action=policy.change".to_owned(),
        ),
        (
            "audit of a day, exported",
            format!(
                "/v1/audit/export?since={}&until={}",
                month(12),
                numberdesk::domain::time::Timestamp::from_seconds(now() - (12 * 30 - 1) * 24 * 3_600)
            ),
        ),
        (
            "spend of a month, by team",
            format!("/v1/spend?month={}", &month(12)[..7]),
        ),
        (
            "spend of a month, by user",
            format!("/v1/spend?month={}&group_by=user", &month(12)[..7]),
        ),
    ];
    for (name, path) in &reads {
        let mut times = Vec::new();
        for _ in 0..5 {
            let (status, took) = get(&desk, path).await;
            assert_eq!(status, 200, "{path}");
            times.push(took);
        }
        times.sort();
        println!("{name:34} {:?}", times[2]);
    }
    let readers = async {
        join_all((0..READERS).map(|nth| {
            let (desk, path) = (&desk, &reads[nth % reads.len()].1);
            async move {
                let began = Instant::now();
                while began.elapsed() < Duration::from_secs(20) {
                    get(desk, path).await;
                }
            }
        }))
        .await;
    };
    let orders = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut times = Vec::new();
        for nth in 0..10 {
            let began = Instant::now();
            let order = desk
                .client
                .post(format!("{}/v1/orders", desk.api))
                .bearer_auth(desk.token("sales"))
                .header("Idempotency-Key", format!("k-{nth}"))
                .json(&json!({ "country": "DE", "carrier_type": "local" }));
            let answer = order.send().await.expect("the desk answers");
            assert_eq!(answer.status(), 201);
            times.push(began.elapsed());
        }
        times.sort();
        println!(
            "an order beside {READERS} readers: {:?} in the middle, {:?} at most",
            times[5], times[9]
        );
    };
    tokio::join!(readers, orders);
    desk.stop().await;
}

async fn get(desk: &Desk, path: &str) -> (u16, Duration) {
    let began = Instant::now();
    let request = desk.client.get(format!("{}{path}", desk.api));
    let answer = request.bearer_auth(desk.token("sales")).send().await;
    let answer = answer.expect("the desk answers");
    let status = answer.status().as_u16();
    answer.bytes().await.expect("the answer ends");
    (status, began.elapsed())
}

async fn fill(store: &str, rows: i64) {
    let (end, span) = (now() * 1_000_000, YEARS * 365 * 24 * 3_600 * 1_000_000);
    let digits = (0..10)
        .rev()
        .map(|digit| {
            format!(
                "substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', (((at / 1000) >> {}) & 31)::int + 1, 1)",
                digit * 5
            )
        })
        .collect::<Vec<_>>()
        .join(" || ");
    let moments =
        format!("SELECT i, {end} - {span} + i * ({span} / {rows}) AS at FROM generate_series(1, {rows}) i");
    let mut connection = PgConnection::connect(store).await.expect("a connection");
    let statements = [
        format!(
            "INSERT INTO audit (id, at, issuer, subject, team, action, allowed, outcome, detail, seq, hash) \
                SELECT 'aud_' || {digits} || lpad(i::text, 16, '0'), at, 'i', 'u' || i % 100, 'team' || i % 20, \
                    CASE WHEN i % 500000 = 0 THEN 'policy.change' ELSE 'order.create' END, 1, 'x', '{{}}', i, \
                    md5(i::text) FROM ({moments}) AS m"
        ),
        format!("UPDATE audit_head SET seq = {rows}, hash = md5('{rows}')"),
        format!(
            "INSERT INTO ledger (id, at, team, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held, \
                monthly_reserved) \
                SELECT 'led_' || {digits} || lpad(i::text, 16, '0'), at, 'team' || (i / 3) % 20, 'phon_' || i / 3, \
                    'hold', (ARRAY[1, 0, -1])[i % 3 + 1], 0, (ARRAY[500, -385, -115])[i % 3 + 1], 0 \
                FROM (SELECT i, {end} - {span} + (i / 3 + (i % 3) * {rows} / 30) * ({span} / {rows}) AS at \
                    FROM generate_series(3, {rows} + 2) i) AS m"
        ),
        "VACUUM ANALYZE".to_owned(),
    ];
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .expect("the statement succeeds");
    }
}
