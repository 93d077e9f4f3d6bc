//! A trusted issuer: its checked settings and its keys.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use crate::auth::claims::Rules;
use crate::auth::keys::Keys;
use crate::auth::settings::{IssuerKind, IssuerSettings, KeySource};
use crate::auth::source::Source;
use crate::domain::time::Clock;
use crate::egress::Trust;

/// A trusted issuer.
pub(super) struct Issuer {
    pub(super) rules: Rules,
    pub(super) kind: IssuerKind,
    pub(super) keys: Arc<Keys>,
}

impl Issuer {
    /// Creates an issuer from its settings. Reads a key file, but fetches nothing.
    ///
    /// Settings with which no token can be accepted are errors.
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
            typ,
            leeway,
            max_lifetime,
            kind,
            access,
        } = settings;
        ensure!(!issuer.is_empty(), "its name is empty");
        ensure!(
            !audiences.is_empty(),
            "it has no audience: tokens for any service would be accepted"
        );
        ensure!(
            audiences.iter().all(|audience| !audience.is_empty()),
            "an audience is empty"
        );
        ensure!(
            !algorithms.is_empty(),
            "it has no algorithm: no token would be accepted"
        );
        if let IssuerKind::Oidc(claims) = &kind {
            let lists = [
                &claims.teams,
                &claims.permissions,
                &claims.close_user,
                &claims.subject,
            ];
            for pointer in lists.into_iter().flatten() {
                ensure!(
                    is_pointer(pointer),
                    "`{pointer}` is not a JSON pointer to a claim, such as `/teams`"
                );
            }
        }
        let source = match keys {
            KeySource::Url(url) => Source::url(url, access)?,
            KeySource::File(path) if access.trust == Trust::Public && access.token_file.is_none() => {
                Source::file(path)
            }
            KeySource::File(_) => bail!(
                "its keys are in a file: remove `ca_file` and `token_file`, which are only for keys at a URL"
            ),
            KeySource::Discovery => Source::discovery(&issuer, access)?,
        };
        let keys = Keys::open(issuer, source, algorithms, clock.clone())?;
        let rules = Rules {
            audiences,
            typ,
            leeway,
            max_lifetime,
        };
        Ok(Self { rules, kind, keys })
    }
}

/// Whether the text is an RFC 6901 pointer to a member.
fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1);
    text.starts_with('/') && escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pointers_of_rfc_6901_are_accepted() {
        for good in ["/teams", "/a/b", "/https:~1~1example.com~1teams", "/~0", "/"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["", "teams", "/a~", "/a~2", "$.teams"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }
}
