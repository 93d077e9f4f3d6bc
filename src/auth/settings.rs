//! The settings of a trusted issuer. The module `app` creates them from the configuration.

use std::path::PathBuf;

use url::Url;

use crate::auth::algorithm::Algorithm;

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

/// What the HTTP client needs to fetch keys from an address that is not public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// PEM certificates of the only authorities to trust for this address. Needs https.
    pub ca_file: Option<PathBuf>,
    /// A bearer token to send. Needs `ca_file`, so that only the right server can receive it.
    pub token_file: Option<PathBuf>,
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
    /// The teams: an array or a space-separated string. `/teams` by default.
    pub teams: String,
    /// The permissions: an array or a space-separated string. `/scope` by default.
    pub permissions: String,
    /// The caller's own user in Close. `/close_user_id` by default.
    pub close_user: String,
}

impl Default for ClaimPointers {
    fn default() -> Self {
        Self {
            teams: "/teams".into(),
            permissions: "/scope".into(),
            close_user: "/close_user_id".into(),
        }
    }
}
