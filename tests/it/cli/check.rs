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

#[tokio::test]
async fn a_url_of_the_database_that_can_t_work_is_named_without_its_password() {
    let folder = config_folder();
    for (url, part) in [
        ("postgres://desk:hun/ter2@db/desk", "percent-encoded"),
        (
            "postgres://desk:hunter2@db/desk?sslmod=require",
            "did you mean `sslmode`?",
        ),
        ("jdbc:postgresql://db/desk?user=desk&password=hunter2", "JDBC"),
        (
            "postgres://desk:hunter2@db/desk?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "/nowhere/ca.pem",
        ),
    ] {
        let mut check = command(folder.path(), &["check", "--config", "numberdesk.toml"]);
        check.env("NUMBERDESK_STORE__URL", url);
        let checked = output_of(check).await;
        assert_eq!(checked.code, 1, "{checked:?}");
        assert!(
            checked.stderr.contains(part),
            "{part} is not in {}",
            checked.stderr
        );
        assert!(
            checked.stderr.contains("NUMBERDESK_STORE__URL"),
            "{}",
            checked.stderr
        );
        assert!(!checked.stderr.contains("ter2"), "{}", checked.stderr);
    }
    std::fs::write(folder.path().join("password"), "p@/ss\n").expect("the password can be written");
    let mut check = command(folder.path(), &["check", "--config", "numberdesk.toml"]);
    check
        .env("NUMBERDESK_STORE__URL", "postgres://desk@db/desk?sslmode=require")
        .env("NUMBERDESK_STORE__PASSWORD_FILE", "password");
    let checked = output_of(check).await;
    assert_eq!(checked.code, 0, "{checked:?}");
}

#[tokio::test]
async fn check_warns_of_grants_that_are_probably_not_meant_so() {
    let folder = config_folder();
    let grant = |value: &str, lines: &str| {
        format!(
            "[[grants]]\nclaim = \"/groups\"\nvalue = \"{value}\"\npermissions = [\"numbers:read\"]\n{lines}\n"
        )
    };
    let policy = [
        "[teams.sales]\n[teams.support]\n".to_owned(),
        grant("leads", "team = \"sales\""),
        grant("leads", "team = \"support\""),
        grant("agents", "team = \"sales\"\nissuer = \"https://idp.example.com\""),
        grant("agents", "team = \"slaes\""),
        grant("admins", "everywhere = true").replace("numbers:read", "numbers:admin\", \"numbers:raed"),
    ];
    std::fs::write(folder.path().join("policy.toml"), policy[..5].concat())
        .expect("the policy can be written");
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    snapshot::assert_output("cli/check_with_warnings_about_grants", &checked);
    assert_eq!(checked.code, 0, "{checked:?}");
    std::fs::write(folder.path().join("policy.toml"), policy.concat()).expect("the policy can be written");
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert!(
        checked.code == 1 && checked.stderr.contains("can't hold everywhere"),
        "{checked:?}"
    );
}

#[tokio::test]
async fn check_warns_of_a_policy_that_denies_everything() {
    let folder = config_folder();
    for (text, expected) in [
        (
            "",
            "policy.toml: is empty, so everything is denied. A running service keeps its last valid policy",
        ),
        (
            "# nothing yet\n",
            "policy.toml: has no [teams.…], so every order is denied",
        ),
    ] {
        std::fs::write(folder.path().join("policy.toml"), text).expect("the policy can be written");
        let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
        let warning = checked.stdout.lines().find(|line| line.starts_with("warning: "));
        assert!(
            checked.code == 0 && warning.is_some_and(|warning| warning.contains(expected)),
            "{checked:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_to_another_machine_that_is_not_verified_is_a_warning_of_check_and_doctor() {
    let folder = config_folder();
    let file = folder.path().join("numberdesk.toml");
    let text = std::fs::read_to_string(&file).expect("the file can be read");
    let url = text
        .lines()
        .find(|line| line.starts_with("url = "))
        .expect("the file has a URL")
        .to_owned();
    let remote = "url = \"postgres://desk:hunter2@db.invalid/desk?connect_timeout=1&sslmode=require\"";
    rewrite(folder.path(), "numberdesk.toml", &url, remote);
    for command in ["check", "doctor"] {
        let output = run(folder.path(), &[command, "--config", "numberdesk.toml"]).await;
        assert!(
            output.stdout.contains("sslmode=require for db.invalid"),
            "{output:?}"
        );
        assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
    }
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert_eq!(checked.code, 0, "a warning is no fault: {checked:?}");
    rewrite(folder.path(), "numberdesk.toml", "&sslmode=require", "");
    let checked = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert!(!checked.stdout.contains("warning"), "{checked:?}");
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "connect_timeout=1",
        "frobnicate=hunter2",
    );
    let refused = run(folder.path(), &["check", "--config", "numberdesk.toml"]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("frobnicate"), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
}
