//! How an issuer's address is asked: whose certificates are believed, and which token is shown. Both are read anew each
//! time, because clusters renew them; knows nothing of what is asked for.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, StatusCode};
use url::Url;

use crate::auth::issuer::Access;
use crate::auth::source::{Fault, MAX_BYTES, read};
use crate::domain::loopback::is_loopback;

/// The second is what RFC 7517 calls a JWKS: API servers of Kubernetes answer 406 to who takes the first alone.
const ACCEPTED: &str = "application/json, application/jwk-set+json";

/// The way to one issuer.
pub(super) enum Door {
    /// Anybody's: whom the system trusts, and no token.
    Public(Client),
    /// A cluster's own.
    Private(Arc<Private>),
}

/// What it takes to be let in, as files have it.
pub(super) struct Private {
    loopback: bool,
    ca_file: PathBuf,
    token_file: Option<PathBuf>,
}

/// Someone who may ask now.
pub(super) struct Asker {
    client: Client,
    headers: HeaderMap,
}

impl Door {
    /// Files that are named must be usable now.
    pub(super) fn open(address: &Url, access: Access) -> anyhow::Result<Self> {
        let loopback = is_loopback(address);
        let Some(ca_file) = access.ca_file else {
            ensure!(
                access.token_file.is_none(),
                "a token is shown only to whom an authority of its own vouches for: it needs a `ca_file`"
            );
            let client = client(loopback).https_only(!loopback).build();
            return Ok(Self::Public(client.context("no HTTP client can be made")?));
        };
        ensure!(
            address.scheme() == "https",
            "a `ca_file` is for https, and its address is not"
        );
        let private = Private {
            loopback,
            ca_file,
            token_file: access.token_file,
        };
        // What is read here is not kept; it must only be there.
        let _ = private.enter()?;
        Ok(Self::Private(Arc::new(private)))
    }

    /// Someone who may ask, with certificates and token as they are now.
    pub(super) async fn enter(&self) -> Result<Asker, Fault> {
        match self {
            Self::Public(client) => Ok(Asker {
                client: client.clone(),
                headers: HeaderMap::new(),
            }),
            Self::Private(private) => {
                let private = Arc::clone(private);
                tokio::task::spawn_blocking(move || private.enter())
                    .await
                    .unwrap_or_else(|stopped| Err(Fault::File(std::io::Error::other(stopped))))
            }
        }
    }
}

impl Private {
    fn enter(&self) -> Result<Asker, Fault> {
        let unreadable = |what| move |cause| Fault::Access(what, Some(cause));
        let pem = read(&self.ca_file).map_err(unreadable("its `ca_file` can't be read"))?;
        let unusable = || Fault::Access("its `ca_file` holds no certificate in PEM that can be used", None);
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|_| unusable())?;
        if authorities.is_empty() {
            return Err(unusable());
        }
        let client = client(self.loopback).https_only(true).tls_certs_only(authorities);
        let mut headers = HeaderMap::new();
        if let Some(file) = &self.token_file {
            let token = read(file).map_err(unreadable("its `token_file` can't be read"))?;
            headers.insert(AUTHORIZATION, bearer(&token)?);
        }
        Ok(Asker {
            client: client.build().map_err(|_| unusable())?,
            headers,
        })
    }
}

impl Asker {
    /// What stands there, within bounds.
    pub(super) async fn fetch(&self, url: Url) -> Result<Vec<u8>, Fault> {
        let unreachable = |error: reqwest::Error| Fault::Unreachable(error.without_url());
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
            status if status.is_redirection() => return Err(Fault::Redirect),
            status => return Err(Fault::Status(status)),
        }
        if response
            .content_length()
            .is_some_and(|length| length > MAX_BYTES as u64)
        {
            return Err(Fault::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(Fault::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Redirects are refused: the address that was reviewed is the one that is asked.
fn client(loopback: bool) -> ClientBuilder {
    let builder = Client::builder()
        .redirect(Policy::none())
        .user_agent("numberdesk");
    if loopback { builder.no_proxy() } else { builder }
}

/// The header that shows the token. It is marked, so that nobody prints it.
fn bearer(token: &[u8]) -> Result<HeaderValue, Fault> {
    let token = token.trim_ascii();
    let header = HeaderValue::from_bytes(&[b"Bearer ", token].concat());
    match header {
        Ok(mut header) if !token.is_empty() && token.iter().all(u8::is_ascii_graphic) => {
            header.set_sensitive(true);
            Ok(header)
        }
        _ => Err(Fault::Access("its `token_file` holds no token", None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_is_never_printed() {
        let header = bearer(b" eyJ.canary.sig\n").unwrap();
        assert_eq!(header, "Bearer eyJ.canary.sig");
        assert!(!format!("{header:?}").contains("canary"));
        for bad in [&b""[..], b"\n", b"a b", b"a\nb", b"caf\xc3\xa9", b"a\0b"] {
            assert!(bearer(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_door_needs_is_there_from_the_start_and_goes_with_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let open = |address: &str, ca_file, token_file| {
            let access = Access { ca_file, token_file };
            let door = Door::open(&address.parse().unwrap(), access);
            door.err().map(|fault| format!("{fault:#}")).unwrap_or_default()
        };
        let (https, token) = (
            "https://kubernetes.default.svc/openid/v1/jwks",
            file("token", "t"),
        );
        assert_eq!(open(https, None, None), "");
        assert!(open(https, None, token.clone()).contains("needs a `ca_file`"));
        for useless in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let said = open(https, file("ca", useless), token.clone());
            assert!(said.contains("no certificate"), "{useless}: {said}");
        }
        let nowhere = Some(folder.path().join("nowhere"));
        assert!(open(https, nowhere, None).contains("`ca_file` can't be read"));
        assert!(open("http://127.0.0.1:1/jwks", file("ca", ""), None).contains("is for https"));
    }
}
