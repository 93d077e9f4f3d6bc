//! `numberdesk check`, and the same checks when `serve` and `migrate` start.

use super::{config_folder, rewrite};
use crate::support::binary::{command, output_of, run};
use crate::support::snapshot;

#[tokio::test]
async fn check_names_every_fault_with_file_line_and_key_and_serve_prints_the_same() {
    let folder = config_folder();
    let fine = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert_eq!(fine.code, 0, "{fine:?}");
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "timeout = \"20s\"",
        "timeout = \"soon\"\ntimeot = \"5s\"",
    );
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "audiences = [\"numberdesk\"]",
        "audiences = []",
    );
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    snapshot::assert_output("cli/check_with_faults_in_the_configuration", &checked);
    let text = std::fs::read_to_string(folder.path().join("numberdesk.toml")).expect("the file can be read");
    let line = 1 + text
        .lines()
        .position(|line| line.contains("timeot"))
        .expect("the file has the line");
    assert!(
        checked
            .stderr
            .contains(&format!("numberdesk.toml:{line}: close.timeot")),
        "{}",
        checked.stderr
    );
    for name in ["serve", "migrate"] {
        let refused = run(folder.path(), &[name, "--config", "numberdesk.toml"]).await;
        assert_eq!((refused.code, &refused.stderr), (64, &checked.stderr), "{name}");
    }
    assert!(
        !folder.path().join("desk.db").exists(),
        "an invalid configuration created a database"
    );
}

#[tokio::test]
async fn check_also_reads_the_policy() {
    let folder = config_folder();
    let policy = "[teams.sales]\ncountries = [\"DE\", \"XX\"]\nmonthly_budget = \"12.345\"\nmax_numbrs = 5\n";
    std::fs::write(folder.path().join("policy.toml"), policy).expect("the policy can be written");
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    snapshot::assert_output("cli/check_with_faults_in_the_policy", &checked);
    std::fs::remove_file(folder.path().join("policy.toml")).expect("the policy can be removed");
    let missing = run(folder.path(), &["serve", "--config", "numberdesk.toml"]).await;
    assert_eq!(missing.code, 64, "{missing:?}");
    let absent = run(folder.path(), &["serve", "--config", "elsewhere.toml"]).await;
    assert_eq!(absent.code, 64, "{absent:?}");
    assert!(absent.stderr.contains("elsewhere.toml"));
}

#[tokio::test]
async fn the_environment_overrides_the_file_and_is_checked_too() {
    let folder = config_folder();
    let mut check = command(folder.path(), &["check", "--config", "numberdesk.toml"]);
    check.env("NUMBERDESK_CLOSE__BASE_URL", "http://close.example.com/api/v1");
    let checked = output_of(check).await;
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(
        checked.stderr.contains("NUMBERDESK_CLOSE__BASE_URL") && checked.stderr.contains("https"),
        "{}",
        checked.stderr
    );
    let mut check = command(folder.path(), &["check", "--config", "numberdesk.toml"]);
    check.env("NUMBERDESK_CLOSE__BASE_ULR", "x");
    let checked = output_of(check).await;
    assert_eq!(checked.code, 1, "{checked:?}");
    assert!(
        checked.stderr.contains("NUMBERDESK_CLOSE__BASE_URL"),
        "the nearest key is named: {}",
        checked.stderr
    );
}
