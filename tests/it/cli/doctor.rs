//! `numberdesk doctor`: what it says of a desk that is well, and of one that is not; by a shell, beside a desk that serves.

use crate::support::binary::{CommandOutput, run};
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::server::{TestConfig, TestServer, WEBHOOK_KEY};

on_both_stores! {
    all_that_is_well_is_said_to_be_and_no_secret_with_it,
    a_database_of_another_version_is_told_what_to_do,
}

on_sqlite! {
    a_key_that_close_does_not_accept_is_named_and_the_rest_is_told_all_the_same,
    a_close_and_an_issuer_that_do_not_answer_are_named,
}

async fn doctor(server: &TestServer) -> CommandOutput {
    run(server.folder.path(), &["doctor", "--config", "numberdesk.toml"]).await
}

/// What is said of one thing: the word before it, and the rest of the line.
#[track_caller]
fn line<'a>(ended: &'a CommandOutput, what: &str) -> (&'a str, &'a str) {
    let found = ended.stdout.lines().find_map(|line| {
        line.split_once(' ')
            .filter(|(_, rest)| rest.trim_start().starts_with(what))
    });
    let (word, rest) = found.unwrap_or_else(|| panic!("nothing is said of {what}: {ended:?}"));
    (word, rest.trim_start()[what.len()..].trim_start())
}

async fn all_that_is_well_is_said_to_be_and_no_secret_with_it(database: Database) {
    let server = TestServer::with(database, TestConfig::default()).await;
    server.wait_until_synced().await;
    let ended = doctor(&server).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for what in [
        "configuration",
        "database",
        "orders",
        "issuer",
        "close",
        "group numbers",
        "clock",
        "webhooks",
    ] {
        assert_eq!(line(&ended, what).0, "ok", "{what}: {ended:?}");
    }
    assert!(line(&ended, "close").1.contains("user_"), "{ended:?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    for secret in [server.close.api_key(), WEBHOOK_KEY] {
        assert!(!said.contains(secret), "a secret is said: {said}");
    }
}

async fn a_key_that_close_does_not_accept_is_named_and_the_rest_is_told_all_the_same(database: Database) {
    let server = TestServer::with(database, TestConfig::default()).await;
    std::fs::write(server.folder.path().join("close-api-key"), "api_wrong.key").unwrap();
    let ended = doctor(&server).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(
        line(&ended, "close"),
        ("FAULT", "close does not accept the API key")
    );
    assert_eq!(line(&ended, "database").0, "ok", "{ended:?}");
    assert_eq!(line(&ended, "issuer").0, "ok", "{ended:?}");
}

async fn a_database_of_another_version_is_told_what_to_do(database: Database) {
    let server = TestServer::with(database.clone(), TestConfig::default()).await;
    database
        .change("DELETE FROM migrations WHERE name LIKE '0008%'")
        .await;
    let ended = doctor(&server).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    let (word, said) = line(&ended, "database");
    assert!(
        word == "FAULT" && said.contains("numberdesk migrate"),
        "{ended:?}"
    );
    assert_eq!(line(&ended, "close").0, "ok", "{ended:?}");
}

async fn a_close_and_an_issuer_that_do_not_answer_are_named(database: Database) {
    let config = TestConfig {
        close_url: Some("http://127.0.0.1:9/api/v1".to_owned()),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let file = server.folder.path().join("numberdesk.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let from = text.find("jwks_file").expect("the issuer's keys are in a file");
    let until = from + text[from..].find('\n').expect("a line ends");
    let elsewhere = format!(
        "{}jwks_url = \"http://127.0.0.1:9/jwks\"{}",
        &text[..from],
        &text[until..]
    );
    std::fs::write(&file, elsewhere).unwrap();
    let ended = doctor(&server).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    for what in ["close", "issuer"] {
        assert_eq!(line(&ended, what).0, "FAULT", "{what}: {ended:?}");
    }
    assert_eq!(line(&ended, "database").0, "ok", "{ended:?}");
}
