//! The plan of every statement on PostgreSQL: none reads all rows of a table that grows.
//!
//! One scenario runs most use cases in a server in this process. Then the tables get many rows of others, and each text
//! that was executed is explained with the arguments of its first execution. Hash and merge joins are off, because they
//! pay only for tables as small as those of a test.
#![cfg(feature = "failpoints")]

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _};

use crate::support::database::{Database, on_postgres_only};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA, Persona};
use crate::support::receiver::Receiver;
use crate::support::server::{TestConfig, TestServer, send, text, webhooks_to};

on_postgres_only! {
    no_statement_reads_all_rows_of_a_table_that_grows,
}

/// Tables that grow with time or with the number of numbers.
const GROWING: [&str; 9] = [
    "orders",
    "numbers",
    "number_participants",
    "ledger",
    "audit",
    "events",
    "inbox",
    "webhook_deliveries",
    "spend_shares",
];

/// Parts of statements that may read a whole table, and why.
const ALLOWED: [(&str, &str); 4] = [
    (
        "allowed = 1 ORDER BY id DESC",
        "most rows of the audit trail are allowed, so a page is found at once",
    ),
    (
        "FROM numbers WHERE as_of >=",
        "a complete comparison with Close reads all numbers",
    ),
    (
        "FROM numbers WHERE gone_at IS NULL AND NOT EXISTS",
        "a complete comparison with Close reads all numbers",
    ),
    (
        "FROM numbers WHERE gone_at IS NULL ORDER BY id",
        "the inventory is loaded at start",
    ),
];

const MANAGER: Persona = ALICE
    .with("numbers:read numbers:rent numbers:update numbers:release audit:read spend:read webhooks:manage");
const ADMINISTRATOR: Persona =
    OLGA.with("numbers:read numbers:update numbers:admin audit:read spend:read webhooks:manage");

async fn scenario(server: &TestServer, app: &Receiver) {
    let endpoint = server.request_as(&MANAGER, "POST", "/v1/webhook-endpoints");
    let endpoint = send(endpoint.json(&json!({ "url": app.url() })))
        .await
        .expect(201);
    let endpoint = text(&endpoint["id"]);
    let mut numbers = Vec::new();
    for nth in 0..3 {
        numbers.push(server.rent(&MANAGER, &format!("k-{nth}"), "DE").await);
    }
    let order = server
        .order(
            &MANAGER,
            "k-0",
            &json!({ "country": "DE", "carrier_type": "local" }),
        )
        .await;
    let order = text(&order.json()["id"]);
    server
        .patch(&MANAGER, &numbers[0], &json!({ "label": "x" }))
        .await;
    server.release(&MANAGER, &numbers[1]).await;
    let transfer = format!("/v1/phone-numbers/{}/team", numbers[2]);
    let transfer = server.request_as(&ADMINISTRATOR, "PUT", &transfer);
    send(transfer.json(&json!({ "team": "support" }))).await;
    send(server.request_as(&MANAGER, "POST", &format!("/v1/orders/{order}/cancel"))).await;
    let (since, until) = ("2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z");
    let month = "2026-11";
    for person in [&MANAGER, &ADMINISTRATOR] {
        for page in [
            "/v1/me".to_owned(),
            "/v1/orders".to_owned(),
            "/v1/orders?state=fulfilled".to_owned(),
            format!("/v1/orders/{order}"),
            "/v1/phone-numbers".to_owned(),
            format!("/v1/phone-numbers/{}", numbers[0]),
            "/v1/audit".to_owned(),
            format!("/v1/audit?until={until}"),
            format!("/v1/audit?since={since}"),
            "/v1/audit?action=order.create".to_owned(),
            "/v1/audit?allowed=false".to_owned(),
            "/v1/audit?actor=alice@example.com".to_owned(),
            format!("/v1/audit?order_id={order}"),
            format!("/v1/audit?phone_number_id={}", numbers[0]),
            format!("/v1/audit/export?since={since}&until={until}"),
            "/v1/events".to_owned(),
            "/v1/events?type=order.*".to_owned(),
            format!("/v1/spend?month={month}"),
            format!("/v1/spend?month={month}&group_by=country"),
            format!("/v1/spend?month={month}&group_by=user"),
            "/v1/webhook-endpoints".to_owned(),
            format!("/v1/webhook-endpoints/{endpoint}/deliveries"),
            format!("/v1/webhook-endpoints/{endpoint}/deliveries?state=delivered"),
            format!("/v1/webhook-endpoints/{endpoint}/deliveries?state=dead"),
            "/v1/audit?allowed=true".to_owned(),
            "/v1/orders?state=needs_review".to_owned(),
        ] {
            server.get(person, &page).await;
        }
    }
    let replay = format!("/v1/webhook-endpoints/{endpoint}/replay");
    let replay = server.request_as(&MANAGER, "POST", &replay);
    send(replay.json(&json!({ "since": since }))).await;
    app.gets(3).await;
    // Every worker has run once after this.
    server.at_ops("/readyz").await;
    eventually("the trail is sealed", || async {
        let unsealed = "SELECT COUNT(*) FROM audit WHERE seq IS NULL";
        (server.database.query_integer(unsealed).await == 0).then_some(())
    })
    .await;
}

