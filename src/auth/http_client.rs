//! The HTTP client for one issuer's documents, with private authorities and a bearer token if the issuer needs them.
//!
//! Clusters renew both files, so the client reads them again before each request.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use url::Url;

use crate::auth::document::{LoadError, MAX_BYTES, read_file};
use crate::auth::settings::Access;
use crate::domain::loopback::is_loopback;
use crate::egress::{self, Failure, Trust};

/// The accepted media types of a document.
///
/// The second one is the type of a JWKS (RFC 7517). A Kubernetes API server answers 406 to a client that accepts only
/// the first one.
const ACCEPTED: &str = "application/json, application/jwk-set+json";

/// The HTTP client for one issuer.
pub(super) struct HttpClient(Arc<Inner>);

struct Inner {
    client: egress::Client,
    token_file: Option<PathBuf>,
}

/// A client with the certificates and the token that the files have now.
pub(super) struct PreparedClient {
    client: Client,
    headers: HeaderMap,
}

impl HttpClient {
    /// Creates a client and checks its settings. The files that they name must be usable now.
    pub(super) fn new(address: &Url, access: Access) -> anyhow::Result<Self> {
        let Access {
            trust,
            token_file,
            proxies,
        } = access;
        ensure!(
            token_file.is_none() || matches!(trust, Trust::Only(_)),
            "its `token_file` needs a `ca_file`: the service sends the token only to servers that this CA certifies"
        );
        ensure!(
            trust == Trust::Public || address.scheme() == "https",
            "its `ca_file` is for https, but its address is not https"
        );
        // An issuer on this machine may have http addresses, and no other may.
        let https_only = !is_loopback(address) || trust != Trust::Public;
        let client = egress::Client::new(trust, Some(proxies), move || {
            // No redirects, so that it calls only the configured address.
            Client::builder()
                .https_only(https_only)
                .redirect(Policy::none())
                .user_agent("numberdesk")
        })?;
        let inner = Inner { client, token_file };
        let _ = inner.prepare()?;
        Ok(Self(Arc::new(inner)))
    }

    /// Reads certificates and token again, and returns a client with them.
    pub(super) async fn prepare(&self) -> Result<PreparedClient, LoadError> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.prepare())
            .await
            .unwrap_or_else(|stopped| Err(LoadError::File(std::io::Error::other(stopped))))
    }
}

impl Inner {
    fn prepare(&self) -> Result<PreparedClient, LoadError> {
        self.client.reload()?;
        let mut headers = HeaderMap::new();
        if let Some(file) = &self.token_file {
            let unreadable = |cause| LoadError::Access("its `token_file` can't be read", Some(cause));
            let token = read_file(file).map_err(unreadable)?;
            headers.insert(AUTHORIZATION, bearer(&token)?);
        }
        Ok(PreparedClient {
            client: self.client.current(),
            headers,
        })
    }
}

impl PreparedClient {
    /// Fetches the document at `url`, at most [`MAX_BYTES`].
    ///
    /// A redirect, or any other status than 200, is an error.
    pub(super) async fn fetch(&self, url: Url) -> Result<Vec<u8>, LoadError> {
        let unreachable = |error: reqwest::Error| LoadError::Unreachable(Failure::of(&error));
        let mut response = self
            .client
            .get(url)
            .header(ACCEPT, ACCEPTED)
            .headers(self.headers.clone())
            .send()
            .await
            .map_err(unreachable)?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(LoadError::Redirect),
            status => return Err(LoadError::Status(status)),
        }
        if response
            .content_length()
            .is_some_and(|length| length > MAX_BYTES as u64)
        {
            return Err(LoadError::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(LoadError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Returns the `Authorization` header, marked as sensitive so that debug output hides it.
fn bearer(token: &[u8]) -> Result<HeaderValue, LoadError> {
    let token = token.trim_ascii();
    let header = HeaderValue::from_bytes(&[b"Bearer ", token].concat());
    match header {
        Ok(mut header) if !token.is_empty() && token.iter().all(u8::is_ascii_graphic) => {
            header.set_sensitive(true);
            Ok(header)
        }
        _ => Err(LoadError::Access("its `token_file` has no token", None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_no_spaces_and_is_never_printed() {
        let header = bearer(b" eyJ.canary.sig\n").unwrap();
        assert_eq!(header, "Bearer eyJ.canary.sig");
        assert!(!format!("{header:?}").contains("canary"));
        for bad in [&b""[..], b"\n", b"a b", b"a\nb", b"caf\xc3\xa9", b"a\0b"] {
            assert!(bearer(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn access_files_must_be_usable_and_fit_the_address() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let new = |address: &str, ca_file: Option<PathBuf>, token_file| {
            let access = Access {
                trust: ca_file.map_or(Trust::Public, Trust::Only),
                token_file,
                ..Access::default()
            };
            let client = HttpClient::new(&address.parse().unwrap(), access);
            client.err().map(|fault| format!("{fault:#}")).unwrap_or_default()
        };
        let (https, token) = (
            "https://kubernetes.default.svc/openid/v1/jwks",
            file("token", "t"),
        );
        assert_eq!(new(https, None, None), "");
        assert!(new(https, None, token.clone()).contains("needs a `ca_file`"));
        for unusable in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let error = new(https, file("ca", unusable), token.clone());
            assert!(error.contains("no certificate"), "{unusable}: {error}");
        }
        let nowhere = Some(folder.path().join("nowhere"));
        assert!(new(https, nowhere, None).contains("`ca_file` can't be read"));
        assert!(new("http://127.0.0.1:1/jwks", file("ca", ""), None).contains("is for https"));
    }
}
