//! Compares lists from the inventory in memory with the same lists from SQL, on both stores.
//!
//! `cargo bench --bench inventory [-- NUMBERS]`. Needs the PostgreSQL server of the tests.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

#[path = "../tests/it/support/listing.rs"]
mod listing;

use std::hint::black_box;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use listing::Listing;
use numberdesk::domain::id::PhoneNumberId;
use numberdesk::domain::number::{Facts, Number};
use numberdesk::domain::page::Limit;
use numberdesk::domain::scope::Scope;
use numberdesk::domain::time::Timestamp;
use numberdesk::inventory::{NumberFilter, Snapshot};
use numberdesk::store::{Observation, Store};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection};

const TEAMS: usize = 20;
const DATABASE: &str = "numberdesk_bench_inventory";

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

fn main() {
    // `cargo bench` passes `--bench`.
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(100_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = format!("sqlite://{}", folder.path().join("desk.db").display());
        let server = std::env::var("NUMBERDESK_TEST_POSTGRES")
            .unwrap_or_else(|_| "postgres://root@127.0.0.1:5432/postgres".to_owned());
        let mut admin = PgConnection::connect(&server).await.expect("a PostgreSQL server");
        let drop_database = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
        for statement in [
            &drop_database,
            &format!("CREATE DATABASE {DATABASE} TEMPLATE template0"),
        ] {
            run(&mut admin, statement).await;
        }
        let mut url = url::Url::parse(&server).expect("a URL");
        url.set_path(DATABASE);
        println!("{count} numbers of {TEAMS} teams\n");
        for (name, url) in [("SQLite", file), ("PostgreSQL", url.to_string())] {
            let connection = if url.starts_with("sqlite:") {
                let options = SqliteConnectOptions::from_str(&url).expect("a URL");
                fill(&url, count).await;
                Connection::Sqlite(options.connect().await.expect("a connection"))
            } else {
                let options = PgConnectOptions::from_str(&url).expect("a URL");
                fill(&url, count).await;
                Connection::Postgres(options.connect().await.expect("a connection"))
            };
            compare(name, &url, connection).await;
        }
        run(&mut admin, &drop_database).await;
    });
}

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .expect("it does that");
}

/// Inserts the numbers as a listing of Close does, and assigns nine tenths of them to teams.
async fn fill(url: &str, count: usize) {
    let store = Store::open(&url.into())
        .await
        .expect("the database can be opened");
    store.migrate().await.expect("the migrations apply");
    let all: Vec<_> = (0..count).collect();
    for some in all.chunks(5_000) {
        let seen: Vec<_> = some.iter().map(|nth| observation(*nth)).collect();
        store.observe(&seen).await.expect("they are taken in");
    }
    store.close().await;
    let give = format!(
        "UPDATE numbers SET team = 'team-' || (CAST(SUBSTR(number, 4) AS BIGINT) % {TEAMS}) \
         WHERE CAST(SUBSTR(number, 4) AS BIGINT) % 10 <> 0"
    );
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.expect("a connection");
        let given = sqlx::raw_sql(AssertSqlSafe(give)).execute(&mut connection).await;
        given.expect("they are given");
    } else {
        let mut connection = PgConnection::connect(url).await.expect("a connection");
        run(&mut connection, &give).await;
        run(&mut connection, "ANALYZE").await;
    }
}

async fn compare(name: &str, url: &str, mut connection: Connection) {
    let store = Store::open(&url.into())
        .await
        .expect("the database can be opened");
    let (before, began) = (resident(), Instant::now());
    let snapshot = load(&store).await;
    let (loaded, held) = (began.elapsed(), resident().saturating_sub(before));
    println!("{name}");
    println!("  loaded {} in {:.2} s", snapshot.len(), loaded.as_secs_f64());
    // Only for the first store: the second one reuses the freed memory, so its growth would be too small.
    if name == "SQLite" {
        let each = held / snapshot.len().max(1);
        println!(
            "  resident memory grew by {} MiB, {each} bytes a number",
            held >> 20
        );
    }
    println!("  {:<44} {:>10} {:>10} {:>8}", "", "memory", "SQL", "ratio");
    let team = Scope::system("benchmark").only(&["team-7".parse().expect("a team")]);
    let by = |set: &dyn Fn(&mut NumberFilter)| {
        let mut filter = NumberFilter::default();
        set(&mut filter);
        filter
    };
    let middle = snapshot
        .numbers(
            &Scope::system("benchmark"),
            &NumberFilter::default(),
            Limit::default(),
            None,
        )
        .next
        .expect("there are more");
    for (what, scope, filter) in [
        ("a page of 50 of a team", &team, by(&|_| ())),
        (
            "a page of 50 of everything",
            &Scope::system("benchmark"),
            by(&|_| ()),
        ),
        (
            "a page of 50 of a participant",
            &Scope::system("benchmark"),
            by(&|filter| filter.participant = "user_11".parse().ok()),
        ),
        (
            "one number by E.164",
            &team,
            by(&|filter| filter.number = Some(digits(7))),
        ),
        (
            "a label that one of a team has",
            &team,
            by(&|filter| filter.label = Some("line 27 ".into())),
        ),
        (
            "a label that no number has, in everything",
            &Scope::system("benchmark"),
            by(&|filter| filter.label = Some("nobody".into())),
        ),
    ] {
        // A search begins with the first page.
        let searches = filter.label.is_some() || filter.number.is_some();
        let after = middle.parse::<PhoneNumberId>().ok().filter(|_| !searches);
        let limit = Limit::default();
        let memory = median(51, || {
            black_box(snapshot.numbers(scope, &filter, limit, after.as_ref()));
        });
        let listing = Listing::new(scope, &filter, limit, after.as_ref().map(PhoneNumberId::as_str));
        let mut times = Vec::new();
        for _ in 0..21 {
            let began = Instant::now();
            black_box(connection.ask(&listing).await);
            times.push(began.elapsed());
        }
        times.sort();
        print_row(what, memory, Some(times[times.len() / 2]));
    }
    let one = snapshot
        .numbers(&team, &NumberFilter::default(), Limit::default(), None)
        .rows[7]
        .clone();
    let change = || (one.facts.id.clone(), Some(Number::clone(&one)));
    let share = snapshot.clone();
    print_row(
        "one change, everything else shared",
        median(51, || {
            black_box(share.clone().with([change()]));
        }),
        None,
    );
    println!();
}

