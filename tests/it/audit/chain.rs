//! The hash chain of the audit trail: `numberdesk audit verify` finds each change that an administrator of the database
//! makes, and names the row.

mod exports;
mod tampering;

use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::binary::{CommandOutput, ServerProcess, run};
use crate::support::database::{Database, on_both_stores, with_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, LENA, OLGA, Persona};
use crate::support::program::{provided, root, succeeds};
use crate::support::server::{TestServer, text};
use crate::support::snapshot;

on_both_stores! {
    rows_are_chained_automatically_and_verify_while_the_service_runs,
}

/// Creates orders of two teams. Each order leaves three rows, each refusal one.
async fn create_orders(server: &TestServer) {
    server.rent(&ALICE, "one", "DE").await;
    server.rent(&BOB, "two", "DE").await;
    server
        .order(&ALICE, "three", &json!({ "country": "JP" }))
        .await
        .problem(403, "policy-denied");
    server
        .order(&BOB, "four", &json!({ "country": "JP" }))
        .await
        .problem(403, "policy-denied");
    server.rent(&LENA, "five", "FR").await;
}

/// The number of rows that [`create_orders`] leaves the first time.
const ROW_COUNT: usize = 11;

/// Creates orders, stops the server when all rows are in the chain, and returns the export of all rows.
async fn chained(database: Database) -> (TestServer, String) {
    let mut server = TestServer::new(database).await;
    create_orders(&server).await;
    let export = export(&server, &OLGA, "").await;
    server.stop().await;
    (server, export)
}

/// Returns the export as newline-delimited JSON.
async fn export(server: &TestServer, person: &Persona, query: &str) -> String {
    let answer = server.get(person, &format!("/v1/audit/export{query}")).await;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.header("content-type"), "application/x-ndjson", "{answer}");
    answer.text
}

fn rows(export: &str) -> Vec<Value> {
    export
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect()
}

async fn verify(folder: &Path, more: &[&str]) -> CommandOutput {
    run(folder, &[&["audit", "verify"], more].concat()).await
}

/// Asserts that the verification succeeds, and returns its output.
async fn assert_intact(folder: &Path, more: &[&str]) -> String {
    let result = verify(folder, more).await;
    assert_eq!((result.code, result.stderr.as_str()), (0, ""), "{result:?}");
    result.stdout
}

/// Asserts that the verification fails, and that its output has these parts.
async fn assert_broken(folder: &Path, more: &[&str], parts: &[&str]) {
    let result = verify(folder, more).await;
    assert_eq!(result.code, 1, "{parts:?}: {result:?}");
    for part in parts {
        assert!(
            result.stdout.contains(part) || result.stderr.contains(part),
            "{part} is not in {result:?}"
        );
    }
}

async fn rows_are_chained_automatically_and_verify_while_the_service_runs(database: Database) {
    let server = TestServer::new(database.clone()).await;
    create_orders(&server).await;
    eventually("every row is in the chain", || async {
        (database
            .query_integer("SELECT COUNT(*) FROM audit WHERE seq IS NULL")
            .await
            == 0)
            .then_some(())
    })
    .await;
    let metrics = server.at_ops("/metrics").await.text;
    for name in [
        "numberdesk_audit_sealed_total",
        "numberdesk_audit_unsealed_age_seconds",
    ] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    // An auditor has only the URL of the database: no API key of Close, no keys of an issuer and no policy.
    let config = std::fs::read_to_string(server.folder.path().join("numberdesk.toml"))
        .expect("the configuration can be read");
    let store = config
        .lines()
        .find(|line| line.starts_with("url = "))
        .expect("the URL of the database");
    let auditor = tempfile::tempdir().expect("a folder can be made");
    std::fs::write(
        auditor.path().join("numberdesk.toml"),
        format!("[store]\n{store}\n[close]\nwrong = 1\n"),
    )
    .expect("the configuration can be written");
    let intact = verify(auditor.path(), &[]).await;
    snapshot::assert_output("cli/audit_verify_intact", &intact);
    let output = intact.stdout;
    let hash = output
        .lines()
        .find_map(|line| line.strip_prefix("head      "))
        .expect("the head is printed");
    let again = assert_intact(auditor.path(), &["--head", hash]).await;
    assert!(
        again.contains(&format!("recorded  {hash} is in the chain")),
        "{again}"
    );

    // A row that is not in the chain yet is reported, but it is no fault.
    let mut server = server;
    server.stop().await;
    let copy = "INSERT INTO audit (id, at, issuer, subject, action, outcome, detail) \
        SELECT 'aud_zz', at, issuer, subject, action, outcome, detail FROM audit WHERE seq = 1";
    database.execute(copy).await;
    let output = assert_intact(auditor.path(), &["--head", hash]).await;
    assert!(output.contains("unsealed  1 rows"), "{output}");
}

