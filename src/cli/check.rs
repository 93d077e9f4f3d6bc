//! `numberdesk check`: what `serve` would say of its configuration, without starting.

use std::path::PathBuf;

use super::{Failure, serve, tell};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, env = "NUMBERDESK_CONFIG", default_value = "numberdesk.toml")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match serve::load(&arguments.config) {
        Ok((config, policy)) => {
            let policy_file = config
                .policy_file
                .as_ref()
                .map_or("none: everything is denied".into(), |file| {
                    format!("{}, fingerprint {}", file.display(), policy.fingerprint())
                });
            println!("{} is fine", arguments.config.display());
            println!("policy: {policy_file}");
            Ok(())
        }
        // Faults are this command's answer, not its failure: exit 1.
        Err(Failure::Faulty(faults)) => {
            tell(&faults);
            Err(Failure::No)
        }
        Err(failure) => Err(failure),
    }
}
