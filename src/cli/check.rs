//! `numberdesk check`: what `serve` would say of its configuration, without starting.

use std::path::PathBuf;

use super::{Failure, serve, tell};
use crate::config::TlsFiles;
use crate::domain::time::Clock;

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
            if let Some(files) = &config.server.tls {
                certificate(files)?;
            }
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

/// Until when it is believed. One that clients refuse keeps no desk from starting, and so is no fault.
fn certificate(files: &TlsFiles) -> Result<(), Failure> {
    let identity = files.read().map_err(anyhow::Error::msg)?;
    println!(
        "tls: {}, until {}",
        files.certificate.display(),
        identity.not_after
    );
    if let Some(why) = identity.out_of_time(Clock::system().now()) {
        eprintln!("warning: clients refuse {}: {why}", files.certificate.display());
    }
    Ok(())
}
