//! `numberdesk hold`: stops all calls that cost or destroy, on all replicas, and permits them again.

use anyhow::Context as _;

use super::failure::Failure;
use super::load::{ConfigFile, open_store};
use super::output::outln;
use crate::desk::{HoldAuthor, HoldControl, HoldReason};
use crate::domain::hold::HoldCause;
use crate::domain::time::Clock;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Turns the hold on: new orders get 503, and nothing is sent to Close that costs or destroys
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// Why; callers see it
    #[arg(long, value_name = "TEXT", requires = "on", value_parser = reason)]
    reason: Option<HoldReason>,
    /// Turns the hold off
    #[arg(long)]
    off: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let store = open_store(&arguments.config.path).await?;
    // A restored backup of an earlier version is held before the service first starts on it.
    store.migrate().await.context("the database cannot be migrated")?;
    let (holds, author) = (
        HoldControl::new(store.clone(), Clock::system()),
        HoldAuthor::Operator,
    );
    if arguments.on {
        let on = holds.turn_on(&author, arguments.reason.clone()).await;
        on.context("the hold was not turned on")?;
    } else if arguments.off {
        let off = holds.turn_off(&author).await;
        off.context("the hold was not turned off")?;
    }
    let state = holds
        .state(&author)
        .await
        .context("the database cannot be read")?;
    store.close().await;
    if state.holds.is_empty() {
        outln!("no hold: the service sends orders")?;
    }
    for hold in state.holds {
        outln!("held      since {}: {}", hold.since.in_words(), hold.reason)?;
        if hold.cause == HoldCause::UnknownCalls {
            outln!("next      numberdesk recover")?;
        }
    }
    Ok(())
}

fn reason(text: &str) -> Result<HoldReason, String> {
    text.to_owned().try_into()
}
