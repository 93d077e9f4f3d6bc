//! `numberdesk openapi`: prints the OpenAPI document that the service serves.

use anyhow::Context as _;
use clap::ValueEnum;

use super::failure::Failure;
use super::output::outln;
use crate::http;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Output format
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
    /// Version of OpenAPI; 3.0 is for generators that know no later version
    #[arg(long, value_enum, default_value = "3.1")]
    version: Version,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

#[derive(Clone, Copy, ValueEnum)]
enum Version {
    #[value(name = "3.1")]
    V3_1,
    #[value(name = "3.0")]
    V3_0,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = match arguments.version {
        Version::V3_1 => http::document(),
        Version::V3_0 => http::document_3_0(),
    };
    let text = match arguments.format {
        Format::Json => {
            serde_json::to_string_pretty(&document).context("the document can't be written as JSON")?
        }
        Format::Yaml => {
            serde_norway::to_string(&document).context("the document can't be written as YAML")?
        }
    };
    outln!("{}", text.trim_end())?;
    Ok(())
}
