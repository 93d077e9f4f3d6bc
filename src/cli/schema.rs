//! `numberdesk schema`: prints the JSON Schema of a file that people write, for editors and other tools.

use anyhow::Context as _;
use clap::ValueEnum;

use super::failure::Failure;
use super::output::outln;
use crate::{config, policy};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The file that the schema describes
    #[arg(value_enum)]
    file: File,
}

#[derive(Clone, Copy, ValueEnum)]
enum File {
    /// The settings, numberdesk.toml
    Config,
    /// The policy, policy.toml
    Policy,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let schema = match arguments.file {
        File::Config => config::schema(),
        File::Policy => policy::schema(),
    };
    let text = serde_json::to_string_pretty(&schema).context("the schema can't be written as JSON")?;
    outln!("{text}")?;
    Ok(())
}
