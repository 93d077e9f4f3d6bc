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
mod issuer;
mod jwk;
mod jwt;
mod keys;
mod rejection;
mod settings;
mod source;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::bail;
use sha2::{Digest, Sha256};

pub use crate::auth::algorithm::{Algorithm, NotAnAlgorithm};
#[cfg(feature = "dev")]
pub use crate::auth::dev_issuer::DevIssuer;
use crate::auth::issuer::Issuer;
use crate::auth::jwt::Token;
pub use crate::auth::keys::KeyReport;
pub use crate::auth::rejection::Rejection;
pub use crate::auth::settings::{Access, ClaimPointers, IssuerKind, IssuerSettings, KeySource};
use crate::domain::service_account::Identity;
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
            clock,
        })))
    }

    /// Verifies a token and returns the identity that it names. Loads the issuer's keys if needed.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Rejection> {
        let (result, outcome) = match self.cached_or_verified(token).await {
            Ok((identity, outcome)) => (Ok(identity), outcome),
            Err(rejection @ Rejection::Invalid { reason }) => {
                tracing::debug!(reason, "token refused");
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
        let index = token
            .claims
            .get("iss")
            .and_then(|iss| iss.as_str())
            .and_then(|iss| self.0.by_name.get(iss))
            .copied()
            .ok_or(Rejection::Invalid {
                reason: "the token's issuer (`iss`) is not trusted here",
            })?;
        let issuer = &self.0.issuers[index];
        let expires = claims::check(&token.claims, &issuer.audiences, self.0.clock.now())?;
        let (key, generation) = issuer.keys.find(token.kid.as_deref(), token.algorithm).await?;
        token.verify(&key)?;
        let weight = u32::try_from(text.len().div_ceil(TOKEN_UNIT_BYTES)).unwrap_or(u32::MAX);
        let identity = match &issuer.kind {
            IssuerKind::Oidc(pointers) => Identity::Caller(Arc::new(claims::caller(token.claims, pointers)?)),
            IssuerKind::Kubernetes => Identity::ServiceAccount(Arc::new(claims::account(token.claims)?)),
        };
        Ok(CachedToken {
            identity,
            issuer: index,
            generation,
            expires,
            weight,
        })
    }
}
