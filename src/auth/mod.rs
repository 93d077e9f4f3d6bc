//! Authenticates bearer tokens: verifies the JWT against its issuer's keys and returns the identity it names.
//!
//! It knows nothing about HTTP requests and permissions. A verified token is cached by its digest until it expires or
//! its issuer's keys change.

mod algorithm;
mod claims;
#[cfg(feature = "dev")]
mod dev_issuer;
mod document;
mod http_client;
mod identity;
mod inspect;
mod issuer;
mod jwk;
mod jwt;
mod keys;
mod refusals;
mod rejection;
mod settings;
mod source;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::bail;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use crate::auth::algorithm::{Algorithm, NotAnAlgorithm};
#[cfg(feature = "dev")]
pub use crate::auth::dev_issuer::DevIssuer;
pub use crate::auth::inspect::{Check, Inspection, Outcome, shown};
use crate::auth::issuer::Issuer;
use crate::auth::jwt::Token;
pub use crate::auth::keys::KeyReport;
use crate::auth::refusals::Refusals;
pub use crate::auth::rejection::Rejection;
use crate::auth::rejection::invalid;
pub use crate::auth::settings::{Access, ClaimPointers, IssuerKind, IssuerSettings, KeySource, TokenType};
use crate::domain::identity::Identity;
use crate::domain::time::{Clock, Timestamp};
use crate::telemetry::metrics::TOKENS_TOTAL;

/// The capacity of the cache, in tokens of usual size.
const CACHED_TOKENS: u64 = 10_000;
/// The usual size of a token. A longer token counts as several, which bounds the memory.
const TOKEN_UNIT_BYTES: usize = 2_048;

/// Authenticates tokens. Clones are cheap, and share keys and cache.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    issuers: Vec<Issuer>,
    /// The index in `issuers` of each `iss`.
    by_name: HashMap<String, usize>,
    /// Verified tokens, by the SHA-256 of the token.
    cached: moka::future::Cache<[u8; 32], CachedToken>,
    refusals: Refusals,
    clock: Clock,
}

/// The result of a verification. It does not contain the token.
#[derive(Clone)]
struct CachedToken {
    identity: Identity,
    issuer: usize,
    /// The generation of the issuer's keys that verified it.
    generation: u64,
    expires: Timestamp,
    weight: u32,
}

impl Auth {
    /// Creates an authenticator that trusts these issuers.
    ///
    /// It fails if settings can never work or a `jwks_file` is unusable, but not if an issuer is unreachable.
    pub fn new(issuers: Vec<IssuerSettings>, clock: Clock) -> anyhow::Result<Self> {
        let mut by_name = HashMap::new();
        for (index, settings) in issuers.iter().enumerate() {
            if by_name.insert(settings.issuer.clone(), index).is_some() {
                bail!("the issuer `{}` is configured twice", settings.issuer);
            }
        }
        let issuers = issuers
            .into_iter()
            .map(|settings| Issuer::open(settings, &clock))
            .collect::<anyhow::Result<_>>()?;
        let cached = moka::future::Cache::builder()
            .max_capacity(CACHED_TOKENS)
            .weigher(|_: &[u8; 32], token: &CachedToken| token.weight)
            .build();
        Ok(Self(Arc::new(Inner {
            issuers,
            by_name,
            cached,
            refusals: Refusals::default(),
            clock,
        })))
    }

