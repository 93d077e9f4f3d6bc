//! Swagger UI and a problem page in a real browser (Chromium), with a running server.

use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::support::database::{Database, with_sqlite};
use crate::support::personas::{LENA, Persona};
use crate::support::program::{provided, succeeds};
use crate::support::server::{POLICY, TestConfig, TestServer};

/// The time limit of the browser. It is generous because a busy machine starts a browser slowly.
const PATIENCE: Duration = Duration::from_mins(2);
/// A label with HTML in it. `docs.mjs` fails if the browser interprets it.
const HOSTILE: &str =
    r#"<img src=x data-hostile onerror="window.hostile=1"><script data-hostile>window.hostile=1</script>"#;

#[tokio::test(flavor = "multi_thread")]
async fn swagger_ui_calls_operations_with_a_token_and_contacts_no_other_host() {
    with_sqlite(swagger_ui_works_in_a_browser).await;
}

async fn swagger_ui_works_in_a_browser(database: Database) {
    provided("tests/browser/node_modules/playwright-core");
    let config = TestConfig {
        policy: POLICY.replace("[teams.sales]", "[teams.sales-emea]"),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let caller = Persona {
        teams: &["sales-emea"],
        ..LENA
    };
    let number = server.rent(&caller, "a-number-with-a-hostile-label", "DE").await;
    server
        .patch(&caller, &number, &json!({ "label": HOSTILE }))
        .await
        .expect(200);
    let rents = server.close.rents().await.len();

    let mut browser = Command::new("node");
    browser
        .arg(provided("tests/browser/docs.mjs"))
        .args([&server.api, &server.token(&caller), HOSTILE]);
    let output = succeeds(&mut browser, PATIENCE).await;
    println!("{output}");

    assert_eq!(
        output.lines().filter(|line| line.starts_with("ok: ")).count(),
        7,
        "{output}"
    );
    assert_eq!(
        server.close.rents().await.len(),
        rents,
        "\"Try it out\" rented a number"
    );
}
