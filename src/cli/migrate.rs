//! `numberdesk migrate`: brings the database's schema up to date and exits; for an init container or a Job.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{Failure, serve};
use crate::store::Store;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, env = "NUMBERDESK_CONFIG", default_value = "numberdesk.toml")]
    config: PathBuf,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, _) = serve::load(&arguments.config)?;
    let store = Store::open(config.store.secret())
        .await
        .context("the database can't be opened")?;
    let applied = store.migrate().await.context("the database can't be migrated")?;
    store.close().await;
    if applied.is_empty() {
        println!("the schema is up to date");
    }
    for name in applied {
        println!("applied {name}");
    }
    Ok(())
}
