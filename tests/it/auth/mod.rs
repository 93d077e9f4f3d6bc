//! Authentication: which tokens are accepted, and how the keys of an issuer are loaded, replaced and lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod algorithms;
mod cluster;
mod grants;
pub(crate) mod idp;
mod keys;
mod oidc;
mod providers;
mod refusals;
pub(crate) mod service_accounts;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use numberdesk::auth::{
    Access, Algorithm, Auth, ClaimPointers, IssuerKind, IssuerSettings, KeySource, Rejection,
};
use numberdesk::domain::identity::{Identity, TokenIdentity};
use numberdesk::domain::time::{Clock, Timestamp};
use serde_json::{Value, json};

use self::idp::Idp;

const ISSUER: &str = "https://idp.test/";
/// The start of manual clocks, in seconds since 1970.
const START: i64 = 1_800_000_000;
/// How long an unknown `kid` causes no further fetch after the last one.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);

fn clock() -> Clock {
    Clock::manual(Timestamp::from_seconds(START))
}

fn settings(issuer: &str, keys: KeySource) -> IssuerSettings {
    IssuerSettings {
        issuer: issuer.into(),
        audiences: vec!["numberdesk".into(), "https://numbers.example.com".into()],
        keys,
        algorithms: Algorithm::ALL.to_vec(),
        typ: None,
        leeway: Duration::from_secs(30),
        max_lifetime: None,
        kind: IssuerKind::Oidc(ClaimPointers::default()),
        access: Access::default(),
    }
}

fn auth(idp: &Idp, clock: &Clock) -> Auth {
    Auth::new(
        vec![settings(ISSUER, KeySource::Url(idp.url.clone()))],
        clock.clone(),
    )
    .unwrap()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "numberdesk", "sub": "alice@example.com", "iat": START, "exp": START + 300,
        "teams": ["sales"], "scope": "numbers:read numbers:rent", "close_user_id": "user_abc"
    })
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Authenticates a token of an OIDC issuer. Panics if the identity is a service account.
async fn identified(auth: &Auth, token: &str) -> Result<Arc<TokenIdentity>, Rejection> {
    match auth.authenticate(token).await? {
        Identity::Token(identity) => Ok(identity),
        Identity::ServiceAccount(account) => {
            panic!("an OIDC token identified a service account: {account:?}")
        }
    }
}

/// Asserts that the token is invalid, and returns the reason.
async fn refused(auth: &Auth, token: &str, what: impl std::fmt::Display) -> &'static str {
    match identified(auth, token).await {
        Err(Rejection::Invalid { reason }) => reason,
        other => panic!("{what}: expected a refusal, got {other:?}"),
    }
}

/// Asserts that the token is accepted, and returns its caller.
async fn accepted(auth: &Auth, token: &str, what: impl std::fmt::Display) -> Arc<TokenIdentity> {
    identified(auth, token)
        .await
        .unwrap_or_else(|rejection| panic!("{what}: {rejection:?}"))
}
