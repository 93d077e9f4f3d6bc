//! `numberdesk serve`: runs the service until a signal stops it.

use super::failure::Failure;
use super::load::{ConfigFile, load};
use super::signals::Signals;
use crate::app::{self, App};
use crate::telemetry::{self, Metrics};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, policy) = load(&arguments.config.path)?;
    let proxies = app::proxies(&config).map_err(anyhow::Error::msg)?;
    let telemetry = telemetry::start(&app::telemetry(&config, &proxies))?;
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
