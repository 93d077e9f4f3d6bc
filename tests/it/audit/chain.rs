//! The chain over the audit trail: what an administrator of the database does to a row is found and the row named, in
//! the database and in an export, by the binary as an auditor runs it.

mod exports;

use std::path::Path;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::binary::{CommandOutput, ServerProcess, run};
use crate::support::database::{Database, on_both_stores, with_sqlite};
use crate::support::eventually;
use crate::support::personas::{ALICE, BOB, DORA, LENA, OLGA, Persona};
use crate::support::program::{provided, root, succeeds};
use crate::support::raw;
use crate::support::server::{TestServer, send, text};

on_both_stores! {
    the_desk_seals_by_itself_and_the_trail_verifies_while_it_runs,
    a_change_of_any_column_is_found_and_the_row_named,
    rows_taken_out_put_in_or_swapped_are_found,
    a_tail_that_was_cut_off_is_found_by_the_head_or_by_one_noted_elsewhere,
}

/// Some orders of two teams; each leaves three rows, each refusal one.
async fn busy(server: &TestServer) {
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
/// Rows that `busy` leaves.
const BUSY: usize = 11;

/// As `busy`, all sealed and nobody at work any more; the export of everything.
async fn sealed(database: Database) -> (TestServer, String) {
    let mut server = TestServer::new(database).await;
    busy(&server).await;
    let export = export(&server, &OLGA, "").await;
    server.stop().await;
    (server, export)
}

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

async fn holds(folder: &Path, more: &[&str]) -> String {
    let ended = verify(folder, more).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    ended.stdout
}

/// It does not hold, and that is said of this row.
async fn breaks(folder: &Path, more: &[&str], said: &[&str]) {
    let ended = verify(folder, more).await;
    assert_eq!(ended.code, 1, "{said:?}: {ended:?}");
    for part in said {
        assert!(
            ended.stdout.contains(part) || ended.stderr.contains(part),
            "{part} is not in {ended:?}"
        );
    }
}

async fn the_desk_seals_by_itself_and_the_trail_verifies_while_it_runs(database: Database) {
    let server = TestServer::new(database.clone()).await;
    busy(&server).await;
    eventually("every row is sealed", || async {
        (database.ask("SELECT COUNT(*) FROM audit WHERE seq IS NULL").await == 0).then_some(())
    })
    .await;
    let metrics = server.at_ops("/metrics").await.text;
    for name in [
        "numberdesk_audit_sealed_total",
        "numberdesk_audit_unsealed_age_seconds",
    ] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    // Whoever checks has neither the key of Close nor those of an issuer, and no policy.
    let config = std::fs::read_to_string(server.folder.path().join("numberdesk.toml")).expect("it is there");
    let store = config
        .lines()
        .find(|line| line.starts_with("url = "))
        .expect("it names the database");
    let elsewhere = tempfile::tempdir().expect("a folder can be made");
    std::fs::write(
        elsewhere.path().join("numberdesk.toml"),
        format!("[store]\n{store}\n[close]\nwrong = 1\n"),
    )
    .expect("it can be written");
    let said = holds(elsewhere.path(), &[]).await;
    assert!(
        said.contains(&format!("{BUSY}, from 1 to {BUSY}: all valid")),
        "{said}"
    );
    assert!(said.contains("unsealed  0 rows"), "{said}");
    let hash = said
        .lines()
        .find_map(|line| line.strip_prefix("head      "))
        .expect("the head is told");
    let again = holds(elsewhere.path(), &["--head", hash]).await;
    assert!(
        again.contains(&format!("recorded  {hash} is in the chain")),
        "{again}"
    );

    // A row that is not sealed yet is told, and no fault.
    let mut server = server;
    server.stop().await;
    let copy = "INSERT INTO audit (id, at, issuer, subject, action, outcome, detail) \
        SELECT 'aud_zz', at, issuer, subject, action, outcome, detail FROM audit WHERE seq = 1";
    database.change(copy).await;
    let said = holds(elsewhere.path(), &["--head", hash]).await;
    assert!(said.contains("unsealed  1 rows"), "{said}");
}

async fn a_change_of_any_column_is_found_and_the_row_named(database: Database) {
    let (server, export) = sealed(database.clone()).await;
    let folder = server.folder.path();
    holds(folder, &[]).await;
    database.change("CREATE TABLE kept AS SELECT * FROM audit").await;
    let five = format!("row 5 ({})", text(&rows(&export)[4]["id"]));
    for (column, value) in [
        ("at", "at + 1"),
        ("issuer", "issuer || ' '"),
        ("subject", "'mallory'"),
        ("team", "'other'"),
        ("team", "NULL"),
        ("action", "'order.cancel'"),
        ("allowed", "1 - COALESCE(allowed, 0)"),
        ("rule", "COALESCE(rule, '') || 'x'"),
        ("order_id", "COALESCE(order_id, '') || 'x'"),
        ("phone_number_id", "COALESCE(phone_number_id, '') || 'x'"),
        ("outcome", "'refused'"),
        ("detail", "detail || ' '"),
        ("detail", "'null '"),
        ("request_id", "COALESCE(request_id, '') || 'x'"),
        ("hash", "REPLACE(hash, SUBSTR(hash, 1, 1), 'x')"),
        ("hash", "NULL"),
    ] {
        database
            .change(&format!("UPDATE audit SET {column} = {value} WHERE seq = 5"))
            .await;
        breaks(folder, &[], &["broken", &five]).await;
        restore(&database).await;
    }
    // Its id is a column, too.
    database
        .change("UPDATE audit SET id = 'aud_other' WHERE seq = 5")
        .await;
    breaks(folder, &[], &["row 5 (aud_other)"]).await;
    restore(&database).await;
    // Whoever makes the hash fit has to go on with the row after it.
    let sql = "UPDATE audit SET outcome = 'x', hash = (SELECT hash FROM audit WHERE seq = 6) WHERE seq = 5";
    database.change("DROP INDEX audit_in_the_chain").await;
    database.change(sql).await;
    breaks(folder, &[], &["row 5 ("]).await;
    restore(&database).await;
    holds(folder, &[]).await;
}

/// Everything as it was, but for the head.
async fn restore(database: &Database) {
    database
        .change("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept")
        .await;
}

async fn rows_taken_out_put_in_or_swapped_are_found(database: Database) {
    let (server, export) = sealed(database.clone()).await;
    let folder = server.folder.path();
    let id = |seq: usize| text(&rows(&export)[seq - 1]["id"]);
    database.change("CREATE TABLE kept AS SELECT * FROM audit").await;
    let columns = "issuer, subject, team, action, allowed, rule, order_id, phone_number_id, outcome, detail, request_id";
    let put_in = |seq: &str| {
        format!(
            "INSERT INTO audit (id, at, {columns}, seq, hash) SELECT 'aud_new', at, {columns}, {seq}, hash FROM audit WHERE seq = 4"
        )
    };
    for (statements, said) in [
        ("DELETE FROM audit WHERE seq = 4".to_owned(), "row 4: missing: row 3 is followed by row 5".to_owned()),
        ("DELETE FROM audit WHERE seq IN (4, 5)".to_owned(), "row 4: missing, and all up to row 5".to_owned()),
        ("DELETE FROM audit WHERE seq = 1".to_owned(), "row 1: missing".to_owned()),
        ("UPDATE audit SET seq = NULL, hash = NULL WHERE seq = 4".to_owned(), "row 4: missing".to_owned()),
        (
            "UPDATE audit SET seq = -seq WHERE seq IN (4, 5); UPDATE audit SET seq = 9 + seq WHERE seq < 0".to_owned(),
            format!("row 4 ({}): changed", id(5)),
        ),
        (
            "UPDATE audit SET seq = seq + 1000 WHERE seq >= 4; UPDATE audit SET seq = seq - 999 WHERE seq > 1000; \
             UPDATE audit_head SET seq = seq + 1; ".to_owned() + &put_in("4").replace("seq = 4", "seq = 5"),
            "row 4 (aud_new): changed".to_owned(),
        ),
        (put_in("12"), "row 12 (aud_new): changed: the head is at row 11".to_owned()),
        (put_in("-1"), "row -1 (aud_new): out of order".to_owned()),
        (format!("DROP INDEX audit_in_the_chain; {}", put_in("4")), "row 4 (aud_new): repeated".to_owned()),
        ("UPDATE audit_head SET seq = 10".to_owned(), "row 10: changed: its hash is not that of the head".to_owned()),
        ("DELETE FROM audit_head".to_owned(), "the head of the audit chain is missing from the database".to_owned()),
    ] {
        database.change(&statements).await;
        breaks(folder, &[], &[&said]).await;
        restore(&database).await;
        let head = text(&rows(&export)[BUSY - 1]["hash"]);
        database
            .change(&format!("DELETE FROM audit_head; INSERT INTO audit_head VALUES (1, {BUSY}, '{head}')"))
            .await;
        holds(folder, &[]).await;
    }
}

async fn a_tail_that_was_cut_off_is_found_by_the_head_or_by_one_noted_elsewhere(database: Database) {
    let (server, export) = sealed(database.clone()).await;
    let folder = server.folder.path();
    let hash = |seq: usize| text(&rows(&export)[seq - 1]["hash"]);
    let noted = format!("{BUSY}:{}", hash(BUSY));
    holds(folder, &["--head", &noted, "--head", &format!("3:{}", hash(3))]).await;
    breaks(
        folder,
        &["--head", &format!("3:{}", hash(4))],
        &["row 3 (", "not that of the head 3:"],
    )
    .await;

    database.change("DELETE FROM audit WHERE seq > 8").await;
    breaks(
        folder,
        &[],
        &[
            "row 9: missing: the tail is cut off after row 8",
            "a head at row 11",
        ],
    )
    .await;
    database
        .change(&format!("UPDATE audit_head SET seq = 8, hash = '{}'", hash(8)))
        .await;
    // Now nothing in the database tells of it.
    holds(folder, &[]).await;
    breaks(
        folder,
        &["--head", &noted],
        &["row 9: missing: the tail is cut off after row 8"],
    )
    .await;
    // Nor when the desk has gone on since: what it says now is not what was noted down.
    let mut server = server;
    server.start().await;
    // Two rows each time: the other orders are not new.
    busy(&server).await;
    busy(&server).await;
    self::export(&server, &OLGA, "").await;
    holds(server.folder.path(), &[]).await;
    breaks(
        server.folder.path(),
        &["--head", &noted],
        &["row 11 (", "not that of the head"],
    )
    .await;
    for head in ["11", "x:y", "0:numberdesk-audit-1"] {
        let refused = verify(server.folder.path(), &["--head", head]).await;
        assert!(
            refused.code == 2 && refused.stderr.contains("SEQ:HASH"),
            "{refused:?}"
        );
    }
}

/// Each text is found to be broken, and this is said of it; `whole` with the head noted down, otherwise as a part.
async fn all_break(head: &str, texts: Vec<(String, bool, String)>) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (text, whole, said) in texts {
        std::fs::write(folder.path().join("export.ndjson"), text).expect("it can be written");
        let more: &[&str] = if whole { &["--head", head] } else { &["--subset"] };
        breaks(
            folder.path(),
            &[&["--export", "export.ndjson"], more].concat(),
            &[&said],
        )
        .await;
    }
}

