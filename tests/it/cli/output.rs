//! What commands do when nobody reads their output, and when it cannot be written.

use std::fs::File;
use std::io::{BufRead as _, BufReader, pipe};
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::config_folder;
use crate::support::binary::{command, end};
use crate::support::dev::{Dev, small_order};
use crate::support::eventually;
use crate::support::receiver::Receiver;

/// What a shell shows for a process that SIGPIPE has ended.
const BROKEN_PIPE: i32 = 141;

/// Commands that print a result without a running service.
const COMMANDS: &[&[&str]] = &[
    &["schema", "policy"],
    &["schema", "config"],
    &["openapi"],
    &["openapi", "--format", "yaml"],
    &["token", "--team", "sales", "--dir", "."],
    &["check", "--config", "numberdesk.toml"],
    &["doctor", "--config", "numberdesk.toml"],
    &["migrate", "--config", "numberdesk.toml"],
    &["audit", "verify", "--export", "empty"],
    &[
        "policy",
        "explain",
        "--config",
        "numberdesk.toml",
        "--team",
        "sales",
        "--country",
        "DE",
    ],
    &[
        "policy",
        "whoami",
        "--config",
        "numberdesk.toml",
        "--token",
        "numberdesk.toml",
    ],
];

/// Runs the command with this standard output, and returns its exit code and its errors.
async fn run_into(mut command: Command, folder: &Path, stdout: impl Into<Stdio>) -> (i32, String) {
    let errors = File::create(folder.join("errors")).expect("the file can be written");
    let child = command.stdout(stdout).stderr(errors).spawn();
    let mut child = child.expect("the binary can be started");
    // The parent must not keep a copy of the pipe.
    drop(command);
    let code = end(&mut child).await;
    let errors = std::fs::read_to_string(folder.join("errors")).expect("the file can be read");
    (code, errors)
}

#[tokio::test]
async fn a_command_whose_output_nobody_reads_ends_quietly_and_never_with_a_success() {
    let folder = config_folder();
    File::create(folder.path().join("empty")).expect("the file can be written");
    for arguments in COMMANDS {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let (code, errors) = run_into(command(folder.path(), arguments), folder.path(), writer).await;
        assert_eq!((code, errors.as_str()), (BROKEN_PIPE, ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_write_its_output_says_so_and_fails() {
    let folder = config_folder();
    File::create(folder.path().join("empty")).expect("the file can be written");
    let sandbox: &[&str] = &["sandbox", "--listen", "127.0.0.1:0"];
    for arguments in COMMANDS.iter().copied().chain([sandbox]) {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it");
        let (code, errors) = run_into(command(folder.path(), arguments), folder.path(), full).await;
        assert!(
            code == 1 && errors.starts_with("error: standard output cannot be written: "),
            "{arguments:?}: {code} {errors}"
        );
    }
}

#[tokio::test]
async fn a_command_whose_errors_nobody_reads_ends_as_if_somebody_did() {
    let folder = config_folder();
    for (arguments, expected) in [
        (&["check", "--config", "missing.toml"][..], 1),
        (&["serve", "--config", "missing.toml"], 64),
        (&["doctor", "--config", "missing.toml"], 1),
        (&["health", "--url", "http://127.0.0.1:9/"], 1),
    ] {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let mut command = command(folder.path(), arguments);
        let child = command.stdout(Stdio::null()).stderr(writer).spawn();
        let mut child = child.expect("the binary can be started");
        drop(command);
        assert_eq!(end(&mut child).await, expected, "{arguments:?}");
    }
}

#[tokio::test]
async fn dev_stops_its_service_when_nobody_reads_its_demo() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (reader, writer) = pipe().expect("a pipe");
    let mut dev = command(folder.path(), &["dev", "--port", "0"]);
    let mut dev: Child = dev
        .stdout(writer)
        .stderr(Stdio::inherit())
        .spawn()
        .expect("dev can be started");
    // As `head -n 1` does: it reads something, and closes the pipe.
    tokio::task::spawn_blocking(move || {
        let mut first = String::new();
        BufReader::new(reader).read_line(&mut first).expect("a line");
    })
    .await
    .expect("the line is read");
    assert_eq!(end(&mut dev).await, BROKEN_PIPE);
    // It has released its folder, and kept its data.
    Dev::start(folder.path(), &[]).await.stop().await;
}

#[tokio::test]
async fn listen_ends_at_the_next_event_when_nobody_reads_its_output() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let receiver = Receiver::start().await;
    let dev = Dev::start(folder.path(), &[]).await;
    let (reader, writer) = pipe().expect("a pipe");
    let errors = folder.path().join("listen-errors");
    let url = receiver.url();
    let mut listen = command(folder.path(), &["webhooks", "listen", "--forward-to", &url]);
    let mut listen = listen
        .stdout(writer)
        .stderr(File::create(&errors).expect("the file can be written"))
        .spawn()
        .expect("listen can be started");
    let read = || std::fs::read_to_string(&errors).expect("the file can be read");
    eventually("listen connects", || async {
        read().contains("connected to").then_some(())
    })
    .await;
    drop(reader);
    assert_eq!(dev.order("ALICE", "event", small_order("DE")).await.0, 201);
    assert_eq!(end(&mut listen).await, BROKEN_PIPE);
    assert!(!read().contains("panicked"), "{}", read());
    dev.stop().await;
}
