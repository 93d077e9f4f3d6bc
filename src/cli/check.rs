//! `numberdesk check`: validates configuration and policy as `serve` does, without starting.

use super::failure::{Failure, print_faults};
use super::load::{ConfigFile, load};
use super::output::{errln, outln};
use crate::config::TlsFiles;
use crate::domain::time::{Clock, Span};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match load(&arguments.config.path) {
        Ok((config, policy)) => {
            let policy_file = config
                .policy
                .file
                .as_ref()
                .map_or("none, so everything is denied".into(), |file| {
                    format!("{}, fingerprint {}", file.display(), policy.fingerprint())
                });
            outln!("{} is valid", arguments.config.path.display())?;
            outln!("policy: {policy_file}")?;
            for issuer in &config.auth.issuers {
                let longest = Span(issuer.max_lifetime.get());
                outln!(
                    "issuer {}: accepts tokens that are valid for at most {longest}",
                    &*issuer.issuer
                )?;
            }
            for warning in policy.warnings() {
                outln!("warning: {warning}")?;
            }
            if let Some(weakness) = config.store.url().ok().and_then(|url| url.weakness()) {
                outln!("warning: {weakness}")?;
            }
            if let Some(files) = &config.server.tls {
                certificate(files)?;
            }
            Ok(())
        }
        // For this command, faults are a negative result: exit status 1 instead of 64.
        Err(Failure::Invalid(faults)) => {
            print_faults(&faults);
            Err(Failure::Negative)
        }
        Err(failure) => Err(failure),
    }
}

/// Prints until when the certificate is valid.
///
/// An expired certificate is only a warning, because the service starts with it.
fn certificate(files: &TlsFiles) -> Result<(), Failure> {
    let identity = files.read().map_err(anyhow::Error::msg)?;
    outln!(
        "tls: {}, until {}",
        files.certificate.display(),
        identity.not_after.in_words()
    )?;
    if let Some(why) = identity.out_of_time(Clock::system().now()) {
        errln!("warning: clients refuse {}: {why}", files.certificate.display());
    }
    Ok(())
}
