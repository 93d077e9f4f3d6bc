//! `numberdesk token`: prints a token of the development issuer.

use std::path::PathBuf;

use super::dev_tokens::{self, ISSUER};
use super::env_file::FOLDER;
use super::failure::Failure;
use super::output::outln;
use crate::auth::DevIssuer;
use crate::domain::id::UserId;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::domain::time::Span;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Team of the caller; several are separated by commas or given by repeating the option
    #[arg(long, value_delimiter = ',', required_unless_present = "group")]
    team: Vec<Team>,
    /// Permissions, separated by commas, such as numbers:read,numbers:rent
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "numbers:read,numbers:rent,numbers:update,numbers:release"
    )]
    permissions: Vec<Permission>,
    /// Group of the caller at an identity provider, for a grant of the policy; several are separated by commas
    #[arg(long, value_delimiter = ',')]
    group: Vec<String>,
    /// Subject: the app or person that the token identifies
    #[arg(long, default_value = "developer@example.com")]
    subject: String,
    /// Id of the caller's user in Close
    #[arg(long)]
    close_user: Option<UserId>,
    /// How long the token is valid, such as 30m or 8h
    #[arg(long, default_value = "1h")]
    expires: Span,
    /// Folder of `numberdesk dev`
    #[arg(long, default_value = FOLDER)]
    dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let issuer = DevIssuer::load(&arguments.dir, ISSUER)?;
    let token = dev_tokens::sign(
        &issuer,
        &arguments.subject,
        &arguments.team,
        &arguments.permissions,
        &arguments.group,
        arguments.close_user.as_ref(),
        arguments.expires,
    )?;
    outln!("{token}")?;
    Ok(())
}
