//! `numberdesk check`, and the same checks when `serve` starts.

use std::path::Path;

use serde_json::{Value, json};

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
    let refused = run(folder.path(), &["serve", "--config", "numberdesk.toml"]).await;
    assert_eq!((refused.code, &refused.stderr), (64, &checked.stderr));
    assert!(
        !folder.path().join("desk.db").exists(),
        "an invalid configuration created a database"
    );
}

#[tokio::test]
async fn commands_about_the_database_need_neither_policy_nor_key_nor_issuers() {
    let folder = config_folder();
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "audiences = [\"numberdesk\"]",
        "audiences = []\nunknown = 1",
    );
    std::fs::write(folder.path().join("policy.toml"), "[teams").expect("the policy can be written");
    for file in ["close-api-key", "jwks.json", "webhook-secret"] {
        std::fs::remove_file(folder.path().join(file)).expect("the file is there");
    }
    for arguments in [
        &["migrate"][..],
        &["hold", "--on"],
        &["hold", "--off"],
        &["recover"],
        &["audit", "verify"],
    ] {
        let mut all = arguments.to_vec();
        all.extend(["--config", "numberdesk.toml"]);
        let done = run(folder.path(), &all).await;
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
    }
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "url = \"sqlite:",
        "url = \"sqlit:",
    );
    let refused = run(folder.path(), &["migrate", "--config", "numberdesk.toml"]).await;
    assert!(
        refused.code == 64 && refused.stderr.contains("store.url"),
        "{refused:?}"
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

/// Removes the files that only a pod has, and names one in the URL of the database, as rendered settings in CI do.
fn render(folder: &Path) {
    for file in [
        "close-api-key",
        "close-webhook-key",
        "jwks.json",
        "webhook-secret",
    ] {
        std::fs::remove_file(folder.join(file)).expect("the file is there");
    }
    let settings = folder.join("numberdesk.toml");
    let text = std::fs::read_to_string(&settings).expect("the file can be read");
    let url = text
        .lines()
        .find(|line| line.starts_with("url = "))
        .expect("a URL");
    let text = text.replace(
        url,
        "url = \"postgres://desk@db/desk?sslrootcert=/run/secrets/numberdesk-absent/ca.crt\"\n\
         password_file = \"/run/secrets/numberdesk-absent/password\"",
    );
    let tls = "[server.tls]\ncertificate_file = \"tls/tls.crt\"\nkey_file = \"tls/tls.key\"\n[limits]";
    std::fs::write(settings, text.replace("[limits]", tls)).expect("the file can be written");
}

#[tokio::test]
async fn without_files_check_accepts_and_lists_the_files_that_only_a_pod_has() {
    let folder = config_folder();
    render(folder.path());
    let keys = [
        "auth.issuers[0].jwks_file",
        "close.api_key_file",
        "close.webhook_signature_key_file",
        "server.tls.certificate_file",
        "server.tls.key_file",
        "store.password_file",
        "store.url",
        "webhooks.secret_file",
    ];
    let check = async |options: &[&str]| {
        let mut arguments = vec!["check", "--config", "numberdesk.toml"];
        arguments.extend(options);
        run(folder.path(), &arguments).await
    };
    let refused = check(&[]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let checked = check(&["--without-files"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    for key in keys {
        assert!(
            checked.stdout.contains(&format!("not checked: {key}: ")),
            "{key}: {checked:?}"
        );
    }
    assert!(
        checked.stdout.contains("policy.toml, fingerprint "),
        "the policy is there: {checked:?}"
    );
    let document: Value =
        serde_json::from_str(&check(&["--without-files", "--format", "json"]).await.stdout).expect("JSON");
    assert_eq!(document["valid"], true);
    let mut absent: Vec<_> = document["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["rule"] == "file-not-checked")
        .map(|finding| finding["key"].as_str().expect("a key"))
        .collect();
    absent.sort_unstable();
    assert_eq!(absent, keys);

    // A file that exists is checked all the same, and so is everything else.
    std::fs::write(folder.path().join("close-api-key"), "not a key").expect("the file can be written");
    let broken = check(&["--without-files"]).await;
    assert!(
        broken.code == 1 && broken.stderr.contains("close.api_key_file"),
        "{broken:?}"
    );
    std::fs::remove_file(folder.path().join("close-api-key")).expect("the file is there");
    std::fs::remove_file(folder.path().join("policy.toml")).expect("the file is there");
    let checked = check(&["--without-files"]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(
        checked.stdout.contains("not checked: policy.file: "),
        "{checked:?}"
    );
    std::fs::write(folder.path().join("policy.toml"), "[teams").expect("the file can be written");
    assert_eq!(check(&["--without-files"]).await.code, 1);
}

#[tokio::test]
async fn check_prints_faults_as_json_and_as_sarif_with_line_and_column() {
    let folder = config_folder();
    let check = async |format: &str| {
        let arguments = ["check", "--config", "numberdesk.toml", "--format", format];
        let output = run(folder.path(), &arguments).await;
        let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert!(output.stderr.is_empty(), "{output:?}");
        (output.code, document)
    };
    let (code, log) = check("sarif").await;
    assert_eq!(code, 0);
    assert_sarif(&log);
    assert!(
        log["runs"][0]["results"].as_array().is_some_and(Vec::is_empty),
        "{log}"
    );

    rewrite(
        folder.path(),
        "numberdesk.toml",
        "timeout = \"20s\"",
        "  timeot = \"20s\"",
    );
    let text = std::fs::read_to_string(folder.path().join("numberdesk.toml")).expect("the file can be read");
    let line = 1 + text
        .lines()
        .position(|line| line.contains("timeot"))
        .expect("the line is there");
    let (code, log) = check("sarif").await;
    assert_eq!(code, 1);
    assert_sarif(&log);
    let result = &log["runs"][0]["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["level"]),
        (&json!("settings-invalid"), &json!("error"))
    );
    assert_eq!(
        result["locations"][0]["physicalLocation"],
        json!({
            "artifactLocation": { "uri": "numberdesk.toml" },
            "region": { "startLine": line, "startColumn": 3 },
        })
    );
    assert!(
        result["message"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("did you mean `timeout`?"))
    );
    let (code, document) = check("json").await;
    assert_eq!((code, &document["valid"]), (1, &json!(false)));
    assert_eq!(
        document["findings"][0]["message"],
        "unknown key `timeot`; did you mean `timeout`?"
    );
    assert_eq!(
        (
            &document["findings"][0]["line"],
            &document["findings"][0]["column"]
        ),
        (&json!(line), &json!(3))
    );
    rewrite(folder.path(), "numberdesk.toml", "timeot", "timeout");

    // Faults and warnings of the policy, and a variable, which is in no file.
    std::fs::write(folder.path().join("policy.toml"), "[teams.a]\nmax_numbers = -1\n").expect("written");
    let (code, log) = check("sarif").await;
    assert_sarif(&log);
    let result = &log["runs"][0]["results"][0];
    assert_eq!((code, &result["ruleId"]), (1, &json!("policy-invalid")));
    assert_eq!(
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "policy.toml"
    );
    std::fs::write(folder.path().join("policy.toml"), "# nothing yet\n").expect("written");
    let (code, log) = check("sarif").await;
    assert_sarif(&log);
    let result = &log["runs"][0]["results"][0];
    assert_eq!(
        (code, &result["ruleId"], &result["level"]),
        (0, &json!("policy-doubtful"), &json!("warning"))
    );
    let mut by_variable = command(
        folder.path(),
        &["check", "--config", "numberdesk.toml", "--format", "sarif"],
    );
    by_variable.env("NUMBERDESK_CLOSE__TIMEOUT", "soon");
    let output = output_of(by_variable).await;
    let log: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_sarif(&log);
    assert_eq!(
        log["runs"][0]["results"][0]["locations"][0].get("physicalLocation"),
        None
    );
}

/// Asserts the parts of the log that the tests read. `tests/python/schemas_hold.py` compares it with the schema.
fn assert_sarif(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    let rules = log["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .expect("a list");
    for result in log["runs"][0]["results"].as_array().expect("a list") {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(result["message"]["text"].is_string());
    }
}
