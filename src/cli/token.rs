//! `numberdesk token`: a JWT from the issuer that `numberdesk dev` made.

use std::path::PathBuf;

use serde_json::json;

use super::Failure;
use crate::auth::LocalIssuer;
use crate::domain::caller::{Permission, Team};
use crate::domain::id::UserId;
use crate::domain::time::{Clock, Span};

/// The issuer's name in dev tokens; it is no URL that anything is fetched from.
pub(super) const ISSUER: &str = "https://issuer.numberdesk.dev/";
/// The audience of dev tokens.
pub(super) const AUDIENCE: &str = "numberdesk";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Team the token names; may be repeated or comma separated
    #[arg(long, value_delimiter = ',', required = true)]
    team: Vec<Team>,
    /// Permissions, comma separated, such as numbers:read,numbers:rent
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "numbers:read,numbers:rent,numbers:update,numbers:release"
    )]
    permissions: Vec<Permission>,
    /// Who the token is for
    #[arg(long, default_value = "developer@example.com")]
    subject: String,
    /// The caller's own user in Close
    #[arg(long)]
    close_user: Option<UserId>,
    /// How long it is valid
    #[arg(long, default_value = "1h")]
    expires: Span,
    /// The folder `numberdesk dev` keeps its things in
    #[arg(long, default_value = super::dev::FOLDER)]
    dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let issuer = LocalIssuer::load(&arguments.dir, ISSUER)?;
    let token = sign(
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

pub(super) fn sign(
    issuer: &LocalIssuer,
    subject: &str,
    teams: &[Team],
    permissions: &[Permission],
    close_user: Option<&UserId>,
    expires: Span,
) -> anyhow::Result<String> {
    let now = Clock::system().now();
    let scope: Vec<&str> = permissions.iter().map(|permission| permission.as_str()).collect();
    let mut claims = json!({
        "iss": issuer.issuer(),
        "aud": AUDIENCE,
        "sub": subject,
        "iat": now.as_seconds(),
        "exp": now.plus(expires.0).as_seconds(),
        "teams": teams,
        "scope": scope.join(" "),
    });
    if let Some(user) = close_user {
        claims["close_user_id"] = json!(user);
    }
    issuer.sign(&claims)
}
