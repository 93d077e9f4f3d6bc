//! The settings of a trusted issuer. The module `app` creates them from the configuration.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::auth::algorithm::Algorithm;
use crate::egress::{Proxies, Trust};

/// One trusted issuer.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// The accepted values of `aud`; never empty.
    pub audiences: Vec<String>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// The algorithms that its keys may be used with; never empty.
    pub algorithms: Vec<Algorithm>,
    /// The only accepted type of its tokens; `None` accepts every type of [`TokenType`], and tokens without a type.
    pub typ: Option<TokenType>,
    /// The accepted difference between the issuer's clock and the service's clock.
    pub leeway: Duration,
    /// The longest accepted life of its tokens, from `iat` to `exp`.
    pub max_lifetime: Option<Duration>,
    /// Whether its tokens name people and apps, or service accounts.
    pub kind: IssuerKind,
    /// The private CA and token for fetching its keys, if its address needs them.
    pub access: Access,
}

/// The kind of identities that an issuer's tokens name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKind {
    /// People and apps, with teams and permissions in claims.
    Oidc(ClaimPointers),
    /// Service accounts of a Kubernetes cluster. Only the account's name is taken from the token.
    Kubernetes,
}

/// How the HTTP client reaches the address of the keys.
#[derive(Debug, Clone)]
pub struct Access {
    /// The authorities to trust for this address. A file of authorities needs https.
    pub trust: Trust,
    /// A bearer token to send. Needs [`Trust::Only`], so that only the right server can receive it.
    pub token_file: Option<PathBuf>,
    /// The proxies by which the address is reached.
    pub proxies: Proxies,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            trust: Trust::Public,
            token_file: None,
            proxies: Proxies::default(),
        }
    }
}

/// Where an issuer's public keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS at this address; https unless the host is loopback.
    Url(Url),
    /// A JWKS in this file.
    File(PathBuf),
    /// The `jwks_uri` of `{issuer}/.well-known/openid-configuration`.
    Discovery,
}

/// RFC 6901 pointers to the claims that the service reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPointers {
    /// The teams: the names at all pointers together. `/teams` by default.
    pub teams: Vec<String>,
    /// The permissions: the words at all pointers together. `/scope` by default; none if the list is empty.
    pub permissions: Vec<String>,
    /// The caller's own user in Close: the first claim that exists. `/close_user_id` by default.
    pub close_user: Vec<String>,
    /// The caller's name for people: the first claim that exists; `sub` if none does. None by default.
    pub subject: Vec<String>,
}

impl Default for ClaimPointers {
    fn default() -> Self {
        Self {
            teams: vec!["/teams".into()],
            permissions: vec!["/scope".into()],
            close_user: vec!["/close_user_id".into()],
            subject: Vec::new(),
        }
    }
}

/// The accepted values of `typ` in a token's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// `JWT`: a token of any purpose.
    Jwt,
    /// `at+jwt`: an access token (RFC 9068).
    AccessToken,
}
