//! `numberdesk serve`: the service, from configuration to a clean end.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use crate::app::{self, App};
use crate::config::{self, Config};
use crate::policy::Policy;
use crate::telemetry::{self, Metrics};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, env = "NUMBERDESK_CONFIG", default_value = "numberdesk.toml")]
    config: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, policy) = load(&arguments.config)?;
    let telemetry = telemetry::start(&app::telemetry(&config))?;
    let mut signals = Signals::listen()?;
    let app = tokio::select! {
        app = App::start(&config, policy, Metrics::install()?) => app?,
        // Nothing has begun yet.
        () = signals.next() => return Ok(()),
    };
    let broken = tokio::select! {
        () = signals.next() => false,
        () = app.broken() => true,
    };
    tracing::info!("stopping: requests and paid calls under way are ended first");
    let end = async {
        app.stop().await;
        telemetry.end().await;
    };
    signals.unless_another(end).await?;
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
        .map(|config| app::policy(config.policy_file.as_ref(), &config.clusters()));
    match (config, policy) {
        (Ok(config), Some(Ok(policy))) => Ok((config, policy)),
        (Err(faults), _) | (Ok(_), Some(Err(faults))) => Err(Failure::Faulty(faults)),
        (Ok(_), None) => Err(Failure::Failed(anyhow::anyhow!(
            "a configuration without faults has a policy"
        ))),
    }
}

/// SIGTERM and Ctrl-C, none of which is missed once they are listened to.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they end nothing by themselves.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let hear = |kind| signal(kind).context("signals can't be listened to");
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
        })
    }

    /// Completes at the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Lets the desk end in good order, unless another one says not to wait for that.
    pub(super) async fn unless_another(&mut self, end: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::select! {
            () = end => Ok(()),
            () = self.next() => Err(Failure::Failed(anyhow::anyhow!(
                "stopped at once by a second signal; what was under way is taken up at the next start"
            ))),
        }
    }
}
