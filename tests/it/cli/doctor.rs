//! `numberdesk doctor`, run next to a healthy server and to ones with a fault.

use secrecy::ExposeSecret as _;

use super::{config_folder, rewrite};
use crate::support::binary::{CommandOutput, run};
use crate::support::database::{Database, on_both_stores, on_sqlite};
use crate::support::server::{POLICY, TestConfig, TestServer, WEBHOOK_KEY};
use crate::support::snapshot;

on_both_stores! {
    a_healthy_service_is_ok_in_every_check_and_no_secret_is_printed,
    for_a_database_of_another_version_doctor_names_the_migrate_command,
    before_the_first_start_doctor_says_what_creates_the_tables,
}

on_sqlite! {
    a_rejected_api_key_is_a_fault_and_the_other_checks_still_run,
    an_unreachable_close_and_an_unreachable_issuer_are_faults,
    grants_that_are_probably_not_meant_so_are_noted_as_check_warns_of_them,
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
    let json = run(server.folder.path(), &["doctor", "--format", "json"]).await;
    assert_eq!(json.code, 1, "{json:?}");
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(document["healthy"], false);
    let status = |name: &str| {
        let checks = document["checks"].as_array().expect("a list");
        checks
            .iter()
            .find(|check| check["check"] == name)
            .map(|check| check["status"].clone())
    };
    assert_eq!(
        (status("close"), status("database")),
        (Some("fault".into()), Some("ok".into()))
    );
    let report = doctor(&server).await;
    snapshot::assert_output("cli/doctor_with_a_rejected_api_key", &report);
}

async fn grants_that_are_probably_not_meant_so_are_noted_as_check_warns_of_them(database: Database) {
    let grant = "[[grants]]\nclaim = \"/groups\"\nvalue = \"leads\"\nteam = \"slaes\"\n\
                 permissions = [\"numbers:read\"]\n";
    let config = TestConfig {
        policy: format!("{POLICY}{grant}"),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let (report, checked) = (
        doctor(&server).await,
        run(server.folder.path(), &["check", "--config", "numberdesk.toml"]).await,
    );
    assert_eq!(report.code, 0, "{report:?}");
    let warning = checked
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("warning: "));
    let warning = warning.expect("a warning");
    assert!(warning.contains("the team slaes has no rules"), "{checked:?}");
    let note = format!("note   policy         {warning}");
    assert!(report.stdout.lines().any(|line| line == note), "{report:?}");
}

async fn for_a_database_of_another_version_doctor_names_the_migrate_command(database: Database) {
    let server = TestServer::with(database.clone(), TestConfig::default()).await;
    database
        .execute("DELETE FROM migrations WHERE name LIKE '0008%'")
        .await;
    let report = doctor(&server).await;
    snapshot::assert_output("cli/doctor_with_a_database_of_another_version", &report);
}

async fn before_the_first_start_doctor_says_what_creates_the_tables(database: Database) {
    let folder = config_folder();
    let doctor = || run(folder.path(), &["doctor", "--config", "numberdesk.toml"]);
    let file = format!("sqlite://{}", folder.path().join("desk.db").display());
    if database.kind() == "PostgreSQL" {
        rewrite(
            folder.path(),
            "numberdesk.toml",
            &file,
            database.url().expose_secret(),
        );
        database.execute("DROP SCHEMA public CASCADE").await;
        database.execute("CREATE SCHEMA public").await;
        let report = doctor().await;
        let expected = "it has no tables yet; `serve` and `numberdesk migrate` create them";
        assert!(report.stdout.contains(expected), "{report:?}");
        return;
    }
    let report = doctor().await;
    let expected = format!("note   database       {file}: the file does not exist yet; `serve` creates it");
    assert!(report.stdout.contains(&expected), "{report:?}");
    let nowhere = folder.path().join("nowhere");
    let elsewhere = format!("sqlite://{}", nowhere.join("desk.db").display());
    rewrite(folder.path(), "numberdesk.toml", &file, &elsewhere);
    let report = doctor().await;
    let expected = format!(
        "FAULT  database       {elsewhere}: the folder {} does not exist",
        nowhere.display()
    );
    assert!(report.stdout.contains(&expected), "{report:?}");
    let started = run(folder.path(), &["serve", "--config", "numberdesk.toml"]).await;
    assert!(
        started.code == 1 && started.stderr.contains("create its folder first"),
        "{started:?}"
    );
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