/// So many more rows, before all others.
async fn many(database: &Database, count: usize) {
    database
        .change(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             INSERT INTO audit (id, at, issuer, subject, action, outcome, detail) \
             SELECT 'aud_' || CAST(1000000 + i AS TEXT), 1795000000000000 + i, '', 'numberdesk', 'number.gone', 'gone', \
                '{{\"z\":1.10,\"a\":[' || CAST(i AS TEXT) || ',1e2]}}' FROM n"
        ))
        .await;
}

/// A copy of the head stands in the log, which the administrator of the database does not keep.
#[tokio::test]
async fn the_head_is_told_in_the_log() {
    with_sqlite(|database| async move {
        let mut server = TestServer::new(database.clone()).await;
        server.stop().await;
        let folder = server.folder.path();
        many(&database, 250).await;
        let mut desk = ServerProcess::start(folder).await;
        let told = eventually("the head is told", || async {
            let log = desk.log();
            let line = log
                .lines()
                .find(|line| line.contains("audit chain head recorded"))?;
            serde_json::from_str::<Value>(line).ok()
        })
        .await;
        assert_eq!(told["seq"], 250, "{told}");
        holds(folder, &["--head", &text(&told["head"])]).await;
        assert_eq!(desk.terminate().await, 0);
    })
    .await;
}

