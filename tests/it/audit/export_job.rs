//! `numberdesk audit export`: a copy of the trail in a folder and at a collector, continued at a cursor.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::binary::{CommandOutput, run};
use crate::support::database::{Database, on_both_stores};
use crate::support::personas::{ALICE, BOB, LENA, OLGA, Persona};
use crate::support::receiver::{Receiver, Reply};
use crate::support::server::TestServer;

on_both_stores! {
    an_export_continues_at_its_cursor_without_a_gap_or_a_duplicate,
    an_export_fails_when_the_chain_does_not_continue_the_exported_one,
}

const AUDITOR: Persona = OLGA.with("numbers:read numbers:admin audit:read");

/// A folder with the token of the auditor, and a copy of the trail below it.
struct Copy {
    folder: TempDir,
    api: String,
}

impl Copy {
    fn new(server: &TestServer) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fs::create_dir(folder.path().join("copy")).expect("a folder can be made");
        let copy = Self {
            folder,
            api: server.api.clone(),
        };
        copy.use_token(&server.token(&AUDITOR));
        copy
    }

    fn use_token(&self, token: &str) {
        fs::write(self.folder.path().join("token"), token).expect("a file can be written");
    }

    async fn export(&self, more: &[&str]) -> CommandOutput {
        let arguments = [
            "audit",
            "export",
            "--api",
            &self.api,
            "--token-file",
            "token",
            "--folder",
            "copy",
        ];
        run(self.folder.path(), &[&arguments, more].concat()).await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("copy").join(name)
    }

    fn cursor(&self) -> String {
        fs::read_to_string(self.path("cursor")).unwrap_or_default()
    }

    /// The rows of all files, in the order of their names.
    fn rows(&self) -> String {
        let entries = fs::read_dir(self.path("")).expect("the folder can be read");
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.expect("the folder can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
            .collect();
        files.sort();
        let read = |path: &PathBuf| fs::read_to_string(path).expect("a file can be read");
        files.iter().map(read).collect()
    }

    async fn verified(&self) -> CommandOutput {
        let whole = self.folder.path().join("whole.ndjson");
        fs::write(&whole, self.rows()).expect("a file can be written");
        let cursor = self.cursor();
        let arguments = [
            "audit",
            "verify",
            "--export",
            "whole.ndjson",
            "--head",
            cursor.trim(),
        ];
        run(self.folder.path(), &arguments).await
    }
}

fn sequence(rows: &str) -> Vec<i64> {
    let row = |line: &str| serde_json::from_str::<Value>(line).expect("a row is JSON");
    rows.lines()
        .map(|line| row(line)["seq"].as_i64().expect("a number"))
        .collect()
}

async fn rent(server: &TestServer, key: &str) {
    server.rent(&ALICE, key, "DE").await;
}

async fn an_export_continues_at_its_cursor_without_a_gap_or_a_duplicate(database: Database) {
    let server = TestServer::new(database).await;
    let (copy, collector) = (Copy::new(&server), Receiver::start().await);
    rent(&server, "1").await;
    let first = copy.export(&[]).await;
    assert_eq!(first.code, 0, "{first:?}");
    let before = copy.cursor();
    assert!(first.stdout.contains(before.trim()), "{first:?}");
    let again = copy.export(&[]).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("none after"), "{again:?}");
    assert_eq!(copy.cursor(), before);
    // The collector does not take the file. The next run sends it again as it is, although there are newer rows.
    rent(&server, "2").await;
    let send = ["--send-to", &collector.url()];
    collector.answers(Reply::Status(503));
    let refused = copy.export(&send).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("503"), "{refused:?}");
    assert_eq!(copy.cursor(), before);
    rent(&server, "3").await;
    collector.answers(Reply::Status(200));
    let done = copy.export(&send).await;
    assert_eq!(done.code, 0, "{done:?}");
    let received = collector.got();
    let named: Vec<_> = received
        .iter()
        .map(|one| (one.header("idempotency-key"), &one.body))
        .collect();
    assert_eq!(named.len(), 3);
    assert_eq!(named[0], named[1]);
    assert_ne!(named[1].0, named[2].0);
    let rows = copy.rows();
    let expected: Vec<i64> = (1..).take(rows.lines().count()).collect();
    assert_eq!(sequence(&rows), expected);
    assert!(rows.ends_with(std::str::from_utf8(&received[2].body).expect("UTF-8")));
    let verified = copy.verified().await;
    assert_eq!(verified.code, 0, "{verified:?}");
    // The cursor of the script of version 0.1, which had no hash.
    let seq = before.split(':').next().expect("a number");
    fs::write(
        copy.path("cursor"),
        json!({ "seq": seq.parse::<i64>().expect("a number"), "at": null }).to_string(),
    )
    .expect("a file can be written");
    let continued = copy.export(&[]).await;
    assert_eq!(continued.code, 0, "{continued:?}");
    assert_eq!(copy.rows(), rows);
    assert_eq!(copy.verified().await.code, 0);
}

async fn an_export_fails_when_the_chain_does_not_continue_the_exported_one(database: Database) {
    let server = TestServer::new(database.clone()).await;
    let copy = Copy::new(&server);
    rent(&server, "1").await;
    assert_eq!(copy.export(&[]).await.code, 0);
    let (cursor, rows) = (copy.cursor(), copy.rows());
    let of_support = json!({ "country": "DE", "carrier_type": "local" });
    server.order(&BOB, "support", &of_support).await;
    rent(&server, "2").await;
    let fails = async |what: &str, part: &str| {
        let failed = copy.export(&[]).await;
        assert_eq!(failed.code, 1, "{what}: {failed:?}");
        let output = format!("{}{}", failed.stdout, failed.stderr);
        assert!(output.contains(part), "{what}: {output}");
        assert_eq!(copy.rows(), rows, "{what}");
    };
    // A token that sees one team has gaps.
    copy.use_token(&server.token(&LENA));
    fails("a token of one team", "numbers:admin").await;
    copy.use_token("none");
    fails("no token", "401").await;
    copy.use_token(&server.token(&AUDITOR));
    let other = format!(
        "{}:{}\n",
        cursor.split(':').next().expect("a number"),
        "0".repeat(64)
    );
    fs::write(copy.path("cursor"), other).expect("a file can be written");
    fails("another chain", "rewritten").await;
    fs::write(copy.path("cursor"), format!("999999:{}\n", "0".repeat(64))).expect("a file can be written");
    fails("a chain that is shorter than the cursor", "restored").await;
    fs::write(copy.path("cursor"), "a lot").expect("a file can be written");
    fails("a cursor of somebody else", "cursor").await;
    fs::write(copy.path("cursor"), &cursor).expect("a file can be written");
    let lock = fs::File::create(copy.path("lock")).expect("a file can be written");
    lock.lock().expect("the file can be locked");
    fails("two runs at once", "another export").await;
    drop(lock);
    let next = "(SELECT MAX(seq) FROM audit)";
    database
        .execute(&format!(
            "UPDATE audit SET subject = 'mallory' WHERE seq = {next}"
        ))
        .await;
    fails("a row that was changed", "was changed").await;
    database
        .execute(&format!("DELETE FROM audit WHERE seq = {next}"))
        .await;
    fails("a row that is gone", "is missing").await;
    assert!(Path::new(&copy.path("cursor")).exists());
    assert_eq!(copy.cursor(), cursor);
}