/// Adds rows, most of them old and finished, so that the planner knows large tables.
const FILL: &str = "
    INSERT INTO orders (id, team, issuer, created_by, idempotency_key, fingerprint, country, request, terms, monthly,
        state, attempt, created_at, updated_at)
        SELECT 'ord_' || lpad(i::text, 26, '0'), 'team' || i % 20, 'i', 'u', 'k' || i, 'f', 'DE', '{}', '{}', 1,
            'refused', 1, i, i FROM generate_series(1, 20000) i;
    INSERT INTO numbers (id, number, country, kind, label_folded, facts, team, order_id, monthly, as_of)
        SELECT 'phon_' || i, '+49' || i, 'DE', 'internal', '', '{}', 'team' || i % 20, 'ord_' || i, 1, i
            FROM generate_series(1, 20000) i;
    INSERT INTO number_participants SELECT 'user_' || i % 500, 'phon_' || i FROM generate_series(1, 20000) i;
    INSERT INTO ledger (id, at, team, phone_number_id, kind, numbers_held, numbers_reserved, monthly_held,
        monthly_reserved, counted)
        SELECT 'led_' || i, i, 'team' || i % 20, 'phon_' || i, 'hold', 1, 0, 1, 0, 1 FROM generate_series(1, 20000) i;
    INSERT INTO spend_shares SELECT 'phon_' || i, 24000 + i % 200, 24000 + i % 200, 'team' || i % 20, 1
        FROM generate_series(1, 20000) i;
    INSERT INTO audit (id, at, issuer, subject, team, action, allowed, order_id, phone_number_id, outcome, detail, seq,
        hash)
        SELECT 'aud_' || lpad(i::text, 26, '0'), i, 'i', 'u' || i % 100, 'team' || i % 20, 'action' || i % 10,
            1 - (i % 50 = 0)::int, 'ord_' || i, 'phon_' || i, 'x', '{}', 1000000 + i, 'h'
            FROM generate_series(1, 20000) i;
    INSERT INTO events (id, at, nth, team, kind, data, seq)
        SELECT 'evt_' || lpad(i::text, 26, '0'), i, 0, 'team' || i % 20, 'kind' || i % 20, '{}', 1000000 + i
            FROM generate_series(1, 20000) i;
    INSERT INTO inbox SELECT 'ev_' || i, 0, i FROM generate_series(1, 20000) i;
    INSERT INTO webhook_deliveries (id, endpoint_id, team, event_id, kind, body, state, attempts, queued_at, due_at,
        finished_at)
        SELECT 'dlv_' || lpad(i::text, 26, '0'), 'we_' || i % 40, 'team' || i % 20, 'evt_' || i, 'k', '{}', 'delivered',
            1, i, i, i FROM generate_series(1, 20000) i;
    ANALYZE";

/// A part of a plan that may read all rows of a growing table.
fn fault(node: &Value, partial: &[String], limited: bool) -> Option<String> {
    let relation = node["Relation Name"].as_str().unwrap_or_default();
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if GROWING.contains(&relation) {
        let index = node["Index Name"].as_str().unwrap_or_default();
        // A partial index has few rows, such as those of a queue.
        let bounded = !node["Index Cond"].is_null() || partial.iter().any(|name| name == index);
        let in_order = limited && node["Filter"].is_null();
        let scans = match kind {
            "Seq Scan" => true,
            "Index Scan" | "Index Only Scan" => !bounded && !in_order,
            _ => false,
        };
        if scans {
            return Some(format!("{kind} on {relation} {index}"));
        }
    }
    let limited = kind == "Limit" || (limited && !matches!(kind, "Sort" | "Aggregate" | "WindowAgg"));
    let mut inner = node["Plans"].as_array().into_iter().flatten();
    inner.find_map(|inner| fault(inner, partial, limited))
}

/// The plan of a statement.
async fn plan(connection: &mut PgConnection, statement: &str) -> Value {
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {statement}"));
    let row = sqlx::raw_sql(explain).fetch_one(connection).await;
    let row = row.unwrap_or_else(|error| panic!("{error}: {statement}"));
    let text: String = row.try_get_unchecked(0).expect("a plan");
    serde_json::from_str(&text).expect("JSON")
}

async fn no_statement_reads_all_rows_of_a_table_that_grows(database: Database) {
    let app = Receiver::start().await;
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(database.clone(), config).await;
    scenario(&server, &app).await;
    server.stop().await;
    let statements = numberdesk::failpoint::statements();
    database.execute(FILL).await;
    let options: sqlx::postgres::PgConnectOptions = database.url().expose_secret().parse().expect("a URL");
    let mut connection = options.connect().await.expect("a connection");
    sqlx::raw_sql("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        .execute(&mut connection)
        .await
        .expect("the settings exist");
    let partial = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                   WHERE i.indpred IS NOT NULL AND c.relname NOT IN \
                   ('events_in_the_feed', 'audit_in_the_chain', 'audit_of_a_team_in_the_chain', \
                    'events_of_a_team_in_the_feed', 'ledger_of_a_number', 'numbers_of_an_order', 'orders_of_a_number', \
                    'webhook_deliveries_done', 'events_of_a_kind', 'events_of_a_kind_in_a_team')";
    let partial = database.query_texts(partial, &[]).await;
    let (mut allowed, mut faults) = (0, Vec::new());
    for statement in &statements {
        let plan = plan(&mut connection, statement).await;
        if let Some(fault) = fault(&plan[0]["Plan"], &partial, false) {
            if ALLOWED.iter().any(|(part, _)| statement.contains(part)) {
                allowed += 1;
            } else {
                faults.push(format!("{fault}\n    {statement}"));
            }
        }
    }
    println!(
        "{} statements explained, {allowed} may read a whole table",
        statements.len()
    );
    assert!(
        statements.len() > 100,
        "only {} statements were executed",
        statements.len()
    );
    assert!(
        faults.is_empty(),
        "{} statements:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
