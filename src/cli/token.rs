//! `numberdesk token`: prints a token of the development issuer.

use std::path::PathBuf;

use super::dev_tokens::{self, ISSUER};
use super::failure::Failure;
use crate::auth::DevIssuer;
use crate::domain::id::UserId;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::domain::time::Span;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Team of the caller; several are separated by commas or given by repeating the option
    #[arg(long, value_delimiter = ',', required = true)]
    team: Vec<Team>,
    /// Permissions, separated by commas, such as numbers:read,numbers:rent
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "numbers:read,numbers:rent,numbers:update,numbers:release"
    )]
    permissions: Vec<Permission>,
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
    #[arg(long, default_value = dev_tokens::FOLDER)]
    dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let issuer = DevIssuer::load(&arguments.dir, ISSUER)?;
    let token = dev_tokens::sign(
        &issuer,
        &arguments.subject,
        &arguments.team,
        &arguments.permissions,
        arguments.close_user.as_ref(),
        arguments.expires,
    )?;
    println!("{token}");
    Ok(())
}