/// Inserts this many rows, older than all others.
async fn insert_rows(database: &Database, count: usize) {
    database
        .execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             INSERT INTO audit (id, at, issuer, subject, action, outcome, detail) \
             SELECT 'aud_' || CAST(1000000 + i AS TEXT), 1795000000000000 + i, '', 'numberdesk', 'number.gone', 'gone', \
                '{{\"z\":1.10,\"a\":[' || CAST(i AS TEXT) || ',1e2]}}' FROM n"
        ))
        .await;
}

/// The log has a copy of the head, which the administrator of the database can't change.
#[tokio::test]
async fn the_head_of_the_chain_is_logged() {
    with_sqlite(|database| async move {
        let mut server = TestServer::new(database.clone()).await;
        server.stop().await;
        let folder = server.folder.path();
        insert_rows(&database, 250).await;
        let mut desk = ServerProcess::start(folder).await;
        let line = eventually("the head is logged", || async {
            let log = desk.log();
            let line = log
                .lines()
                .find(|line| line.contains("audit chain head recorded"))?;
            serde_json::from_str::<Value>(line).ok()
        })
        .await;
        assert_eq!(line["seq"], 250, "{line}");
        assert_intact(folder, &["--head", &text(&line["head"])]).await;
        assert_eq!(desk.terminate().await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_age_of_unchained_rows_is_measured_while_chaining_fails() {
    with_sqlite(|database| async move {
        let mut server = TestServer::new(database.clone()).await;
        server.stop().await;
        insert_rows(&database, 3).await;
        database
            .execute("CREATE TABLE kept AS SELECT * FROM audit_head; DELETE FROM audit_head")
            .await;
        let mut desk = ServerProcess::start(server.folder.path()).await;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let age = async || {
            let answer = client
                .get(format!("{}/metrics", desk.ops))
                .send()
                .await
                .expect("an answer");
            let text = answer.text().await.expect("an answer has a body");
            let line = text
                .lines()
                .find(|line| line.starts_with("numberdesk_audit_unsealed_age_seconds "))?;
            line.rsplit(' ').next()?.parse::<f64>().ok()
        };
        eventually("the rows have an age", async || {
            age().await.filter(|age| *age > 0.0)
        })
        .await;
        database
            .execute("INSERT INTO audit_head SELECT * FROM kept")
            .await;
        eventually("every row is in the chain again", async || {
            age().await.filter(|age| *age == 0.0)
        })
        .await;
        assert_intact(server.folder.path(), &[]).await;
        assert_eq!(desk.terminate().await, 0);
    })
    .await;
}

/// The guide contains a separate verifier, written only from the guide's description of the canonical form.
#[tokio::test]
async fn the_verifier_in_the_guide_gives_the_same_result() {
    with_sqlite(|database| async move {
        let (server, all) = chained(database).await;
        let guide = std::fs::read_to_string(root().join("docs/audit.md")).expect("the guide can be read");
        let script = guide
            .split("```python\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .expect("the guide has a verifier");
        let folder = server.folder.path();
        std::fs::write(folder.join("verify.py"), script).expect("the script can be written");
        let python = provided(".venv/bin/python");
        let file = folder.join("audit.ndjson");
        std::fs::write(&file, &all).expect("the export can be written");
        let check = || {
            let mut command = Command::new(&python);
            command.arg("verify.py").arg(&file).current_dir(folder);
            command
        };
        let output = succeeds(&mut check(), std::time::Duration::from_mins(2)).await;
        let head = format!("{ROW_COUNT}:{}", text(&rows(&all)[ROW_COUNT - 1]["hash"]));
        assert!(output.contains(&head), "{output}");
        std::fs::write(&file, all.replacen("fulfilled", "refused", 1)).expect("the export can be written");
        let refused = check().status().await.expect("Python can be run");
        assert!(!refused.success());
    })
    .await;
}
