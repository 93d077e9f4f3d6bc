//! `numberdesk serve`: the service, from configuration to a clean end.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Failure;
use crate::app::{self, App};
use crate::config::{self, Config};
use crate::policy::Policy;
use crate::telemetry;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, env = "NUMBERDESK_CONFIG", default_value = "numberdesk.toml")]
    config: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, policy) = load(&arguments.config)?;
    telemetry::log(config.log.format, &config.log.level)?;
    let app = App::start(&config, policy, telemetry::metrics()?).await?;
    let broken = tokio::select! {
        () = signalled() => false,
        () = app.broken() => true,
    };
    tracing::info!("stopping: requests and paid calls under way are ended first");
    tokio::select! {
        () = app.stop() => {}
        () = signalled() => return Err(Failure::Failed(anyhow::anyhow!("stopped at once by a second signal"))),
    }
    if broken {
        Err(Failure::Failed(anyhow::anyhow!(
            "a part of the desk stopped; see the log"
        )))
    } else {
        Ok(())
    }
}

/// Configuration and policy, or every fault of both.
pub(super) fn load(path: &Path) -> Result<(Config, Policy), Failure> {
    let config = config::load(path, config::environment());
    let policy = config
        .as_ref()
        .ok()
        .map(|config| app::policy(config.policy_file.as_ref()));
    match (config, policy) {
        (Ok(config), Some(Ok(policy))) => Ok((config, policy)),
        (Err(faults), _) | (Ok(_), Some(Err(faults))) => Err(Failure::Faulty(faults)),
        (Ok(_), None) => Err(Failure::Failed(anyhow::anyhow!(
            "a configuration without faults has a policy"
        ))),
    }
}

/// Completes at SIGTERM or Ctrl-C.
pub(super) async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()).context("no signal handler") {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "only Ctrl-C stops this process");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
