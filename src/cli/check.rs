//! `numberdesk check`: validates configuration and policy as `serve` does, without starting.

mod finding;
mod sarif;

use std::path::Path;

use clap::ValueEnum;
use serde_json::json;

use self::finding::{Finding, Rule};
use super::failure::{Failure, print_faults};
use super::load::{ConfigFile, check_proxies};
use super::output::{errln, outln};
use crate::app;
use crate::config::{self, AbsentFile, Config, MayBeAbsent};
use crate::domain::input::document::FileFault;
use crate::domain::time::{Clock, Span};
use crate::policy::Policy;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Accepts that files which the settings name do not exist here, as where only the settings are at hand; lists them
    #[arg(long)]
    without_files: bool,
    /// Format of the output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code hosts that show findings at the line
    Sarif,
}

/// What was read without a fault.
struct Valid {
    config: Config,
    /// `None` if the policy file does not exist here.
    policy: Option<Policy>,
    /// The files that do not exist here.
    absent: Vec<AbsentFile>,
}

/// The result. Faults of the policy are only known once the settings have none.
enum Checked {
    Valid(Box<Valid>),
    InvalidSettings(Vec<FileFault>),
    InvalidPolicy(Vec<FileFault>, Vec<AbsentFile>),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = &arguments.config.path;
    let checked = read(path, arguments.without_files)?;
    match arguments.format {
        Format::Text => print(path, &checked)?,
        Format::Json => outln!("{:#}", document(path, &checked))?,
        Format::Sarif => outln!("{:#}", sarif::log(&findings(path, &checked)))?,
    }
    match checked {
        Checked::Valid(_) => Ok(()),
        // For this command, faults are a negative result: exit status 1 instead of 64.
        Checked::InvalidSettings(_) | Checked::InvalidPolicy(..) => Err(Failure::Negative),
    }
}

fn read(path: &Path, without_files: bool) -> Result<Checked, Failure> {
    let may_be_absent = if without_files {
        MayBeAbsent::Any
    } else {
        MayBeAbsent::Nothing
    };
    let (config, absent) = match config::load_with(path, config::environment(), may_be_absent) {
        Ok(loaded) => loaded,
        Err(faults) => return Ok(Checked::InvalidSettings(faults)),
    };
    let is_absent = |key: &str| absent.iter().any(|file| file.place.key == key);
    let policy = if is_absent("policy.file") {
        None
    } else {
        match app::policy(&config) {
            Ok(policy) => Some(policy),
            Err(faults) => return Ok(Checked::InvalidPolicy(faults, absent)),
        }
    };
    if !is_absent("proxy.url_file") {
        match check_proxies(path, &config) {
            Ok(()) => {}
            Err(Failure::Invalid(faults)) => return Ok(Checked::InvalidSettings(faults)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(Checked::Valid(Box::new(Valid {
        config,
        policy,
        absent,
    })))
}

fn print(path: &Path, checked: &Checked) -> Result<(), Failure> {
    let absent = match checked {
        Checked::Valid(valid) => {
            print_valid(path, valid)?;
            &valid.absent
        }
        Checked::InvalidSettings(faults) => {
            print_faults(faults);
            return Ok(());
        }
        Checked::InvalidPolicy(faults, absent) => {
            print_faults(faults);
            absent
        }
    };
    for file in absent {
        outln!(
            "not checked: {}: {} does not exist here",
            file.place.key,
            file.path.display()
        )?;
    }
    Ok(())
}

fn print_valid(path: &Path, valid: &Valid) -> Result<(), Failure> {
    let Valid { config, policy, .. } = valid;
    let policy_file = match (config.policy.file.as_ref(), policy) {
        (None, _) => "none, so everything is denied".to_owned(),
        (Some(file), None) => format!("{}, not checked", file.display()),
        (Some(file), Some(policy)) => format!("{}, fingerprint {}", file.display(), policy.fingerprint()),
    };
    outln!("{} is valid", path.display())?;
    outln!("policy: {policy_file}")?;
    for issuer in &config.auth.issuers {
        let longest = Span(issuer.max_lifetime.get());
        outln!(
            "issuer {}: accepts tokens that are valid for at most {longest}",
            &*issuer.issuer
        )?;
    }
    for warning in policy.iter().flat_map(Policy::warnings) {
        outln!("warning: {warning}")?;
    }
    if let Some(weakness) = weakness(config) {
        outln!("warning: {weakness}")?;
    }
    // An expired certificate is only a warning, because the service starts with it.
    if let Some(files) = &config.server.tls
        && let Ok(identity) = files.read()
    {
        outln!(
            "tls: {}, until {}",
            files.certificate.display(),
            identity.not_after.in_words()
        )?;
        if let Some(why) = identity.out_of_time(Clock::system().now()) {
            errln!("warning: clients refuse {}: {why}", files.certificate.display());
        }
    }
    Ok(())
}

/// Says what the connection to the database does not protect from.
fn weakness(config: &Config) -> Option<String> {
    config.store.url().ok().and_then(|url| url.weakness())
}

/// Returns everything that was found, faults first.
fn findings(path: &Path, checked: &Checked) -> Vec<Finding> {
    let of = |rule: Rule, faults: &[FileFault]| -> Vec<Finding> {
        faults.iter().map(|fault| Finding::new(rule, fault)).collect()
    };
    let settings = path.display().to_string();
    let (mut all, absent) = match checked {
        Checked::InvalidSettings(faults) => (of(Rule::SettingsInvalid, faults), &[][..]),
        Checked::InvalidPolicy(faults, absent) => (of(Rule::PolicyInvalid, faults), &absent[..]),
        Checked::Valid(valid) => {
            let policy = valid.policy.as_ref().map(Policy::warnings).unwrap_or_default();
            let mut all = of(Rule::PolicyDoubtful, policy);
            let weakness = weakness(&valid.config)
                .map(|message| Finding::about(Rule::DatabaseUnverified, settings.clone(), "store", message));
            let tls = valid.config.server.tls.as_ref();
            let out_of_time = tls
                .and_then(|files| files.read().ok()?.out_of_time(Clock::system().now()))
                .map(|why| {
                    let key = "server.tls.certificate_file";
                    Finding::about(Rule::CertificateNotValid, settings.clone(), key, why)
                });
            all.extend(weakness.into_iter().chain(out_of_time));
            (all, &valid.absent[..])
        }
    };
    all.extend(
        absent
            .iter()
            .map(|file| Finding::new(Rule::FileNotChecked, &file.place)),
    );
    all
}

/// Returns the result for programs.
fn document(path: &Path, checked: &Checked) -> serde_json::Value {
    let valid = match checked {
        Checked::Valid(valid) => Some(valid),
        Checked::InvalidSettings(_) | Checked::InvalidPolicy(..) => None,
    };
    let policy = valid.and_then(|valid| {
        let policy = valid.policy.as_ref()?;
        let file = valid.config.policy.file.as_ref()?;
        Some(json!({ "file": file.display().to_string(), "fingerprint": policy.fingerprint() }))
    });
    json!({
        "valid": valid.is_some(),
        "config": path.display().to_string(),
        "policy": policy,
        "findings": findings(path, checked),
    })
}
