//! The source of an issuer's JWKS: an address, a file, or the address that its discovery document names.
//!
//! It loads bytes within limits of time and size, and does not parse the JWKS.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use url::Url;

use crate::auth::document::{LOAD_TIMEOUT, LoadError, read_file};
use crate::auth::http_client::HttpClient;
use crate::auth::settings::Access;
use crate::domain::input::json;
use crate::domain::loopback::is_loopback;

/// The most characters of another issuer's name in an error.
const MAX_SHOWN: usize = 200;

/// Where a JWKS is loaded from.
pub(super) enum Source {
    Url {
        url: Url,
        client: HttpClient,
    },
    File {
        path: PathBuf,
    },
    Discovery {
        issuer: String,
        document: Url,
        client: HttpClient,
    },
}

impl Source {
    /// Creates a source at an address, which must be https unless the host is loopback.
    pub(super) fn url(url: Url, access: Access) -> anyhow::Result<Self> {
        check_address(&url)?;
        let client = HttpClient::new(&url, access)?;
        Ok(Self::Url { url, client })
    }

    /// Creates a source from a file.
    pub(super) fn file(path: PathBuf) -> Self {
        Self::File { path }
    }

    /// Creates a source from the issuer's discovery document (`OpenID` Connect Discovery 1.0, section 4).
    pub(super) fn discovery(issuer: &str, access: Access) -> anyhow::Result<Self> {
        let document = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let document: Url = document
            .parse()
            .context("the issuer must be a URL, because neither `jwks_url` nor `jwks_file` is set")?;
        check_address(&document)?;
        let client = HttpClient::new(&document, access)?;
        Ok(Self::Discovery {
            issuer: issuer.to_owned(),
            document,
            client,
        })
    }

    /// Returns the name of this kind of source in reports.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Url { .. } => "url",
            Self::File { .. } => "file",
            Self::Discovery { .. } => "discovery",
        }
    }

    pub(super) const fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// Loads the JWKS.
    pub(super) async fn load(&self) -> Result<Vec<u8>, LoadError> {
        let loaded = async {
            match self {
                Self::Url { url, client } => client.prepare().await?.fetch(url.clone()).await,
                Self::File { path } => {
                    let path = path.clone();
                    tokio::task::spawn_blocking(move || read_file(&path).map_err(LoadError::File))
                        .await
                        .unwrap_or_else(|stopped| Err(LoadError::File(std::io::Error::other(stopped))))
                }
                Self::Discovery {
                    issuer,
                    document,
                    client,
                } => {
                    let client = client.prepare().await?;
                    let configuration = client.fetch(document.clone()).await?;
                    let keys = jwks_uri(&configuration, issuer, is_loopback(document))?;
                    client.fetch(keys).await
                }
            }
        };
        tokio::time::timeout(LOAD_TIMEOUT, loaded)
            .await
            .unwrap_or(Err(LoadError::Timeout))
    }

    /// Loads a file synchronously, at start; `None` for other sources, which need the network.
    pub(super) fn load_file(&self) -> Option<Result<Vec<u8>, LoadError>> {
        match self {
            Self::File { path } => Some(read_file(path).map_err(LoadError::File)),
            Self::Url { .. } | Self::Discovery { .. } => None,
        }
    }
}

/// Checks that keys may be fetched from an address: over TLS, or from this machine.
fn check_address(url: &Url) -> anyhow::Result<()> {
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "its address contains a user name or a password"
    );
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        _ => bail!("its address must be https (http is for loopback only)"),
    }
}

/// Reads the address of the keys from a discovery document.
///
/// Refuses a document of another issuer. Refuses the document of a remote issuer if it names a plain HTTP address, or
/// an address of this machine.
fn jwks_uri(configuration: &[u8], issuer: &str, loopback: bool) -> Result<Url, LoadError> {
    let document = json::parse(configuration).map_err(|_| LoadError::Discovery("is not JSON"))?;
    let member = |name: &str| document.get(name).and_then(serde_json::Value::as_str);
    match document.get("issuer") {
        None => return Err(LoadError::Discovery("has no `issuer`")),
        Some(named) if named == issuer => {}
        // Often, the two differ only in a slash at the end.
        Some(named) => {
            let named: String = named
                .as_str()
                .unwrap_or_default()
                .chars()
                .take(MAX_SHOWN)
                .collect();
            return Err(LoadError::OtherIssuer(named.escape_debug().to_string()));
        }
    }
    let keys: Url = member("jwks_uri")
        .and_then(|uri| uri.parse().ok())
        .ok_or(LoadError::Discovery("has no address in `jwks_uri`"))?;
    if check_address(&keys).is_err() || (is_loopback(&keys) && !loopback) {
        return Err(LoadError::Discovery(
            "has a `jwks_uri` that is not https, or names a loopback host",
        ));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovery_document_is_used_only_for_its_own_issuer() {
        let document = |issuer: &str, keys: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
        let read = |issuer: &str, keys: &str, loopback| {
            jwks_uri(document(issuer, keys).as_bytes(), "https://a.example/", loopback).is_ok()
        };
        assert!(read("https://a.example/", "https://keys.example/jwks", false));
        assert!(read("https://a.example/", "http://127.0.0.1:9/jwks", true));
        assert!(!read("https://a.example", "https://keys.example/jwks", false));
        assert!(!read("https://b.example/", "https://keys.example/jwks", false));
        assert!(!read("https://a.example/", "http://keys.example/jwks", false));
        assert!(!read("https://a.example/", "http://127.0.0.1:9/jwks", false));
        assert!(!read("https://a.example/", "https://localhost/jwks", false));
        assert!(!read("https://a.example/", "file:///etc/passwd", true));
        assert!(jwks_uri(br#"{"issuer":"https://a.example/"}"#, "https://a.example/", false).is_err());
        assert!(jwks_uri(b"{}", "https://a.example/", false).is_err());
        let slash = document("https://a.example/", "https://keys.example/jwks");
        let error = jwks_uri(slash.as_bytes(), "https://a.example", false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the discovery document is of the issuer `https://a.example/`: the setting `issuer` must be exactly that \
             text"
        );
    }

    #[test]
    fn keys_are_fetched_only_over_tls_or_from_this_machine() {
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
}
