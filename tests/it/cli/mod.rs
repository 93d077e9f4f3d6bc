//! The commands of `numberdesk`, run as processes.

mod arguments;
mod check;
mod dev;
mod dev_data;
mod dev_orders;
pub(crate) mod doctor;
mod listen;
mod organization;
mod output;
mod schema;
mod store_copy;
pub(crate) mod webhooks;
mod whoami;

use std::path::Path;

use serde_json::Value;

use crate::support::binary::{ServerProcess, command, output_of, run};
use crate::support::eventually;
use crate::support::personas::ISSUER;
use crate::support::server::{TestConfig, write_files};
use crate::support::snapshot;

/// Creates a folder with a valid configuration, for a Close that is not running.
fn config_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    numberdesk::auth::DevIssuer::load_or_create(folder.path(), ISSUER).expect("an issuer can be made");
    let database = format!("sqlite://{}", folder.path().join("desk.db").display());
    write_files(
        folder.path(),
        &TestConfig::default(),
        "http://127.0.0.1:9/api/v1",
        "api_x.y",
        &database,
    );
    folder
}

/// Replaces a text in a file, which must contain it.
fn rewrite(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).expect("the file is there");
    assert!(text.contains(from), "{file} has no {from}");
    std::fs::write(path, text.replace(from, to)).expect("the file can be written");
}

#[tokio::test]
async fn every_command_has_help() {
    let folder = config_folder();
    let mut help = command(folder.path(), &["--help"]);
    help.env("COLUMNS", "100");
    snapshot::assert_output("cli/help", &output_of(help).await);
    for name in [
        "dev", "serve", "sandbox", "check", "policy", "audit", "token", "openapi", "schema", "migrate",
    ] {
        let own = run(folder.path(), &[name, "--help"]).await;
        assert!(own.code == 0 && own.stdout.len() > 100, "{name}: {own:?}");
    }
    assert_eq!(run(folder.path(), &["nonsense"]).await.code, 2);
    assert_ne!(run(folder.path(), &[]).await.code, 0);
    assert!(
        run(folder.path(), &["--version"])
            .await
            .stdout
            .starts_with("numberdesk ")
    );
}

#[tokio::test]
async fn openapi_prints_the_document_that_is_committed_and_served() {
    let folder = config_folder();
    let yaml = run(folder.path(), &["openapi", "--format", "yaml"]).await;
    assert_eq!((yaml.code, yaml.stderr.as_str()), (0, ""));
    assert!(yaml.stdout.starts_with("openapi: 3.1.0\n"), "{}", yaml.stdout);
    let printed = run(folder.path(), &["openapi"]).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/numberdesk.json");
    let committed = std::fs::read_to_string(&file).expect("the document is committed");
    assert!(
        committed == printed.stdout,
        "openapi/numberdesk.json is out of date: run `make openapi`"
    );
    let document: Value = serde_json::from_str(&printed.stdout).expect("JSON is the default");
    assert_eq!(document["openapi"], "3.1.0");
    let rendered = run(folder.path(), &["openapi", "--version", "3.0"]).await;
    let rendered: Value = serde_json::from_str(&rendered.stdout).expect("JSON is the default");
    assert_eq!(rendered["openapi"], "3.0.3");
    let mut desk = ServerProcess::start(folder.path()).await;
    let served = reqwest::Client::builder().no_proxy().build().expect("a client");
    let served = served
        .get(format!("{}/openapi.json", desk.api))
        .send()
        .await
        .expect("an answer");
    assert_eq!(served.json::<Value>().await.expect("JSON"), document);
    assert_eq!(desk.terminate().await, 0);
}

#[tokio::test]
async fn policy_explain_prints_rule_have_need_and_hint() {
    let folder = config_folder();
    let explain = async |more: &[&str]| {
        let base = [
            "policy",
            "explain",
            "--config",
            "numberdesk.toml",
            "--team",
            "sales",
        ];
        run(folder.path(), &[&base, more].concat()).await
    };
    let allowed = explain(&["--country", "DE"]).await;
    snapshot::assert_output("cli/policy_explain_allowed", &allowed);
    let denied = explain(&["--country", "JP"]).await;
    snapshot::assert_output("cli/policy_explain_denied", &denied);
    let group = explain(&["--country", "DE", "--sharing", "group"]).await;
    snapshot::assert_output("cli/policy_explain_permission_missing", &group);
    let permitted = explain(&[
        "--country",
        "DE",
        "--sharing",
        "group",
        "--permissions",
        "numbers:rent,numbers:group",
    ])
    .await;
    assert_eq!(permitted.code, 0, "{permitted:?}");
    let at_the_limit = explain(&["--country", "DE", "--numbers-held", "400"]).await;
    snapshot::assert_output("cli/policy_explain_quota_exceeded", &at_the_limit);
    assert_eq!(explain(&["--country", "Germany"]).await.code, 2);
}

#[tokio::test]
async fn migrate_can_be_repeated() {
    let folder = config_folder();
    let first = run(folder.path(), &["migrate", "--config", "numberdesk.toml"]).await;
    assert!(first.code == 0 && first.stdout.contains("applied"), "{first:?}");
    let second = run(folder.path(), &["migrate", "--config", "numberdesk.toml"]).await;
    assert!(
        second.code == 0 && second.stdout.contains("up to date"),
        "{second:?}"
    );
}

#[tokio::test]
async fn health_exits_with_the_result_of_readiness() {
    let folder = config_folder();
    let mut desk = ServerProcess::start(folder.path()).await;
    let url = format!("{}/readyz", desk.ops);
    // The service listens before it has loaded its inventory.
    eventually("the service is healthy", || async {
        let health = run(folder.path(), &["health", "--url", &url]).await;
        (health.code == 0).then_some(())
    })
    .await;
    assert_eq!(
        run(
            folder.path(),
            &["health", "--url", &format!("{}/nothing", desk.ops)]
        )
        .await
        .code,
        1
    );
    assert_eq!(desk.terminate().await, 0);
    assert_eq!(run(folder.path(), &["health", "--url", &url]).await.code, 1);
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound address").to_string();
    let folder = config_folder();
    rewrite(
        folder.path(),
        "numberdesk.toml",
        "\nlisten = \"127.0.0.1:0\"",
        &format!("\nlisten = \"{address}\""),
    );
    let refused = run(folder.path(), &["serve", "--config", "numberdesk.toml"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains(&address) && refused.stderr.contains("server.listen"),
        "{refused:?}"
    );
}
