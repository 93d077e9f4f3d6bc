//! A rollout and its undoing: rows with words of a newer version, and a role of the database that may not migrate.

use std::path::Path;

use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::binary::{ServerProcess, run};
use crate::support::close::RENT;
use crate::support::database::{Database, execute_on_server, on_both_stores, on_postgres_only};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA, Persona};
use crate::support::receiver::Receiver;
use crate::support::server::{TestConfig, TestServer, send, text, webhooks_to};

on_both_stores! {
    words_of_a_newer_version_are_shown_and_its_work_is_left_alone,
    an_order_with_words_of_a_newer_version_is_shown_and_not_sent_and_holds_up_no_other,
}

on_postgres_only! {
    a_role_that_may_only_read_and_write_serves_what_another_role_has_migrated,
}

/// The word that no version knows.
const WORD: &str = "from-the-future";

/// Each column with words, as a newer version writes it, and a page that shows the word.
const COLUMNS: [(&str, &str); 8] = [
    ("orders SET state = 'from-the-future'", "/v1/orders/{order}"),
    ("orders SET evidence = 'from-the-future'", "/v1/orders/{order}"),
    (
        "orders SET approve_by = 0, approval = '{\"rule\":\"r\",\"why\":\"w\",\"fingerprint\":\"f\",\"terms\":' || terms || \
         ',\"close_user\":null,\"decision\":\"from-the-future\",\"by\":null,\"at\":null,\"comment\":null}'",
        "/v1/orders?limit=100",
    ),
    ("audit SET action = 'from-the-future'", "/v1/audit?limit=100"),
    ("events SET kind = 'from-the-future'", "/v1/events?limit=100"),
    (
        "webhook_endpoints SET disabled = 'from-the-future'",
        "/v1/webhook-endpoints/{endpoint}",
    ),
    (
        "webhook_endpoints SET types = '[\"from-the-future\"]'",
        "/v1/webhook-endpoints?limit=100",
    ),
    (
        "webhook_deliveries SET state = 'from-the-future'",
        "/v1/webhook-endpoints/{endpoint}/deliveries",
    ),
];

/// May do everything in the team, and sees the audit trail.
const MANAGER: Persona = ALICE
    .with("numbers:read numbers:rent numbers:update numbers:release audit:read spend:read webhooks:manage");

async fn words_of_a_newer_version_are_shown_and_its_work_is_left_alone(database: Database) {
    let app = Receiver::start().await;
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let server = TestServer::with(database.clone(), config).await;
    let endpoint = async || {
        let request = server.request_as(&MANAGER, "POST", "/v1/webhook-endpoints");
        let created = send(request.json(&json!({ "url": app.url() }))).await.expect(201);
        text(&created["id"])
    };
    let odd_endpoint = endpoint().await;
    let order = server
        .order(&MANAGER, "odd", &json!({ "country": "DE" }))
        .await
        .expect(201);
    let order = text(&order["id"]);
    app.gets(1).await;
    eventually("the events are delivered", || async {
        let pending = "SELECT COUNT(*) FROM webhook_deliveries WHERE state = 'pending'";
        (database.query_integer(pending).await == 0).then_some(())
    })
    .await;
    database
        .execute("UPDATE ledger SET kind = 'from-the-future'; UPDATE numbers SET kind = 'from-the-future'")
        .await;
    for (change, page) in COLUMNS {
        database.execute(&format!("UPDATE {change}")).await;
        let page = page
            .replace("{order}", &order)
            .replace("{endpoint}", &odd_endpoint);
        let shown = server.get(&MANAGER, &page).await;
        assert_eq!(shown.status, 200, "{change}: {shown}");
        assert!(shown.to_string().contains(WORD), "{change}: {shown}");
    }
    // Every list still works, and a filter takes no word that this version does not know.
    for page in [
        "/v1/orders",
        "/v1/phone-numbers",
        "/v1/audit",
        "/v1/audit/export",
        "/v1/events",
        "/v1/spend?month=2026-11",
        "/v1/webhook-endpoints",
    ] {
        assert_eq!(server.get(&MANAGER, page).await.status, 200, "{page}");
    }
    for page in [
        "/v1/orders?state=from-the-future",
        "/v1/audit?action=from-the-future",
    ] {
        assert_eq!(server.get(&OLGA, page).await.status, 400, "{page}");
    }
    // The order of the newer version is repeated and answered, not touched and in nobody's way.
    let again = server.order(&MANAGER, "odd", &json!({ "country": "DE" })).await;
    assert_eq!(
        (again.status, text(&again.expect(202)["state"])),
        (202, WORD.to_owned())
    );
    let cancel = server.request_as(&MANAGER, "POST", &format!("/v1/orders/{order}/cancel"));
    send(cancel).await.problem(409, "order-not-cancellable");
    let before = app.count();
    endpoint().await;
    server
        .order(&MANAGER, "even", &json!({ "country": "DE" }))
        .await
        .expect(201);
    eventually("the other endpoint receives the new order", || async {
        (app.count() > before).then_some(())
    })
    .await;
    let untouched = format!("SELECT COUNT(*) FROM orders WHERE id = '{order}' AND state = '{WORD}'");
    assert_eq!(database.query_integer(&untouched).await, 1);
    let left = format!("SELECT COUNT(*) FROM webhook_deliveries WHERE state = '{WORD}'");
    assert!(database.query_integer(&left).await > 0);
    let metrics = server.at_ops("/metrics").await;
    assert_eq!(metrics.status, 200);
}

