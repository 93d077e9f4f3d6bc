//! `numberdesk recover`: shows calls that the database does not know, and ends the hold that they caused.

use anyhow::Context as _;

use super::failure::Failure;
use super::load::{ConfigFile, open_store};
use super::output::{OutputError, outln};
use crate::domain::audit::Actor;
use crate::domain::hold::{CallKind, HoldCause, UnknownCall};
use crate::domain::id::OrderId;
use crate::domain::time::Clock;
use crate::store::Confirmed;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Confirms what the command shows, and lets the service send orders again
    #[arg(long)]
    confirm: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let store = open_store(&arguments.config.path).await?;
    let calls = store
        .unknown_calls()
        .await
        .context("the database cannot be read")?;
    let holds = store.holds().await.context("the database cannot be read")?;
    if !holds.iter().any(|hold| hold.cause == HoldCause::UnknownCalls) {
        outln!("the service knows every call with its API key; nothing to confirm")?;
    } else if arguments.confirm {
        let confirmed = store
            .confirm_unknown_calls(&operator(), Clock::system().now())
            .await
            .context("the calls were not confirmed")?;
        print_confirmed(&confirmed)?;
    } else {
        print_calls(&calls)?;
        outln!("next      look at these numbers in Close; then run this command with --confirm")?;
    }
    store.close().await;
    Ok(())
}

/// The actor of audit rows: a person who may run commands with the configuration.
pub(super) fn operator() -> Actor {
    Actor {
        subject: "operator".to_owned(),
        ..Actor::desk()
    }
}

fn print_calls(calls: &[UnknownCall]) -> Result<(), OutputError> {
    for call in calls {
        let number = call.facts.as_ref().map_or("", |facts| facts.number.as_str());
        let done = match call.kind {
            CallKind::Rent => "rented",
            CallKind::Release => "released",
        };
        let order = call.order_id.as_ref().map_or("", OrderId::as_str);
        let words = [done, call.number_id.as_str(), number, &call.at.in_words(), order].join(" ");
        outln!(
            "unknown   {}",
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        )?;
    }
    Ok(())
}

fn print_confirmed(confirmed: &Confirmed) -> Result<(), OutputError> {
    print_calls(&confirmed.calls)?;
    for order in &confirmed.in_review {
        outln!("review    {order}")?;
    }
    for number in &confirmed.kept {
        outln!("kept      {number}, its scheduled release was called off")?;
    }
    outln!("confirmed the service sends orders again")
}
