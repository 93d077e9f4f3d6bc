//! The `--config` argument, and loading the configuration with the policy it names.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::failure::Failure;
use crate::app;
use crate::config::{self, Config, MayBeAbsent};
use crate::domain::input::document::FileFault;
use crate::policy::Policy;
use crate::store::Store;

/// The `--config` argument of most commands.
#[derive(clap::Args)]
pub(super) struct ConfigFile {
    /// The configuration file
    #[arg(
        long = "config",
        value_name = "FILE",
        env = "NUMBERDESK_CONFIG",
        default_value = "numberdesk.toml"
    )]
    pub(super) path: PathBuf,
}

/// Loads configuration and policy, or returns all faults of both.
pub(super) fn load(path: &Path) -> Result<(Config, Policy), Failure> {
    let config = config::load(path, config::environment()).map_err(Failure::Invalid)?;
    let policy = app::policy(&config).map_err(Failure::Invalid)?;
    check_proxies(path, &config)?;
    Ok((config, policy))
}

/// Loads the configuration, and the policy or the faults of its file.
pub(super) fn load_with_any_policy(path: &Path) -> Result<(Config, Result<Policy, Vec<FileFault>>), Failure> {
    let (config, _) =
        config::load_with(path, config::environment(), MayBeAbsent::Policy).map_err(Failure::Invalid)?;
    check_proxies(path, &config)?;
    let policy = app::policy(&config);
    Ok((config, policy))
}

/// Opens the database of the section `[store]`, without looking at other sections: they may be missing or faulty.
pub(super) async fn open_store(path: &Path) -> Result<Store, Failure> {
    let url = config::store(path, config::environment()).map_err(Failure::Invalid)?;
    let opened = Store::open(url.secret()).await;
    Ok(opened.context("the database cannot be opened")?)
}

/// Checks the rules of the proxies, which may come from a file or from the environment.
pub(super) fn check_proxies(path: &Path, config: &Config) -> Result<(), Failure> {
    let checked = app::proxies(config).map(drop);
    checked.map_err(|message| {
        Failure::Invalid(vec![FileFault {
            file: path.display().to_string(),
            line: None,
            column: None,
            key: "proxy".to_owned(),
            message,
        }])
    })
}