#[tokio::test]
async fn the_age_of_what_is_not_sealed_is_told_while_sealing_fails() {
    with_sqlite(|database| async move {
        let mut server = TestServer::new(database.clone()).await;
        server.stop().await;
        many(&database, 3).await;
        database
            .change("CREATE TABLE kept AS SELECT * FROM audit_head; DELETE FROM audit_head")
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
        database.change("INSERT INTO audit_head SELECT * FROM kept").await;
        eventually("there is nothing left to seal", async || {
            age().await.filter(|age| *age == 0.0)
        })
        .await;
        holds(server.folder.path(), &[]).await;
        assert_eq!(desk.terminate().await, 0);
    })
    .await;
}

/// The guide has a verifier of its own; what it says of the canonical form is all that it is made from.
#[tokio::test]
async fn the_verifier_in_the_guide_agrees() {
    with_sqlite(|database| async move {
        let (server, all) = sealed(database).await;
        let guide = std::fs::read_to_string(root().join("docs/audit.md")).expect("the guide is there");
        let script = guide
            .split("```python\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .expect("the guide has a verifier");
        let folder = server.folder.path();
        std::fs::write(folder.join("verify.py"), script).expect("it can be written");
        let python = provided(".venv/bin/python");
        let file = folder.join("audit.ndjson");
        std::fs::write(&file, &all).expect("it can be written");
        let check = || {
            let mut command = Command::new(&python);
            command.arg("verify.py").arg(&file).current_dir(folder);
            command
        };
        let said = succeeds(&mut check(), std::time::Duration::from_secs(30)).await;
        let head = format!("{BUSY}:{}", text(&rows(&all)[BUSY - 1]["hash"]));
        assert!(said.contains(&head), "{said}");
        std::fs::write(&file, all.replacen("fulfilled", "refused", 1)).expect("it can be written");
        let refused = check().status().await.expect("it can be run");
        assert!(!refused.success());
    })
    .await;
}
