//! From a bearer token to who it is of: the front of the room. Knows tokens, issuers and their keys, and nothing
//! of HTTP requests, teams' policy or what a caller then does.

mod claims;
mod dev_issuer;
mod http_client;
mod issuer;
mod jwk;
mod jwt;
mod keys;
mod source;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::bail;
use sha2::{Digest, Sha256};

pub use crate::auth::dev_issuer::LocalIssuer;
use crate::auth::issuer::Issuer;
pub use crate::auth::issuer::{
    Access, Algorithm, ClaimPointers, IssuerKind, IssuerSettings, KeySource, NotAnAlgorithm,
};
use crate::auth::jwt::Token;
pub use crate::auth::keys::KeyReport;
use crate::domain::service_account::Identity;
use crate::domain::time::{Clock, Timestamp};
use crate::telemetry::metrics::TOKENS_TOTAL;

/// How many verified tokens are remembered at most.
const REMEMBERED_TOKENS: u64 = 10_000;
/// Token text that counts as one remembered token; longer ones count for more, which bounds the memory too.
const TOKEN_UNIT_BYTES: usize = 2_048;

/// Tells whose a token is. Cheap to clone; clones share keys and memory.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    issuers: Vec<Issuer>,
    by_name: HashMap<String, usize>,
    remembered: moka::future::Cache<[u8; 32], Remembered>,
    clock: Clock,
}

/// A token that was verified, without its text.
#[derive(Clone)]
struct Remembered {
    identity: Identity,
    issuer: usize,
    /// The issuer's keys that vouched for it.
    generation: u64,
    ends: Timestamp,
    weight: u32,
}

/// Why a token is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The caller's fault.
    #[error("{reason}")]
    Invalid {
        /// Safe to show: it never repeats what stood in the token.
        reason: &'static str,
    },
    /// The issuer can't be reached and no good keys of it are left: not the caller's fault.
    #[error("the keys of the token's issuer can't be had now")]
    KeysUnavailable,
}

impl Auth {
    /// Takes the issuers that are trusted. Settings that could never work, and a `jwks_file` that can't be used,
    /// are errors; an issuer that can't be reached is not.
    pub fn new(issuers: Vec<IssuerSettings>, clock: Clock) -> anyhow::Result<Self> {
        let mut by_name = HashMap::new();
        for (index, settings) in issuers.iter().enumerate() {
            if by_name.insert(settings.issuer.clone(), index).is_some() {
                bail!("the issuer `{}` stands twice", settings.issuer);
            }
        }
        let issuers = issuers
            .into_iter()
            .map(|settings| Issuer::open(settings, &clock))
            .collect::<anyhow::Result<_>>()?;
        let remembered = moka::future::Cache::builder()
            .max_capacity(REMEMBERED_TOKENS)
            .weigher(|_: &[u8; 32], token: &Remembered| token.weight)
            .build();
        Ok(Self(Arc::new(Inner {
            issuers,
            by_name,
            remembered,
            clock,
        })))
    }

    /// Whom the token speaks for. Asks the issuer for its keys when they are not at hand.
    pub async fn identify(&self, token: &str) -> Result<Identity, Rejection> {
        let (result, outcome) = match self.remembered_or_verified(token).await {
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

    /// One step of keeping the keys fresh: reads files, and fetches what is older than its refresh time. For a
    /// worker; running it twice changes nothing.
    pub async fn refresh(&self) {
        futures::future::join_all(self.0.issuers.iter().map(|issuer| issuer.keys.refresh())).await;
    }

    /// How each issuer's keys stand.
    pub fn report(&self) -> Vec<KeyReport> {
        self.0.issuers.iter().map(|issuer| issuer.keys.report()).collect()
    }

    async fn remembered_or_verified(&self, text: &str) -> Result<(Identity, &'static str), Rejection> {
        jwt::check_size(text)?;
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        if let Some(identity) = self.remembered(&digest).await? {
            return Ok((identity, "remembered"));
        }
        let verified = self.verify(text).await?;
        let identity = verified.identity.clone();
        self.0.remembered.insert(digest, verified).await;
        Ok((identity, "verified"))
    }

    async fn remembered(&self, digest: &[u8; 32]) -> Result<Option<Identity>, Rejection> {
        let Some(token) = self.0.remembered.get(digest).await else {
            return Ok(None);
        };
        if self.0.clock.now() >= token.ends {
            self.0.remembered.invalidate(digest).await;
            return Ok(None);
        }
        let keys = self.0.issuers[token.issuer].keys.current().await?;
        Ok((keys.generation == token.generation).then_some(token.identity))
    }

    /// The whole check. Everything that needs no key comes first, so that nonsense makes nobody fetch keys.
    async fn verify(&self, text: &str) -> Result<Remembered, Rejection> {
        let token = Token::parse(text)?;
        let index = token
            .claims
            .get("iss")
            .and_then(|iss| iss.as_str())
            .and_then(|iss| self.0.by_name.get(iss))
            .copied()
            .ok_or(Rejection::Invalid {
                reason: "the token's issuer (`iss`) is not one that is trusted here",
            })?;
        let issuer = &self.0.issuers[index];
        let ends = claims::check(&token.claims, &issuer.audiences, self.0.clock.now())?;
        let (key, generation) = issuer.keys.find(token.kid.as_deref(), token.algorithm).await?;
        token.verify(&key)?;
        let weight = u32::try_from(text.len().div_ceil(TOKEN_UNIT_BYTES)).unwrap_or(u32::MAX);
        let identity = match &issuer.kind {
            IssuerKind::Oidc(pointers) => Identity::Caller(Arc::new(claims::caller(token.claims, pointers)?)),
            IssuerKind::Kubernetes => Identity::ServiceAccount(Arc::new(claims::account(token.claims)?)),
        };
        Ok(Remembered {
            identity,
            issuer: index,
            generation,
            ends,
            weight,
        })
    }
}