async fn load(store: &Store) -> Snapshot {
    let (mut snapshot, mut last) = (Snapshot::default(), None);
    loop {
        let numbers = store
            .numbers_after(last.as_ref(), 1_000)
            .await
            .expect("they are read");
        let Some(number) = numbers.last() else {
            return snapshot;
        };
        last = Some(number.facts.id.clone());
        snapshot = snapshot.with(
            numbers
                .into_iter()
                .map(|number| (number.facts.id.clone(), Some(number))),
        );
    }
}

impl Connection {
    /// Runs the query and reads the numbers, as the store does.
    async fn ask(&mut self, listing: &Listing) -> Vec<Facts> {
        let text = AssertSqlSafe(listing.text.clone());
        let texts: Vec<String> = match self {
            Self::Sqlite(connection) => {
                let bound = listing
                    .args
                    .iter()
                    .fold(sqlx::query(text), sqlx::query::Query::bind);
                let rows = bound.fetch_all(connection).await.expect("an answer");
                rows.iter().map(|row| row.get("facts")).collect()
            }
            Self::Postgres(connection) => {
                let bound = listing
                    .args
                    .iter()
                    .fold(sqlx::query(text), sqlx::query::Query::bind);
                let rows = bound.fetch_all(connection).await.expect("an answer");
                rows.iter().map(|row| row.get("facts")).collect()
            }
        };
        texts
            .iter()
            .map(|text| serde_json::from_str(text).expect("facts"))
            .collect()
    }
}

fn print_row(what: &str, memory: Duration, sql: Option<Duration>) {
    let micros = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
    let ratio = sql.map_or_else(String::new, |sql| {
        format!("{:.0}", sql.as_secs_f64() / memory.as_secs_f64())
    });
    println!(
        "  {what:<44} {:>10} {:>10} {ratio:>8}",
        micros(memory),
        sql.map_or_else(String::new, micros)
    );
}

fn median(times: usize, mut work: impl FnMut()) -> Duration {
    let mut took: Vec<_> = (0..times)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    took.sort();
    took[times / 2]
}

/// Returns the resident memory of this process in bytes; 0 without `/proc`.
fn resident() -> usize {
    std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok())
        .map_or(0, |pages| pages * 4_096)
}

fn digits(nth: usize) -> String {
    format!("+49{:09}", 300_000_000 + nth)
}

/// Makes a number with all fields that Close shows.
fn observation(nth: usize) -> Observation {
    // Ids as long as Close's, in another order than that of creation.
    let spread = nth.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let id: PhoneNumberId = format!("phon_{spread:016x}{nth:027}").parse().expect("an id");
    let (user, other) = (format!("user_{}", nth % 997), format!("user_{}", nth % 1_009));
    let (number, label) = (digits(nth), format!("Berlin line {nth} "));
    let object = json!({
        "id": id, "organization_id": format!("orga_{:043}", 7), "number": number,
        "number_formatted": number, "country": "DE", "label": label, "type": "internal",
        "carrier": "twilio", "carrier_type": "local", "address_id": null, "bundle_id": format!("bund_{:043}", nth % 3),
        "is_premium": false, "is_verified": true, "is_group_number": true, "sms_enabled": true, "mms_enabled": false,
        "mms_enabled_countries": [], "sms_enabled_countries": ["DE", "AT", "CH", "FR", "GB", "US", "CA"],
        "forward_to": "", "forward_to_formatted": "", "forward_to_enabled": false, "supports_mms_to_countries": ["US", "CA"],
        "voicemail_greeting_url": "https://example.com/greetings/of/the/house.mp3", "press_1_to_accept": false,
        "inbound_ring_duration": 30, "last_billed_price": 1.15, "next_billing_on": "2026-12-01", "user_id": null,
        "participants": [user, other], "participant_groups": [], "phone_numbers": [], "phone_numbers_formatted": [],
        "was_ported": false, "created_by": user, "updated_by": user,
        "date_created": "2026-07-18T22:54:24.787000+00:00", "date_updated": "2026-11-18T22:54:24.787000+00:00",
    });
    Observation {
        facts: Facts {
            id,
            organization: None,
            number,
            country: "DE".parse().ok(),
            kind: "internal".into(),
            label: Some(label),
            carrier_type: Some("local".into()),
            participants: [user, other]
                .iter()
                .filter_map(|user| user.parse().ok())
                .collect(),
            participant_groups: Vec::new(),
            user: None,
            group: true,
            sms: Some(true),
            billed: None,
            created_at: None,
            updated_at: None,
            object: object.as_object().expect("an object").clone().into(),
        },
        as_of: Timestamp::from_seconds(1_795_000_000),
        estimate: None,
    }
}