/// Requests as a newer version writes them: with a word, a member or a country that this one does not know.
const REQUESTS: [&str; 4] = [
    r#"{"country":"DE","sharing":"personal","carrier_type":"from-the-future"}"#,
    r#"{"country":"DE","sharing":"from-the-future"}"#,
    r#"{"country":"DE","sharing":"personal","city":"from-the-future"}"#,
    r#"{"country":"ZZ","sharing":"personal","label":"from-the-future"}"#,
];

async fn an_order_with_words_of_a_newer_version_is_shown_and_not_sent_and_holds_up_no_other(
    database: Database,
) {
    let server = TestServer::with(database.clone(), TestConfig::default()).await;
    let german = json!({ "country": "DE", "carrier_type": "local" });
    let mut later = Vec::new();
    for (nth, request) in REQUESTS.iter().enumerate() {
        let accepted = server.order(&MANAGER, &format!("later-{nth}"), &german).await;
        let id = text(&accepted.expect(201)["id"]);
        // As if a newer replica had accepted it a moment ago.
        let change = format!(
            "UPDATE orders SET request = '{request}', shape = id, state = 'queued', attempt = 0, sent_at = NULL, \
                phone_number_id = NULL, evidence = NULL, finished_at = NULL WHERE id = '{id}'"
        );
        database.execute(&change).await;
        later.push(id);
    }
    let rents = server.close.requests("POST", RENT).await.len();
    let shown = server.get(&MANAGER, "/v1/orders?limit=100").await;
    assert_eq!(shown.status, 200, "{shown}");
    assert_eq!(shown.to_string().matches(WORD).count(), REQUESTS.len(), "{shown}");
    // Others are sent past them: nothing has been sent for those that wait.
    server.order(&MANAGER, "other", &german).await.expect(201);
    let set_state = async |state: &str| {
        let ids = later.join("', '");
        database
            .execute(&format!(
                "UPDATE orders SET state = '{state}', attempt = 1, sent_at = updated_at, lease_until = 0, look_at = 0 \
                 WHERE id IN ('{ids}')"
            ))
            .await;
    };
    // A single one in doubt lets others be sent, one at a time.
    let in_doubt = format!(
        "UPDATE orders SET state = 'unverified', attempt = 1, sent_at = 0, look_at = 0 \
         WHERE id = '{}'",
        later[0]
    );
    database.execute(&in_doubt).await;
    server
        .order(&MANAGER, "beside-a-doubt", &german)
        .await
        .expect(201);
    let untouched = format!(
        "SELECT COUNT(*) FROM orders WHERE id = '{}' AND look_at = 0",
        later[0]
    );
    server.wait_until_synced().await;
    assert_eq!(
        database.query_integer(&untouched).await,
        1,
        "a newer replica looks for it"
    );
    // Two that can each have rented whatever comes next are more than the evidence can tell apart.
    set_state("unverified").await;
    server.order_at_once(&MANAGER, "waits", &german).await.expect(202);
    // Other countries have nothing to do with them.
    server
        .order(
            &MANAGER,
            "elsewhere",
            &json!({ "country": "FR", "carrier_type": "local" }),
        )
        .await
        .expect(201);
    assert_eq!(server.close.requests("POST", RENT).await.len(), rents + 3);
    // Their newer replica has settled them.
    set_state("cancelled").await;
    eventually("the order that waited is sent", || async {
        let order = server.order(&MANAGER, "waits", &german).await.json();
        (order["state"] == "fulfilled").then_some(())
    })
    .await;
}

/// The statements of the guide that create the two roles, for these names.
fn statements_of_the_guide(owner: &str, service: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let guide = std::fs::read_to_string(guide).expect("the guide can be read");
    let block = guide.split("```sql\n").nth(1).expect("the guide has SQL");
    let block = block.split("```").next().expect("a block ends");
    block
        .replace("numberdesk_owner", owner)
        .replace("numberdesk_service", service)
}

async fn a_role_that_may_only_read_and_write_serves_what_another_role_has_migrated(database: Database) {
    let database = database.without_schema().await;
    let (owner, service) = (
        format!("owner_{}", database.name()),
        format!("service_{}", database.name()),
    );
    database.execute(&statements_of_the_guide(&owner, &service)).await;
    let by = |role: &str| {
        let mut url = url::Url::parse(database.url().expose_secret()).expect("a URL");
        url.set_username(role).expect("a user");
        url.set_password(Some("...")).expect("a password");
        Database::by(url.as_str())
    };
    // Without a schema, the service names what is missing and who can help.
    let mut server = TestServer::prepare(by(&service), TestConfig::default()).await;
    let refused = run(server.folder.path(), &["serve", "--config", "numberdesk.toml"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    for part in ["0001_start", "numberdesk migrate"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    let file = server.folder.path().join("numberdesk.toml");
    let of_service = std::fs::read_to_string(&file).expect("the configuration can be read");
    let of_owner = of_service.replace(&service, &owner);
    std::fs::write(&file, of_owner).expect("the configuration can be written");
    let migrated = run(server.folder.path(), &["migrate", "--config", "numberdesk.toml"]).await;
    assert_eq!(migrated.code, 0, "{migrated:?}");
    std::fs::write(&file, of_service).expect("the configuration can be written");
    let mut process: ServerProcess = server.start_process().await;
    server.wait_until_synced().await;
    server.rent(&ALICE, "k", "DE").await;
    let doctor = run(server.folder.path(), &["doctor", "--config", "numberdesk.toml"]).await;
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert_eq!(process.terminate().await, 0);
    for role in [service, owner] {
        database.execute(&format!("DROP OWNED BY {role} CASCADE")).await;
        execute_on_server(&format!("DROP ROLE {role}"))
            .await
            .expect("the role can be dropped");
    }
}
