//! Tokens for development: where the development issuer is, and the claims that it signs.

use serde_json::json;

use crate::auth::DevIssuer;
use crate::domain::id::UserId;
use crate::domain::permission::Permission;
use crate::domain::team::Team;
use crate::domain::time::{Clock, Span};

/// The `iss` of development tokens. It is only a name: nothing is fetched from it.
pub(super) const ISSUER: &str = "https://issuer.numberdesk.dev/";
/// The `aud` of development tokens.
pub(super) const AUDIENCE: &str = "numberdesk";

/// Signs a token with these claims, valid from now on. Without teams, it states no permissions either.
pub(super) fn sign(
    issuer: &DevIssuer,
    subject: &str,
    teams: &[Team],
    permissions: &[Permission],
    groups: &[impl AsRef<str>],
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
    });
    if !teams.is_empty() {
        claims["teams"] = json!(teams);
        claims["scope"] = json!(scope.join(" "));
    }
    if !groups.is_empty() {
        claims["groups"] = groups.iter().map(AsRef::as_ref).collect();
    }
    if let Some(user) = close_user {
        claims["close_user_id"] = json!(user);
    }
    issuer.sign(&claims)
}
