//! `numberdesk recover`: shows calls that the database does not know, and ends the hold that they caused.

use anyhow::Context as _;

use super::failure::Failure;
use super::load::{ConfigFile, open_store};
use super::output::{OutputError, outln};
use crate::desk::{HoldAuthor, HoldControl};
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
    let (control, author) = (
        HoldControl::new(store.clone(), Clock::system()),
        HoldAuthor::Operator,
    );
    let confirmed = if arguments.confirm {
        let confirmed = control.confirm(&author).await;
        confirmed.context("the calls were not confirmed")?
    } else {
        None
    };
    let state = control
        .state(&author)
        .await
        .context("the database cannot be read")?;
    if let Some(confirmed) = confirmed {
        print_confirmed(&confirmed)?;
    } else if state
        .holds
        .iter()
        .any(|hold| hold.cause == HoldCause::UnknownCalls)
    {
        print_calls(&state.unknown_calls)?;
        let shown = u64::try_from(state.unknown_calls.len()).unwrap_or(u64::MAX);
        if state.unknown_call_count > shown {
            outln!("unknown   {} more", state.unknown_call_count - shown)?;
        }
        outln!("next      look at these numbers in Close; then run this command with --confirm")?;
    } else {
        let searched = store.calls_checked_to().await;
        match searched.context("the database cannot be read")? {
            Some(at) => outln!("the last search of Close's event log, at {at}, found no unknown call")?,
            None => outln!("Close's event log has not been searched yet")?,
        }
        outln!(
            "next      after a restore, start the service: its first search decides whether there is anything to confirm"
        )?;
    }
    store.close().await;
    Ok(())
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
