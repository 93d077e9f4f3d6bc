//! `numberdesk serve`: runs the service until a signal stops it.

use super::failure::Failure;
use super::load::{ConfigFile, load_with_any_policy};
use super::signals::Signals;
use crate::app::{self, App};
use crate::config::Config;
use crate::domain::input::document::FileFault;
use crate::policy::Policy;
use crate::telemetry::{self, Metrics};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, policy) = load_with_any_policy(&arguments.config.path)?;
    let proxies = app::proxies(&config).map_err(anyhow::Error::msg)?;
    let telemetry = telemetry::start(&app::telemetry(&config, &proxies))?;
    let policy = match policy {
        Ok(policy) => policy,
        Err(faults) => last_policy(&config, faults).await?,
    };
    let mut signals = Signals::listen()?;
    let app = tokio::select! {
        app = App::start_by(proxies, &config, policy, Metrics::install()?) => app?,
        // Nothing has started yet.
        () = signals.next() => return Ok(()),
    };
    let broken = tokio::select! {
        () = signals.next() => false,
        () = app.broken() => true,
    };
    tracing::info!("stopping: requests and paid calls in progress end first");
    let end = async {
        app.stop().await;
        telemetry.end().await;
    };
    signals.next_stops(end).await?;
    if broken {
        Err(Failure::Error(anyhow::anyhow!(
            "a part of the service stopped; see the log"
        )))
    } else {
        Ok(())
    }
}

/// Returns the policy that was last in force, because that of the file has these faults.
///
/// Otherwise a pod that starts at the wrong moment, such as after an eviction, would fail while the others serve.
async fn last_policy(config: &Config, mut faults: Vec<FileFault>) -> Result<Policy, Failure> {
    let file = config.policy.file.as_deref();
    let path = file.map(|path| path.display().to_string()).unwrap_or_default();
    match app::last_policy(config).await {
        Ok((policy, since)) => {
            let all: Vec<_> = faults.iter().map(ToString::to_string).collect();
            tracing::error!(
                path,
                error = all.join("; "),
                fingerprint = policy.fingerprint(),
                since = %since,
                "policy file unusable; the service starts with the last valid policy, from the database"
            );
            Ok(policy)
        }
        Err(why) => {
            faults.push(FileFault {
                file: path,
                line: None,
                column: None,
                key: String::new(),
                message: format!("and no earlier policy can be used: {why}"),
            });
            Err(Failure::Invalid(faults))
        }
    }
}
