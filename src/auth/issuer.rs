//! Who is trusted to make tokens, as the configuration says it. Knows what settings could ever work, not how keys
//! are fetched.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use url::Url;

use crate::auth::keys::Keys;
use crate::auth::source::Source;
use crate::domain::loopback::is_loopback;
use crate::domain::time::Clock;

/// One trusted issuer.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// A token must be for one of these; never empty.
    pub audiences: Vec<String>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// What its keys may be used with; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Whose tokens it makes.
    pub kind: IssuerKind,
    /// How its address is asked for keys.
    pub access: Access,
}

/// Whose tokens an issuer makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKind {
    /// People's and apps', which say there what the desk wants to know.
    Oidc(ClaimPointers),
    /// Service accounts' of a Kubernetes cluster. Nothing but who it is is taken from them.
    Kubernetes,
}

/// What it takes to ask an issuer for its keys, where anybody's certificates and no token will not do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The certificates of the authorities that vouch for its address, and nobody else; PEM. Only for https.
    pub ca_file: Option<PathBuf>,
    /// A bearer token that is shown to it. Only together with `ca_file`, so that nobody else gets to see it.
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

/// A way to sign tokens that can be allowed. All have a public key: a shared secret is never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256.
    RS256,
    /// RSA with PSS and SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// RFC 6901 pointers into a token.
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

impl Algorithm {
    /// Every algorithm that can be allowed.
    pub const ALL: &'static [Self] = &[Self::RS256, Self::PS256, Self::ES256, Self::ES384, Self::EdDSA];

    /// As it stands in a token's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no algorithm that can be allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of RS256, PS256, ES256, ES384, EdDSA")]
pub struct NotAnAlgorithm;

impl FromStr for Algorithm {
    type Err = NotAnAlgorithm;
    fn from_str(text: &str) -> Result<Self, NotAnAlgorithm> {
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or(NotAnAlgorithm)
    }
}

/// A trusted issuer at work.
pub(super) struct Issuer {
    pub(super) audiences: Vec<String>,
    pub(super) kind: IssuerKind,
    pub(super) keys: Arc<Keys>,
}

impl Issuer {
    pub(super) fn open(settings: IssuerSettings, clock: &Clock) -> anyhow::Result<Self> {
        let issuer = settings.issuer.clone();
        Self::open_checked(settings, clock).with_context(|| format!("the issuer `{issuer}` can't be used"))
    }

    fn open_checked(settings: IssuerSettings, clock: &Clock) -> anyhow::Result<Self> {
        let IssuerSettings {
            issuer,
            audiences,
            keys,
            algorithms,
            kind,
            access,
        } = settings;
        ensure!(!issuer.is_empty(), "its name is empty");
        ensure!(
            !audiences.is_empty(),
            "it has no audience: any service's token would be taken"
        );
        ensure!(
            audiences.iter().all(|audience| !audience.is_empty()),
            "an audience is empty"
        );
        ensure!(
            !algorithms.is_empty(),
            "it has no algorithm: no token would be taken"
        );
        if let IssuerKind::Oidc(claims) = &kind {
            for pointer in [&claims.teams, &claims.permissions, &claims.close_user] {
                ensure!(
                    is_pointer(pointer),
                    "`{pointer}` is no JSON pointer to a claim, such as `/teams`"
                );
            }
        }
        let source = match keys {
            KeySource::Url(url) => Source::url(url, access)?,
            KeySource::File(path) if access == Access::default() => Source::file(path),
            KeySource::File(_) => bail!("its keys are in a file: there is nobody to ask"),
            KeySource::Discovery => Source::discovery(&issuer, access)?,
        };
        let keys = Keys::open(issuer, source, algorithms, clock.clone())?;
        Ok(Self {
            audiences,
            kind,
            keys,
        })
    }
}

/// Whether keys may come from there: over TLS, or from this machine.
pub(super) fn check_address(url: &Url) -> anyhow::Result<()> {
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "its address holds a user name or a password"
    );
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        _ => bail!("its address must be https (http is for loopback only)"),
    }
}

fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1);
    text.starts_with('/') && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_read_as_it_is_written_and_a_shared_secret_is_none() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(*algorithm));
        }
        for text in ["HS256", "none", "None", "rs256", "RS512", ""] {
            assert_eq!(text.parse::<Algorithm>(), Err(NotAnAlgorithm), "{text}");
        }
    }

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for good in [
            "https://idp.example.com/jwks",
            "http://127.0.0.1:1/",
            "http://localhost/k",
            "http://[::1]/k",
        ] {
            assert!(check_address(&good.parse().unwrap()).is_ok(), "{good}");
        }
        for bad in [
            "http://idp.example.com/jwks",
            "http://10.0.0.1/jwks",
            "http://localhost.example.com/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "https://user:secret@idp.example.com/",
        ] {
            assert!(check_address(&bad.parse().unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        for good in ["/teams", "/a/b", "/https:~1~1example.com~1teams", "/~0", "/"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["", "teams", "/a~", "/a~2", "$.teams"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }
}
