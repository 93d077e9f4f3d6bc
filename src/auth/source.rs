//! Where a JWKS comes from: an address, a file, or what the issuer's discovery document names. Brings bytes within
//! bounds of time and size; knows nothing of what the keys are, or how an address is asked.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use reqwest::StatusCode;
use url::Url;

use crate::auth::http_client::Door;
use crate::auth::issuer::{Access, check_address};
use crate::domain::input::json;
use crate::domain::loopback::is_loopback;

/// For everything that one load asks, discovery included.
const DEADLINE: Duration = Duration::from_secs(5);
pub(super) const MAX_BYTES: usize = 1024 * 1024;

pub(super) enum Source {
    Url {
        url: Url,
        door: Door,
    },
    File {
        path: PathBuf,
    },
    Discovery {
        issuer: String,
        document: Url,
        door: Door,
    },
}

/// Why no document came. The address is left out: it is known, and errors travel further than settings.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the issuer did not answer within {} s", DEADLINE.as_secs())]
    Slow,
    #[error("the issuer can't be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the issuer answered with status {0}")]
    Status(StatusCode),
    #[error("the issuer answered with a redirect, which is not followed")]
    Redirect,
    #[error("the document is larger than 1 MiB")]
    TooLarge,
    #[error("the file can't be read")]
    File(#[source] std::io::Error),
    #[error("{0}")]
    Access(&'static str, #[source] Option<std::io::Error>),
    #[error("the discovery document {0}")]
    Discovery(&'static str),
}

impl Source {
    pub(super) fn url(url: Url, access: Access) -> anyhow::Result<Self> {
        check_address(&url)?;
        let door = Door::open(&url, access)?;
        Ok(Self::Url { url, door })
    }

    pub(super) fn file(path: PathBuf) -> Self {
        Self::File { path }
    }

    /// `OpenID` Connect Discovery 1.0, section 4.
    pub(super) fn discovery(issuer: &str, access: Access) -> anyhow::Result<Self> {
        let document = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let document: Url = document
            .parse()
            .context("without address or file of its keys it must be a URL")?;
        check_address(&document)?;
        let door = Door::open(&document, access)?;
        Ok(Self::Discovery {
            issuer: issuer.to_owned(),
            document,
            door,
        })
    }

    /// The word for it in metrics and reports.
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

    /// The JWKS as it is now.
    pub(super) async fn load(&self) -> Result<Vec<u8>, Fault> {
        let loaded = async {
            match self {
                Self::Url { url, door } => door.enter().await?.fetch(url.clone()).await,
                Self::File { path } => {
                    let path = path.clone();
                    tokio::task::spawn_blocking(move || read(&path).map_err(Fault::File))
                        .await
                        .unwrap_or_else(|stopped| Err(Fault::File(std::io::Error::other(stopped))))
                }
                Self::Discovery {
                    issuer,
                    document,
                    door,
                } => {
                    let asker = door.enter().await?;
                    let configuration = asker.fetch(document.clone()).await?;
                    let keys = keys_of(&configuration, issuer, is_loopback(document))?;
                    asker.fetch(keys).await
                }
            }
        };
        tokio::time::timeout(DEADLINE, loaded)
            .await
            .unwrap_or(Err(Fault::Slow))
    }

    /// A file's content, at start; other sources have none yet.
    pub(super) fn at_hand(&self) -> Option<Result<Vec<u8>, Fault>> {
        match self {
            Self::File { path } => Some(read(path).map_err(Fault::File)),
            Self::Url { .. } | Self::Discovery { .. } => None,
        }
    }
}

/// A small file's content.
pub(super) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        Err(std::io::Error::other("it is larger than 1 MiB"))
    } else {
        Ok(bytes)
    }
}

/// The address of the keys. A document that speaks for another issuer, or sends a remote issuer's keys over plain
/// HTTP or to this machine, is not believed.
fn keys_of(configuration: &[u8], issuer: &str, loopback: bool) -> Result<Url, Fault> {
    let document = json::parse(configuration).map_err(|_| Fault::Discovery("is not JSON"))?;
    let member = |name: &str| document.get(name).and_then(serde_json::Value::as_str);
    if member("issuer") != Some(issuer) {
        return Err(Fault::Discovery("is for another issuer"));
    }
    let keys: Url = member("jwks_uri")
        .and_then(|uri| uri.parse().ok())
        .ok_or(Fault::Discovery("has no address in `jwks_uri`"))?;
    if check_address(&keys).is_err() || (is_loopback(&keys) && !loopback) {
        return Err(Fault::Discovery(
            "has a `jwks_uri` that is not taken: it must be https and no loopback host",
        ));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovery_document_is_believed_only_about_its_own_issuer() {
        let document = |issuer: &str, keys: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
        let read = |issuer: &str, keys: &str, loopback| {
            keys_of(document(issuer, keys).as_bytes(), "https://a.example/", loopback).is_ok()
        };
        assert!(read("https://a.example/", "https://keys.example/jwks", false));
        assert!(read("https://a.example/", "http://127.0.0.1:9/jwks", true));
        assert!(!read("https://a.example", "https://keys.example/jwks", false));
        assert!(!read("https://b.example/", "https://keys.example/jwks", false));
        assert!(!read("https://a.example/", "http://keys.example/jwks", false));
        assert!(!read("https://a.example/", "http://127.0.0.1:9/jwks", false));
        assert!(!read("https://a.example/", "https://localhost/jwks", false));
        assert!(!read("https://a.example/", "file:///etc/passwd", true));
        assert!(keys_of(br#"{"issuer":"https://a.example/"}"#, "https://a.example/", false).is_err());
    }
}
