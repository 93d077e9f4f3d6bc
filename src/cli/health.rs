//! `numberdesk health`: the health check of a container image that has no shell.

use std::time::Duration;

use anyhow::Context as _;
use url::Url;

use super::failure::Failure;
use super::output::errln;
use super::values::http_url;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// URL to request
    #[arg(long, value_parser = http_url, default_value = "http://127.0.0.1:9090/readyz")]
    url: Url,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let client = reqwest::Client::builder()
        // The service is on this machine.
        .no_proxy()
        .timeout(Duration::from_secs(4))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the HTTP client cannot be created")?;
    let answer = client
        .get(arguments.url.clone())
        .send()
        .await
        .context("the service does not respond")?;
    if answer.status().is_success() {
        return Ok(());
    }
    errln!("{} {}", answer.status(), answer.text().await.unwrap_or_default());
    Err(Failure::Negative)
}
