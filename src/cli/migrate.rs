//! `numberdesk migrate`: applies database migrations and exits; for an init container or a Job.

use anyhow::Context as _;

use super::failure::Failure;
use super::load::{ConfigFile, load};
use crate::store::Store;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, _) = load(&arguments.config.path)?;
    let store = Store::open(config.store.secret())
        .await
        .context("the database cannot be opened")?;
    let applied = store.migrate().await.context("the database cannot be migrated")?;
    store.close().await;
    if applied.is_empty() {
        println!("the schema is up to date");
    }
    for name in applied {
        println!("applied {name}");
    }
    Ok(())
}
