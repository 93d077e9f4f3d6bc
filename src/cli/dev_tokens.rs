//! Tokens for development: where the development issuer is, and the claims that it signs.

use serde_json::json;

use crate::auth::DevIssuer;
use crate::domain::id::UserId;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::domain::time::{Clock, Span};

/// The default folder of `numberdesk dev`.
pub(super) const FOLDER: &str = ".dev";
/// The `iss` of development tokens. It is only a name: nothing is fetched from it.
pub(super) const ISSUER: &str = "https://issuer.numberdesk.dev/";
/// The `aud` of development tokens.
pub(super) const AUDIENCE: &str = "numberdesk";

/// Signs a token with these claims, valid from now on.
pub(super) fn sign(
    issuer: &DevIssuer,
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
