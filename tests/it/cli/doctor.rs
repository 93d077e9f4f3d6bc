//! `numberdesk doctor`, run next to a healthy server and to ones with a fault.

use crate::support::binary::{CommandOutput, run};
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::server::{TestConfig, TestServer, WEBHOOK_KEY};

on_both_stores! {
    a_healthy_service_is_ok_in_every_check_and_no_secret_is_printed,
    for_a_database_of_another_version_doctor_names_the_migrate_command,
}

on_sqlite! {
    a_rejected_api_key_is_a_fault_and_the_other_checks_still_run,
    an_unreachable_close_and_an_unreachable_issuer_are_faults,
}

async fn doctor(server: &TestServer) -> CommandOutput {
    run(server.folder.path(), &["doctor", "--config", "numberdesk.toml"]).await
}

/// Returns the status of a check and the message after its name.
#[track_caller]
fn result_of<'a>(report: &'a CommandOutput, name: &str) -> (&'a str, &'a str) {
    let found = report.stdout.lines().find_map(|row| {
        row.split_once(' ')
            .filter(|(_, rest)| rest.trim_start().starts_with(name))
    });
    let (status, rest) = found.unwrap_or_else(|| panic!("no check of {name}: {report:?}"));
    (status, rest.trim_start()[name.len()..].trim_start())
}

async fn a_healthy_service_is_ok_in_every_check_and_no_secret_is_printed(database: Database) {
    let server = TestServer::with(database, TestConfig::default()).await;
    server.wait_until_synced().await;
    let report = doctor(&server).await;
    assert_eq!(report.code, 0, "{report:?}");
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
        assert_eq!(result_of(&report, what).0, "ok", "{what}: {report:?}");
    }
    assert!(result_of(&report, "close").1.contains("user_"), "{report:?}");
    let output = format!("{}{}", report.stdout, report.stderr);
    for secret in [server.close.api_key(), WEBHOOK_KEY] {
        assert!(!output.contains(secret), "the output contains a secret: {output}");
    }
}

async fn a_rejected_api_key_is_a_fault_and_the_other_checks_still_run(database: Database) {
    let server = TestServer::with(database, TestConfig::default()).await;
    std::fs::write(server.folder.path().join("close-api-key"), "api_wrong.key").unwrap();
    let report = doctor(&server).await;
    assert_eq!(report.code, 1, "{report:?}");
    assert_eq!(
        result_of(&report, "close"),
        ("FAULT", "close does not accept the API key")
    );
    assert_eq!(result_of(&report, "database").0, "ok", "{report:?}");
    assert_eq!(result_of(&report, "issuer").0, "ok", "{report:?}");
}

async fn for_a_database_of_another_version_doctor_names_the_migrate_command(database: Database) {
    let server = TestServer::with(database.clone(), TestConfig::default()).await;
    database
        .change("DELETE FROM migrations WHERE name LIKE '0008%'")
        .await;
    let report = doctor(&server).await;
    assert_eq!(report.code, 1, "{report:?}");
    let (status, output) = result_of(&report, "database");
    assert!(
        status == "FAULT" && output.contains("numberdesk migrate"),
        "{report:?}"
    );
    assert_eq!(result_of(&report, "close").0, "ok", "{report:?}");
}

async fn an_unreachable_close_and_an_unreachable_issuer_are_faults(database: Database) {
    let config = TestConfig {
        close_url: Some("http://127.0.0.1:9/api/v1".to_owned()),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let file = server.folder.path().join("numberdesk.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let from = text.find("jwks_file").expect("the issuer's keys are in a file");
    let until = from + text[from..].find('\n').expect("a line break");
    let unreachable = format!(
        "{}jwks_url = \"http://127.0.0.1:9/jwks\"{}",
        &text[..from],
        &text[until..]
    );
    std::fs::write(&file, unreachable).unwrap();
    let report = doctor(&server).await;
    assert_eq!(report.code, 1, "{report:?}");
    for what in ["close", "issuer"] {
        assert_eq!(result_of(&report, what).0, "FAULT", "{what}: {report:?}");
    }
    assert_eq!(result_of(&report, "database").0, "ok", "{report:?}");
}
