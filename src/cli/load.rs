//! The `--config` argument, and loading the configuration with the policy it names.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::app;
use crate::config::{self, Config};
use crate::domain::input::document::FileFault;
use crate::policy::Policy;

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
    app::proxies(&config).map_err(|message| {
        Failure::Invalid(vec![FileFault {
            file: path.display().to_string(),
            line: None,
            key: "proxy".to_owned(),
            message,
        }])
    })?;
    Ok((config, policy))
}
