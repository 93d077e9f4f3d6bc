//! `numberdesk migrate`: applies database migrations and exits; for an init container or a Job.
//!
//! It reads only `[store]`, so that a broken policy or a missing key keeps no pod from starting.

use anyhow::Context as _;

use super::failure::Failure;
use super::load::{ConfigFile, open_store};
use super::output::outln;
use super::progress::ProgressLine;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let store = open_store(&arguments.config.path).await?;
    let line = ProgressLine::start("migrating the database");
    let applied = store.migrate().await.context("the database cannot be migrated");
    drop(line);
    let applied = applied?;
    store.close().await;
    if applied.is_empty() {
        outln!("the schema is up to date")?;
    }
    for name in applied {
        outln!("applied {name}")?;
    }
    Ok(())
}
