//! Swagger UI, a problem page and pages of other origins in a real browser (Chromium), with a running server.

use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::http::prefix::{below_the_prefix, proxy};
use crate::support::database::{Database, with_sqlite};
use crate::support::personas::{LENA, Persona};
use crate::support::program::{provided, succeeds};
use crate::support::proxy::Forward;
use crate::support::scripted::{Scripted, says};
use crate::support::server::{POLICY, TestConfig, TestServer};

/// The time limit of the browser. It is generous because a busy machine draws pages slowly, and longer than the limit
/// in the scripts, so that they can say which check hangs.
const PATIENCE: Duration = Duration::from_mins(10);
/// A label with HTML in it. `docs.mjs` fails if the browser interprets it.
const HOSTILE: &str =
    r#"<img src=x data-hostile onerror="window.hostile=1"><script data-hostile>window.hostile=1</script>"#;

/// The number of checks in `docs.mjs`.
const CHECKS: usize = 14;
/// The number of numbers that `docs.mjs` rents.
const RENTED: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn swagger_ui_calls_operations_with_a_token_and_contacts_no_other_host() {
    with_sqlite(|database| swagger_ui_works_in_a_browser(database, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swagger_ui_and_guides_work_below_a_path_behind_a_proxy() {
    with_sqlite(|database| swagger_ui_works_in_a_browser(database, true)).await;
}

/// The number of checks in `cors.mjs`.
const CROSS_ORIGIN_CHECKS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_listed_origin_calls_the_api_and_follows_events() {
    with_sqlite(pages_of_other_origins_call_the_api).await;
}

async fn pages_of_other_origins_call_the_api(database: Database) {
    provided("tests/browser/node_modules/playwright-core");
    let page = |_: &str| {
        says(
            200,
            "Content-Type: text/html\r\n",
            b"<!doctype html><title>app</title>",
        )
    };
    // Origins differ by their ports, too.
    let apps = [Scripted::start(page).await, Scripted::start(page).await];
    let [allowed, refused] = [0, 1].map(|nth| format!("http://{}", apps[nth].address));
    let config = TestConfig {
        server: format!("cors_origins = [\"{allowed}\"]").leak(),
        ..TestConfig::default()
    };
    let server = TestServer::with(database, config).await;
    let mut browser = Command::new("node");
    browser.arg(provided("tests/browser/cors.mjs")).args([
        &server.api,
        &server.token(&LENA),
        &allowed,
        &refused,
    ]);
    let output = succeeds(&mut browser, PATIENCE).await;
    let checks = output.lines().filter(|line| line.starts_with("ok: ")).count();
    assert_eq!(checks, CROSS_ORIGIN_CHECKS, "{output}");
    assert_eq!(server.close.rents().await.len(), 1);
}

async fn swagger_ui_works_in_a_browser(database: Database, below_a_path: bool) {
    provided("tests/browser/node_modules/playwright-core");
    let config = TestConfig {
        policy: POLICY.replace("[teams.sales]", "[teams.sales-emea]"),
        ..if below_a_path {
            below_the_prefix()
        } else {
            TestConfig::default()
        }
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
    let proxy = proxy(&server, Forward::WithoutPrefix).await;
    let url = if below_a_path { &proxy.url } else { &server.api };

    let mut browser = Command::new("node");
    browser
        .arg(provided("tests/browser/docs.mjs"))
        .args([url, &server.token(&caller), HOSTILE]);
    let output = succeeds(&mut browser, PATIENCE).await;
    println!("{output}");

    assert_eq!(
        output.lines().filter(|line| line.starts_with("ok: ")).count(),
        CHECKS,
        "{output}"
    );
    assert_eq!(
        server.close.rents().await.len(),
        rents + RENTED,
        "\"Try it out\" rented other numbers than the checks ask for"
    );
}
