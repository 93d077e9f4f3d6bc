//! An HTTP client whose trusted authorities follow a file.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use arc_swap::ArcSwap;
use reqwest::{Certificate, ClientBuilder};

use crate::egress::proxies::Proxies;

/// The largest file of authorities that is read. The list of all public ones is a quarter of it.
const MAX_BYTES: u64 = 1 << 20;

/// The authorities that a client trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those of the system: the public ones.
    Public,
    /// Those of the system, and those of this file in PEM.
    Also(PathBuf),
    /// Only those of this file.
    Only(PathBuf),
    /// None: the client uses no TLS, so it need not load any.
    NoTls,
}

impl Trust {
    /// Returns the trust in the system's authorities, and in those of the file if there is one.
    pub fn beside(file: Option<PathBuf>) -> Self {
        file.map_or(Self::Public, Self::Also)
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::Also(file) | Self::Only(file) => Some(file),
            Self::Public | Self::NoTls => None,
        }
    }
}

/// Why a file of authorities is unusable.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It can't be read.
    #[error("`ca_file` can't be read")]
    Unreadable(#[source] io::Error),
    /// It has no certificate.
    #[error("`ca_file` has no certificate in PEM that can be used")]
    NoCertificate,
    /// No client can be built, such as on a system without trusted authorities.
    #[error("the HTTP client can't be built")]
    Client(#[source] reqwest::Error),
}

/// An HTTP client that is built again when its file of authorities changes.
pub struct Client {
    recipe: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    proxies: Option<Proxies>,
    trust: Trust,
    current: ArcSwap<Built>,
}

struct Built {
    client: reqwest::Client,
    /// The content of the file of authorities.
    pem: Vec<u8>,
}

impl Client {
    /// Builds a client. `recipe` holds all other settings; without `proxies`, no request goes by a proxy.
    ///
    /// The file of authorities must be usable now.
    pub fn new(
        trust: Trust,
        proxies: Option<Proxies>,
        recipe: impl Fn() -> ClientBuilder + Send + Sync + 'static,
    ) -> Result<Self, TrustError> {
        let pem = read(&trust)?;
        let client = build(recipe(), &trust, proxies.as_ref(), &pem)?;
        Ok(Self {
            recipe: Box::new(recipe),
            proxies,
            trust,
            current: ArcSwap::from_pointee(Built { client, pem }),
        })
    }

    /// Returns the client with the authorities that were read last.
    pub fn current(&self) -> reqwest::Client {
        self.current.load().client.clone()
    }

    /// Reads the file of authorities, if there is one, and trusts those that it has now.
    ///
    /// With an unusable file, the last good authorities stay. It blocks while it reads.
    pub fn reload(&self) -> Result<(), TrustError> {
        let pem = read(&self.trust)?;
        if pem != self.current.load().pem {
            let client = build((self.recipe)(), &self.trust, self.proxies.as_ref(), &pem)?;
            self.current.store(Built { client, pem }.into());
        }
        Ok(())
    }
}

fn build(
    builder: ClientBuilder,
    trust: &Trust,
    proxies: Option<&Proxies>,
    pem: &[u8],
) -> Result<reqwest::Client, TrustError> {
    let authorities = || match Certificate::from_pem_bundle(pem) {
        Ok(authorities) if !authorities.is_empty() => Ok(authorities),
        Ok(_) | Err(_) => Err(TrustError::NoCertificate),
    };
    // Without this call, the client would read the variables itself, and not except loopback.
    let builder = builder.no_proxy();
    let builder = match proxies {
        Some(proxies) => builder.proxy(proxies.of_client()),
        None => builder,
    };
    let builder = match trust {
        Trust::Public => builder,
        Trust::Also(_) => builder.tls_certs_merge(authorities()?),
        Trust::Only(_) => builder.tls_certs_only(authorities()?),
        Trust::NoTls => builder.tls_certs_only([]),
    };
    match (builder.build(), trust) {
        (Ok(client), _) => Ok(client),
        // The bytes of a certificate are first read here.
        (Err(_), Trust::Also(_) | Trust::Only(_)) => Err(TrustError::NoCertificate),
        (Err(error), _) => Err(TrustError::Client(error)),
    }
}

fn read(trust: &Trust) -> Result<Vec<u8>, TrustError> {
    let mut pem = Vec::new();
    let Some(file) = trust.file() else {
        return Ok(pem);
    };
    let file = std::fs::File::open(file).map_err(TrustError::Unreadable)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut pem)
        .map_err(TrustError::Unreadable)?;
    if pem.len() as u64 > MAX_BYTES {
        return Err(TrustError::Unreadable(io::Error::other(
            "it is larger than 1 MiB",
        )));
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_file_is_an_error_at_start_and_keeps_the_last_good_authorities_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        let open = || Client::new(Trust::Also(file.clone()), None, reqwest::Client::builder);
        assert!(matches!(open(), Err(TrustError::Unreadable(_))));
        for text in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, text).unwrap();
            assert!(matches!(open(), Err(TrustError::NoCertificate)), "{text}");
        }
        let authority = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec!["ca.example".to_owned()]).unwrap();
            params.self_signed(&key).unwrap().pem()
        };
        std::fs::write(&file, authority()).unwrap();
        let client = open().unwrap();
        let before = client.current.load_full();
        client.reload().unwrap();
        assert!(std::sync::Arc::ptr_eq(&before, &client.current.load_full()));
        std::fs::write(&file, "half a certif").unwrap();
        client.reload().unwrap_err();
        assert!(std::sync::Arc::ptr_eq(&before, &client.current.load_full()));
        std::fs::write(&file, authority()).unwrap();
        client.reload().unwrap();
        assert!(!std::sync::Arc::ptr_eq(&before, &client.current.load_full()));
    }
}
