//! `numberdesk health`: what a container without a shell asks itself with.

use std::time::Duration;

use anyhow::Context as _;
use url::Url;

use super::Failure;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// What to ask
    #[arg(long, default_value = "http://127.0.0.1:9090/readyz")]
    url: Url,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(4))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("no HTTP client could be made")?;
    let answer = client
        .get(arguments.url.clone())
        .send()
        .await
        .context("the desk does not answer")?;
    if answer.status().is_success() {
        return Ok(());
    }
    eprintln!("{} {}", answer.status(), answer.text().await.unwrap_or_default());
    Err(Failure::No)
}
