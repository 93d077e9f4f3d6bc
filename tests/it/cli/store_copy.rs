//! `numberdesk store copy`: the same desk goes on with the copy, and a copy that can't be right is refused.

use std::collections::BTreeSet;
use std::path::Path;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::binary::{CommandOutput, output_of, run};
use crate::support::books::assert_books_balance;
use crate::support::database::{Database, execute_on_server, on_sqlite, with_postgres, with_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, OLGA, Persona};
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::{TestConfig, TestServer, send, text, webhooks_to};

const APP: Persona = ALICE.with("numbers:read numbers:rent numbers:update numbers:release webhooks:manage");

on_sqlite! {
    the_tables_of_the_schema_are_the_tables_that_are_copied,
}

async fn copy(folder: &Path, from: &Database, to: &Database) -> CommandOutput {
    let (from, to) = (from.url().expose_secret(), to.url().expose_secret());
    run(folder, &["store", "copy", "--from", from, "--to", to]).await
}

/// Writes another database into the configuration of a stopped server.
fn move_to(server: &mut TestServer, database: &Database) {
    let file = server.folder.path().join("numberdesk.toml");
    let config = std::fs::read_to_string(&file).expect("the file can be read");
    let (from, to) = (
        server.database.url().expose_secret(),
        database.url().expose_secret(),
    );
    assert!(config.contains(from), "{config}");
    std::fs::write(&file, config.replace(from, to)).expect("the file can be written");
    server.database = database.clone();
}

/// Every row of a table as one text, sorted; the columns in the order of their names.
async fn rows(database: &Database, table: &str) -> BTreeSet<String> {
    let columns = if database.kind() == "SQLite" {
        format!("SELECT name FROM pragma_table_info('{table}')")
    } else {
        format!("SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}'")
    };
    let columns: BTreeSet<String> = database.query_texts(&columns, &[]).await.into_iter().collect();
    let parts: Vec<String> = columns
        .iter()
        .map(|column| format!("COALESCE(CAST({column} AS TEXT), 'null')"))
        .collect();
    let all = format!("SELECT {} FROM {table}", parts.join(" || '|' || "));
    database.query_texts(&all, &[]).await.into_iter().collect()
}

/// The tables of the database, apart from the one of the migrations.
async fn tables(database: &Database) -> BTreeSet<String> {
    let tables = if database.kind() == "SQLite" {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'migrations'"
    } else {
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'"
    };
    database.query_texts(tables, &[]).await.into_iter().collect()
}

