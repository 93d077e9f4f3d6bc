//! `numberdesk doctor`, run next to a healthy server and to ones with a fault.

use crate::support::binary::{CommandOutput, run};
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::server::{TestConfig, TestServer, WEBHOOK_KEY};
use crate::support::snapshot;

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

async fn a_healthy_service_is_ok_in_every_check_and_no_secret_is_printed(database: Database) {
    let server = TestServer::with(database, TestConfig::default()).await;
    server.wait_until_synced().await;
    let report = doctor(&server).await;
    snapshot::assert_output("cli/doctor_healthy", &report);
    let output = format!("{}{}", report.stdout, report.stderr);
    for secret in [server.close.api_key(), WEBHOOK_KEY] {
        assert!(!output.contains(secret), "the output contains a secret: {output}");
    }
}

async fn a_rejected_api_key_is_a_fault_and_the_other_checks_still_run(database: Database) {
    let server = TestServer::with(database, TestConfig::default()).await;
    std::fs::write(server.folder.path().join("close-api-key"), "api_wrong.key").unwrap();
    let report = doctor(&server).await;
    snapshot::assert_output("cli/doctor_with_a_rejected_api_key", &report);
}

async fn for_a_database_of_another_version_doctor_names_the_migrate_command(database: Database) {
    let server = TestServer::with(database.clone(), TestConfig::default()).await;
    database
        .execute("DELETE FROM migrations WHERE name LIKE '0008%'")
        .await;
    let report = doctor(&server).await;
    snapshot::assert_output("cli/doctor_with_a_database_of_another_version", &report);
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
    snapshot::assert_output("cli/doctor_with_an_unreachable_close_and_issuer", &report);
}
