//! `numberdesk policy whoami`: shows what a token and the policy give its caller, and what is missing to rent.
//!
//! It reads the token from standard input or from a file, never from an argument, and never prints it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::Value;

use super::failure::Failure;
use super::load::{ConfigFile, load};
use super::output::{out, outln};
use super::whoami_report::{self, Report};
use crate::app;
use crate::domain::time::Clock;

/// The most bytes that are read: more than any token has.
const MAX_BYTES: u64 = 64 * 1024;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// File with the token; `-` is standard input
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
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
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (config, policy) = load(&arguments.config.path)?;
    let token = read_token(&arguments.token)?;
    let proxies = app::proxies(&config).map_err(anyhow::Error::msg)?;
    let auth = app::auth(&config, &proxies, Clock::system())?;
    let report: Report = whoami_report::about(auth.inspect(&token).await, &policy);
    match arguments.format {
        Format::Text => out!("{report}")?,
        Format::Json => outln!("{:#}", serde_json::to_value(&report).unwrap_or(Value::Null))?,
    }
    if report.is_accepted() {
        Ok(())
    } else {
        Err(Failure::Negative)
    }
}

/// Reads the token. The text may have `Bearer` before it, as in a header.
fn read_token(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        let read = std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text);
        // The error is left out, because it may repeat a part of the input.
        if read.is_err() {
            bail!("standard input has no token: a token is plain ASCII text");
        }
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if file.take(MAX_BYTES).read_to_string(&mut text).is_err() {
            bail!("{} has no token: a token is plain ASCII text", path.display());
        }
    }
    let text = text.trim();
    let (scheme, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let token = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim()
    } else {
        text
    };
    if token.is_empty() {
        bail!("there is no token to read: write it to the command's standard input, or name a file");
    }
    Ok(token.to_owned())
}
