//! The HTTP client for one issuer's documents, with a private CA and a bearer token if the issuer needs them.
//!
//! Clusters renew both files, so the client reads them again before each request.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, StatusCode};
use url::Url;

use crate::auth::document::{LoadError, MAX_BYTES, read_file};
use crate::auth::settings::Access;
use crate::domain::loopback::is_loopback;

/// The accepted media types of a document.
///
/// The second one is the type of a JWKS (RFC 7517). A Kubernetes API server answers 406 to a client that accepts only
/// the first one.
const ACCEPTED: &str = "application/json, application/jwk-set+json";

/// The HTTP client for one issuer.
pub(super) enum HttpClient {
    /// Trusts the system's authorities and sends no token.
    Public(Client),
    /// Trusts the authorities of a file, and may send a token.
    Private(Arc<Private>),
}

/// The files of a private client.
pub(super) struct Private {
    loopback: bool,
    ca_file: PathBuf,
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
        let loopback = is_loopback(address);
        let Some(ca_file) = access.ca_file else {
            ensure!(
                access.token_file.is_none(),
                "its `token_file` needs a `ca_file`: the service sends the token only to servers that this CA certifies"
            );
            let client = client(loopback).https_only(!loopback).build();
            return Ok(Self::Public(client.context("the HTTP client can't be built")?));
        };
        ensure!(
            address.scheme() == "https",
            "its `ca_file` is for https, but its address is not https"
        );
        let private = Private {
            loopback,
            ca_file,
            token_file: access.token_file,
        };
        let _ = private.prepare()?;
        Ok(Self::Private(Arc::new(private)))
    }

    /// Reads certificates and token again, and returns a client with them.
    pub(super) async fn prepare(&self) -> Result<PreparedClient, LoadError> {
        match self {
            Self::Public(client) => Ok(PreparedClient {
                client: client.clone(),
                headers: HeaderMap::new(),
            }),
            Self::Private(private) => {
                let private = Arc::clone(private);
                tokio::task::spawn_blocking(move || private.prepare())
                    .await
                    .unwrap_or_else(|stopped| Err(LoadError::File(std::io::Error::other(stopped))))
            }
        }
    }
}

impl Private {
    fn prepare(&self) -> Result<PreparedClient, LoadError> {
        let unreadable = |what| move |cause| LoadError::Access(what, Some(cause));
        let pem = read_file(&self.ca_file).map_err(unreadable("its `ca_file` can't be read"))?;
        let unusable = || LoadError::Access("its `ca_file` has no certificate in PEM that can be used", None);
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|_| unusable())?;
        if authorities.is_empty() {
            return Err(unusable());
        }
        let client = client(self.loopback).https_only(true).tls_certs_only(authorities);
        let mut headers = HeaderMap::new();
        if let Some(file) = &self.token_file {
            let token = read_file(file).map_err(unreadable("its `token_file` can't be read"))?;
            headers.insert(AUTHORIZATION, bearer(&token)?);
        }
        Ok(PreparedClient {
            client: client.build().map_err(|_| unusable())?,
            headers,
        })
    }
}

impl PreparedClient {
    /// Fetches the document at `url`, at most [`MAX_BYTES`].
    ///
    /// A redirect, or any other status than 200, is an error.
    pub(super) async fn fetch(&self, url: Url) -> Result<Vec<u8>, LoadError> {
        let unreachable = |error: reqwest::Error| LoadError::Unreachable(error.without_url());
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

/// Returns a builder whose client follows no redirects, so that it calls only the configured address.
fn client(loopback: bool) -> ClientBuilder {
    let builder = Client::builder()
        .redirect(Policy::none())
        .user_agent("numberdesk");
    if loopback { builder.no_proxy() } else { builder }
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
        let new = |address: &str, ca_file, token_file| {
            let access = Access { ca_file, token_file };
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
