//! `numberdesk openapi`: prints the OpenAPI document that the service serves.

use anyhow::Context as _;
use clap::ValueEnum;

use super::failure::Failure;
use crate::http;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Output format
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = http::document();
    let text = match arguments.format {
        Format::Json => document
            .to_pretty_json()
            .context("the document can't be written as JSON")?,
        Format::Yaml => document
            .to_yaml()
            .context("the document can't be written as YAML")?,
    };
    println!("{}", text.trim_end());
    Ok(())
}