    /// Verifies a token and returns the identity that it names. Loads the issuer's keys if needed.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Rejection> {
        let (result, outcome) = match self.cached_or_verified(token).await {
            Ok((identity, outcome)) => (Ok(identity), outcome),
            Err(rejection @ (Rejection::Invalid { .. } | Rejection::LivesTooLong { .. })) => {
                tracing::debug!(reason = %rejection, "token refused");
                (Err(rejection), "invalid")
            }
            Err(rejection @ Rejection::KeysUnavailable) => (Err(rejection), "keys_unavailable"),
        };
        metrics::counter!(TOKENS_TOTAL, "outcome" => outcome).increment(1);
        result
    }

    /// Refreshes the keys of every issuer that is due. A worker calls it every few seconds.
    pub async fn refresh(&self) {
        futures::future::join_all(self.0.issuers.iter().map(|issuer| issuer.keys.refresh())).await;
    }

    /// Returns the state of each issuer's keys.
    pub fn report(&self) -> Vec<KeyReport> {
        self.0.issuers.iter().map(|issuer| issuer.keys.report()).collect()
    }

    async fn cached_or_verified(&self, text: &str) -> Result<(Identity, &'static str), Rejection> {
        jwt::check_size(text)?;
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        if let Some(identity) = self.cached(&digest).await? {
            return Ok((identity, "remembered"));
        }
        let verified = self.verify(text).await?;
        let identity = verified.identity.clone();
        self.0.cached.insert(digest, verified).await;
        Ok((identity, "verified"))
    }

    async fn cached(&self, digest: &[u8; 32]) -> Result<Option<Identity>, Rejection> {
        let Some(token) = self.0.cached.get(digest).await else {
            return Ok(None);
        };
        if self.0.clock.now() >= token.expires {
            self.0.cached.invalidate(digest).await;
            return Ok(None);
        }
        let keys = self.0.issuers[token.issuer].keys.current().await?;
        Ok((keys.generation == token.generation).then_some(token.identity))
    }

    /// Verifies a token.
    ///
    /// The checks that need no key come first, so that a malformed token causes no load of keys.
    async fn verify(&self, text: &str) -> Result<CachedToken, Rejection> {
        let token = Token::parse(text)?;
        let (index, issuer) = self.issuer(&token).map_err(|error| self.log(&token, error))?;
        let audience = issuer.rules.check_audience(&token.claims);
        audience.map_err(|error| self.log(&token, error))?;
        issuer.rules.check_kind(token.typ, &token.claims)?;
        let expires = issuer.rules.check_times(&token.claims, self.0.clock.now())?;
        let found = issuer.keys.find(token.kid.as_deref(), token.algorithm).await;
        let (key, generation) = found.map_err(|error| self.log(&token, error))?;
        token.verify(&key)?;
        let weight = u32::try_from(text.len().div_ceil(TOKEN_UNIT_BYTES)).unwrap_or(u32::MAX);
        Ok(CachedToken {
            identity: identity_of(&issuer.kind, token.claims)?,
            issuer: index,
            generation,
            expires,
            weight,
        })
    }

    /// Runs every check of a token, also after one that failed, and reads the identity that it names.
    ///
    /// The result is for people. Nothing may be allowed by it.
    pub async fn inspect(&self, text: &str) -> Inspection {
        let (form, claims) = inspect::form(text);
        let mut checks = vec![form];
        let Some(claims) = claims else {
            return Inspection {
                checks,
                claims: Value::Null,
                kind: None,
                identity: None,
            };
        };
        let name = claims.get("iss").and_then(Value::as_str);
        let index = name.and_then(|name| self.0.by_name.get(name));
        let issuer = index.map(|index| &self.0.issuers[*index]);
        let mut trusted: Vec<&str> = self.0.by_name.keys().map(String::as_str).collect();
        trusted.sort_unstable();
        checks.push(inspect::issuer(&claims, &trusted));
        if let Some(issuer) = issuer {
            checks.extend(inspect::rules(issuer, text, &claims, self.0.clock.now()));
            checks.push(inspect::signature(issuer, text).await);
        }
        Inspection {
            checks,
            identity: issuer.map(|issuer| identity_of(&issuer.kind, claims.clone())),
            kind: issuer.map(|issuer| issuer.kind.clone()),
            claims: Value::Object(claims),
        }
    }

    /// Finds the issuer that a token names.
    fn issuer(&self, token: &Token<'_>) -> Result<(usize, &Issuer), Rejection> {
        let name = token.claims.get("iss").and_then(|iss| iss.as_str());
        let index = name.and_then(|name| self.0.by_name.get(name)).copied();
        index
            .map(|index| (index, &self.0.issuers[index]))
            .ok_or(invalid("the token's issuer (`iss`) is not trusted here"))
    }

    /// Logs the values for which a token is refused, at a bounded rate, and returns the rejection.
    fn log(&self, token: &Token<'_>, rejection: Rejection) -> Rejection {
        let reason = match rejection {
            Rejection::Invalid { reason } => reason,
            Rejection::LivesTooLong { .. } => "the token is valid for longer than `max_lifetime` allows",
            Rejection::KeysUnavailable => return rejection,
        };
        self.0.refusals.log(token, reason, self.0.clock.now());
        rejection
    }
}

/// Reads the identity that the claims of a token name.
fn identity_of(kind: &IssuerKind, claims: Map<String, Value>) -> Result<Identity, Rejection> {
    Ok(match kind {
        IssuerKind::Oidc(pointers) => Identity::Token(Arc::new(identity::identity(claims, pointers)?)),
        IssuerKind::Kubernetes => Identity::ServiceAccount(Arc::new(identity::account(claims)?)),
    })
}
