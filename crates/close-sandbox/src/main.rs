//! The `close-sandbox` binary: a simulated Close for teams that test their apps.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use close_sandbox::cli;

/// A simulated Close CRM: one organization with phone numbers, webhooks, rate limits and scripted faults.
#[derive(Parser)]
#[command(name = "close-sandbox", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "GET /_control/ lists the routes that control the simulation.")]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    arguments: cli::Arguments,
}

#[derive(Subcommand)]
enum Command {
    /// Checks that a running sandbox responds; for container health checks
    Health {
        /// URL to request
        #[arg(
            long,
            value_name = "URL",
            default_value = "http://127.0.0.1:8081/_control/settings"
        )]
        url: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let line = CommandLine::parse();
    let outcome = match line.command {
        Some(Command::Health { url }) => check_health(&url).await,
        None => cli::run(line.arguments).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn check_health(url: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the HTTP client cannot be created")?;
    let status = client
        .get(url)
        .send()
        .await
        .with_context(|| format!("no response from {url}"))?
        .status();
    ensure!(status.is_success(), "{url} responds with {status}");
    Ok(())
}