/// Waits until the first rows of the audit trail are in the chain, which a worker extends.
async fn wait_for_the_chain(source: &Database) {
    eventually("the audit chain has two rows", || async {
        let rows = source.query_texts("SELECT outcome FROM audit WHERE seq = 2", &[]);
        (!rows.await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_on_sqlite_goes_on_with_its_copy_on_postgresql() {
    with_sqlite(|source| with_postgres(async |target| goes_on(source, target.without_schema().await).await))
        .await;
}

async fn goes_on(source: Database, target: Database) {
    let app = Receiver::start().await;
    app.answers(Reply::Status(503));
    let config = TestConfig {
        webhooks: webhooks_to(&[app.port()]),
        ..TestConfig::default()
    };
    let mut server = TestServer::with(source.clone(), config).await;
    let endpoint = send(
        server
            .request_as(&APP, "POST", "/v1/webhook-endpoints")
            .json(&json!({ "url": app.url() })),
    )
    .await
    .expect(201);
    let number = server.rent(&APP, "one", "DE").await;
    server
        .patch(&APP, &number, &json!({ "label": "Köln ☎" }))
        .await
        .expect(200);
    let other = server.rent(&APP, "two", "FR").await;
    assert_eq!(server.release(&APP, &other).await.status, 204);
    let order = server
        .order(&APP, "three", &json!({ "country": "DE" }))
        .await
        .expect(201);
    server
        .order(&APP, "denied", &json!({ "country": "JP" }))
        .await
        .problem(403, "policy-denied");
    app.gets(1).await;
    let page = server.get(&APP, "/v1/events?limit=3").await.expect(200);
    let cursor = text(&page["next_cursor"]);
    let orders = server.get(&APP, "/v1/orders?limit=1").await.expect(200);
    let orders_cursor = text(&orders["next_cursor"]);
    let rents = server.close.rents().await.len();
    wait_for_the_chain(&source).await;
    server.stop().await;
    let events: Vec<String> = source
        .query_texts("SELECT id FROM events WHERE team = 'sales' ORDER BY id", &[])
        .await;

    let copied = copy(server.folder.path(), &source, &target).await;
    assert_eq!((copied.code, copied.stderr.as_str()), (0, ""), "{copied:?}");
    for part in ["orders, 3 rows", "verified", "ledger of 1 teams", "audit chain"] {
        assert!(copied.stdout.contains(part), "{part} is not in {}", copied.stdout);
    }
    assert_eq!(tables(&source).await, tables(&target).await);
    for table in tables(&source).await {
        assert_eq!(
            rows(&source, &table).await,
            rows(&target, &table).await,
            "{table}"
        );
    }

    move_to(&mut server, &target);
    app.answers(Reply::Status(204));
    server.start().await;
    server.wait_until_synced().await;
    // Orders and their keys: repeated, the order is the same one, and nothing is rented.
    let again = server
        .order(&APP, "three", &json!({ "country": "DE" }))
        .await
        .expect(201);
    for member in ["id", "created_at", "finished_at", "evidence", "idempotency_key"] {
        assert_eq!(again[member], order[member], "{member}");
    }
    assert_eq!(server.close.rents().await.len(), rents);
    // Cursors of before, and the events after them.
    let rest = format!("/v1/events?after={cursor}&limit=200");
    eventually("the events after the cursor are listed", || async {
        (server.list(&APP, &rest).await.len() >= events.len() - 3).then_some(())
    })
    .await;
    server
        .get(&APP, &format!("/v1/orders?limit=1&cursor={orders_cursor}"))
        .await
        .expect(200);
    // The numbering of events goes on.
    server.rent(&APP, "four", "DE").await;
    let after = eventually("the events of the new order are numbered", || async {
        let all = server.list(&APP, "/v1/events?limit=200").await;
        (all.len() >= events.len() + 4).then_some(all)
    })
    .await;
    let ids: BTreeSet<String> = after.iter().map(|event| text(&event["id"])).collect();
    assert_eq!(ids.len(), after.len());
    assert!(events.iter().all(|id| ids.contains(id)));
    delivers(&server, &text(&endpoint["id"]), &events).await;
    chain_goes_on(&server, &copied.stdout).await;
    assert_books_balance(&target).await;
    server.get(&OLGA, "/v1/audit").await.expect(200);
    server.stop().await;

    // A second copy would overwrite what happened since.
    let again = copy(server.folder.path(), &source, &target).await;
    assert_eq!(again.code, 1);
    assert!(
        again.stderr.contains("the target is not empty"),
        "{}",
        again.stderr
    );
}

/// Deliveries that failed before the copy arrive at the endpoint that was registered before it.
async fn delivers(server: &TestServer, endpoint: &str, events: &[String]) {
    let path = format!("/v1/webhook-endpoints/{endpoint}/deliveries?state=delivered");
    eventually("an event of before is delivered", || async {
        let delivered = server.get(&APP, &path).await.expect(200);
        let delivered = delivered["data"].as_array().expect("a list").clone();
        delivered
            .iter()
            .any(|delivery: &Value| events.contains(&text(&delivery["event_id"])))
            .then_some(())
    })
    .await;
}

/// The audit chain goes on from the head that the copy printed.
async fn chain_goes_on(server: &TestServer, output: &str) {
    eventually("every row is in the chain", || async {
        (server
            .database
            .query_integer("SELECT COUNT(*) FROM audit WHERE seq IS NULL")
            .await
            == 0)
            .then_some(())
    })
    .await;
    let head = output
        .lines()
        .find_map(|line| line.split("head ").nth(1))
        .expect("a head");
    let verified = run(server.folder.path(), &["audit", "verify", "--head", head]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(verified.stdout.contains("is in the chain"), "{}", verified.stdout);
}

/// A copy of a service that has done nothing has an empty chain, whose head is printed like any other.
#[tokio::test]
async fn the_head_of_an_empty_chain_is_accepted_as_it_is_printed() {
    let folder = super::config_folder();
    let migrated = run(folder.path(), &["migrate", "--config", "numberdesk.toml"]).await;
    assert_eq!(migrated.code, 0, "{migrated:?}");
    let empty = run(folder.path(), &["audit", "verify"]).await;
    let head = empty
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("head      "))
        .expect("a head");
    let verified = run(folder.path(), &["audit", "verify", "--head", head]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(
        verified.stdout.contains(&format!("{head} is in the chain")),
        "{verified:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_can_t_be_right_is_refused_and_leaves_the_target_as_it_was() {
    with_sqlite(|source| with_postgres(async |target| refusals(source, target.without_schema().await).await))
        .await;
}

async fn refusals(source: Database, target: Database) {
    let (mut server, mut process) = TestServer::as_process(source.clone(), TestConfig::default()).await;
    server.rent(&ALICE, "one", "DE").await;
    let folder = server.folder.path().to_owned();
    let refused = async |part: &str| {
        let copied = copy(&folder, &source, &target).await;
        assert_eq!(copied.code, 1, "{part}: {copied:?}");
        assert!(copied.stderr.contains(part), "{part} is not in {}", copied.stderr);
        let password = url::Url::parse(target.url().expose_secret()).expect("a URL");
        let password = password.password().unwrap_or("none");
        assert!(!copied.stderr.contains(password), "{}", copied.stderr);
    };
    let is_untouched = async || {
        assert_eq!(tables(&target).await, BTreeSet::new(), "the target has no table");
    };
    refused("already serves the SQLite file").await;
    is_untouched().await;
    wait_for_the_chain(&source).await;
    process.terminate().await;

    target.execute("CREATE TABLE customers (id BIGINT)").await;
    refused("customers of another application").await;
    target.execute("DROP TABLE customers").await;

    source
        .execute("INSERT INTO migrations (name, checksum) VALUES ('9999_future', 'x')")
        .await;
    refused("schema of a newer version").await;
    source
        .execute("DELETE FROM migrations WHERE name = '9999_future'")
        .await;
    source
        .execute("UPDATE migrations SET checksum = 'x' WHERE name LIKE '0008%'")
        .await;
    refused("numberdesk migrate").await;
    is_untouched().await;
    let checksum = {
        use sha2::Digest as _;
        let text = std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/store/migrations/0008_outgoing.sql"
        ));
        hex::encode(sha2::Sha256::digest(text.expect("the migration can be read")))
    };
    source
        .execute(&format!(
            "UPDATE migrations SET checksum = '{checksum}' WHERE name LIKE '0008%'"
        ))
        .await;

    // A changed audit row, and usage that is not the sum of the ledger, are found in the copy, which is undone.
    let outcome = source
        .query_texts("SELECT outcome FROM audit WHERE seq = 2", &[])
        .await
        .remove(0);
    source
        .execute("UPDATE audit SET outcome = 'changed' WHERE seq = 2")
        .await;
    refused("audit chain is broken").await;
    is_untouched().await;
    source
        .execute(&format!("UPDATE audit SET outcome = '{outcome}' WHERE seq = 2"))
        .await;
    source
        .execute("UPDATE usage SET numbers_held = numbers_held + 1")
        .await;
    refused("usage is not the sum of its ledger").await;
    is_untouched().await;
    source
        .execute("UPDATE usage SET numbers_held = numbers_held - 1")
        .await;

    // Started again, the copy succeeds. From there it can go on, while nothing uses the source.
    let copied = copy(&folder, &source, &target).await;
    assert_eq!(copied.code, 0, "{copied:?}");
    let name = format!("{}_next", target.name());
    execute_on_server(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await
        .expect("a database");
    let mut url = url::Url::parse(target.url().expose_secret()).expect("a URL");
    url.set_path(&name);
    let next = Database::by(url.as_str());
    // A service is noticed under any name.
    let mut url = url::Url::parse(target.url().expose_secret()).expect("a URL");
    url.query_pairs_mut().append_pair("application_name", "desk-7");
    let named = Database::by(url.as_str());
    move_to(&mut server, &named);
    let mut process = server.start_process().await;
    let busy = copy(&folder, &named, &next).await;
    assert_eq!(busy.code, 1, "{busy:?}");
    assert!(busy.stderr.contains("stop all replicas"), "{}", busy.stderr);
    process.terminate().await;
    let moved = eventually("the sessions of the replica have ended", || async {
        let moved = copy(&folder, &named, &next).await;
        (moved.code == 0).then_some(moved)
    })
    .await;
    assert!(moved.stdout.contains("orders, 1 rows"), "{}", moved.stdout);
    assert_eq!(rows(&target, "audit").await, rows(&next, "audit").await);
    execute_on_server(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await
        .expect("it can be dropped");
}

#[tokio::test]
async fn a_source_that_does_not_exist_is_not_created_and_a_wrong_url_is_explained_without_its_password() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let missing = folder.path().join("none.db");
    let from = format!("sqlite://{}", missing.display());
    let to = format!("sqlite://{}", folder.path().join("to.db").display());
    let copied = run(folder.path(), &["store", "copy", "--from", &from, "--to", &to]).await;
    assert_eq!(copied.code, 1, "{copied:?}");
    assert!(copied.stderr.contains("none.db"), "{}", copied.stderr);
    assert!(!missing.exists() && !folder.path().join("none.db.lock").exists());
    for to in [
        "jdbc:postgresql://h/d?password=hunter2",
        "postgres://u:hun/ter2@h/d",
    ] {
        let copied = run(folder.path(), &["store", "copy", "--from", &from, "--to", to]).await;
        assert_eq!(copied.code, 1, "{copied:?}");
        assert!(copied.stderr.contains("--to"), "{}", copied.stderr);
        assert!(!copied.stderr.contains("ter2"), "{}", copied.stderr);
    }
    let url = folder.path().join("url");
    std::fs::write(&url, &to).expect("the file can be written");
    let arguments = ["store", "copy", "--from", &from, "--to-file", "url"];
    let copied = run(folder.path(), &arguments).await;
    assert!(copied.stderr.contains("none.db"), "{}", copied.stderr);
}

/// A table that a migration adds is in the list, because the list follows from the migrations.
async fn the_tables_of_the_schema_are_the_tables_that_are_copied(database: Database) {
    let mut server = TestServer::new(database.clone()).await;
    server.rent(&ALICE, "one", "DE").await;
    server.stop().await;
    let target = server.folder.path().join("copy.db");
    let target = Database::by(&format!("sqlite://{}", target.display()));
    let copied = copy(server.folder.path(), &database, &target).await;
    assert_eq!(copied.code, 0, "{copied:?}");
    let listed: BTreeSet<String> = copied
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("table"))
        .map(|line| line.trim().split(',').next().expect("a name").to_owned())
        .collect();
    assert_eq!(listed, tables(&database).await);
    for table in &listed {
        assert_eq!(
            rows(&database, table).await,
            rows(&target, table).await,
            "{table}"
        );
    }
    let verified = copied
        .stdout
        .lines()
        .filter(|line| line.starts_with("verified"))
        .count();
    assert_eq!(verified, 4, "{}", copied.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_commands_show_progress_on_a_terminal_and_nothing_elsewhere() {
    with_sqlite(|database| async move {
        let mut server = TestServer::new(database.clone()).await;
        server.rent(&ALICE, "one", "DE").await;
        server.stop().await;
        let folder = server.folder.path();
        let binary = env!("CARGO_BIN_EXE_numberdesk");
        let verify = ["audit", "verify", "--config", "numberdesk.toml"];
        let quiet = run(folder, &verify).await;
        assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""), "{quiet:?}");
        let has_control = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
        assert!(!has_control(&quiet.stdout), "{}", quiet.stdout);
        // `script` runs the command on a terminal of its own; the result still goes to a file.
        let on_terminal = |term: &str| {
            let line = format!("{binary} {} > result", verify.join(" "));
            let mut script = Command::new("script");
            script
                .args(["--quiet", "--return", "--command", &line, "/dev/null"])
                .current_dir(folder)
                .env("TERM", term)
                .env("NO_COLOR", "1")
                .stdin(std::process::Stdio::null())
                .kill_on_drop(true);
            script
        };
        let shown = output_of(on_terminal("xterm")).await;
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(
            shown.stdout.contains("verifying") && has_control(&shown.stdout),
            "{shown:?}"
        );
        assert!(
            !shown.stdout.contains("\u{1b}[3"),
            "the progress has colours: {shown:?}"
        );
        let result = std::fs::read_to_string(folder.join("result")).expect("the result can be read");
        assert_eq!(result, quiet.stdout, "the result is the same");
        let dumb = output_of(on_terminal("dumb")).await;
        assert_eq!((dumb.code, dumb.stdout.as_str()), (0, ""), "{dumb:?}");
    })
    .await;
}
