//! `numberdesk migrate`: applies database migrations and exits; for an init container or a Job.

use anyhow::Context as _;

use super::failure::Failure;
use super::load::{ConfigFile, load};
use super::output::outln;
use super::progress::ProgressLine;
use crate::store::Store;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, _) = load(&arguments.config.path)?;
    let url = config.store.url().map_err(anyhow::Error::msg)?;
    let store = Store::open(url.secret())
        .await
        .context("the database cannot be opened")?;
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
