//! The documentation as a newcomer meets it: Swagger UI and a problem page in real Chromium, against a live desk.

use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::support::database::{Database, with_sqlite};
use crate::support::personas::{LENA, Persona};
use crate::support::program::{provided, succeeds};
use crate::support::server::{POLICY, TestConfig, TestServer};

/// A browser that starts on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_mins(2);
/// What `docs.mjs` knows a label by that was taken for HTML.
const HOSTILE: &str =
    r#"<img src=x data-hostile onerror="window.hostile=1"><script data-hostile>window.hostile=1</script>"#;

#[tokio::test(flavor = "multi_thread")]
async fn swagger_ui_takes_a_token_tries_operations_out_and_asks_no_other_host() {
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
    let said = succeeds(&mut browser, PATIENCE).await;
    println!("{said}");

    assert_eq!(
        said.lines().filter(|line| line.starts_with("ok: ")).count(),
        7,
        "{said}"
    );
    assert_eq!(
        server.close.rents().await.len(),
        rents,
        "trying it out has rented a number"
    );
}
