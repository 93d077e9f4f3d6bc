//! `numberdesk hold`: stops all calls that cost or destroy, on all replicas, and permits them again.

use anyhow::Context as _;

use super::failure::Failure;
use super::load::{ConfigFile, open_store};
use super::output::outln;
use super::recover::operator;
use crate::domain::audit::{Action, AuditRow};
use crate::domain::hold::{Hold, HoldCause};
use crate::domain::time::Clock;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Turns the hold on: new orders get 503, and nothing is sent to Close that costs or destroys
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// Why; callers see it
    #[arg(long, value_name = "TEXT", requires = "on")]
    reason: Option<String>,
    /// Turns the hold off
    #[arg(long)]
    off: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let store = open_store(&arguments.config.path).await?;
    // A restored backup of an earlier version is held before the service first starts on it.
    store.migrate().await.context("the database cannot be migrated")?;
    let (now, cause) = (Clock::system().now(), HoldCause::Operator);
    if arguments.on {
        let given = arguments.reason.as_deref();
        let hold = Hold {
            cause,
            reason: given.unwrap_or("an operator has stopped all orders").to_owned(),
            since: now,
        };
        let row = AuditRow::new(now, operator(), Action::HoldStart, cause.as_str())
            .detail(serde_json::json!({ "reason": hold.reason }));
        store
            .start_hold(&hold, &row)
            .await
            .context("the hold was not turned on")?;
    } else if arguments.off {
        let row = AuditRow::new(now, operator(), Action::HoldEnd, cause.as_str());
        store
            .end_hold(cause, &row)
            .await
            .context("the hold was not turned off")?;
    }
    let holds = store.holds().await.context("the database cannot be read")?;
    store.close().await;
    if holds.is_empty() {
        outln!("no hold: the service sends orders")?;
    }
    for hold in holds {
        outln!("held      since {}: {}", hold.since.in_words(), hold.reason)?;
        if hold.cause == HoldCause::UnknownCalls {
            outln!("next      numberdesk recover")?;
        }
    }
    Ok(())
}
