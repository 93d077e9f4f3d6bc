//! The connection to Close: its settings, and the HTTP clients that they make.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use url::Url;

use crate::egress::{Client, Proxies, Trust, TrustError};

/// Where Close is and how long it may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Such as `https://api.close.com/api/v1`; http or https, without user, query and fragment.
    pub base_url: Url,
    /// The deadline of one call, from its first byte to its last, with its retries and pauses.
    pub timeout: Duration,
    /// The proxies by which Close is reached.
    pub proxies: Proxies,
    /// A file with authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// Returns settings for a Close that is reached directly, with the authorities of the system.
    pub fn new(base_url: Url, timeout: Duration) -> Self {
        Self {
            base_url,
            timeout,
            proxies: Proxies::default(),
            ca_file: None,
        }
    }
}

/// The HTTP clients of one connection.
pub(super) struct Clients {
    /// For idempotent calls: reuses connections.
    pooled: Client,
    /// For calls that must be sent at most once: a new connection each, because hyper sends a request again by itself
    /// if a reused connection turns out to be closed.
    single_use: Client,
}

impl Clients {
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let Settings {
            base_url,
            timeout,
            proxies,
            ca_file,
        } = settings;
        ensure!(
            matches!(base_url.scheme(), "http" | "https") && base_url.has_host(),
            "Close's base URL must begin with https:// or http:// and name a host"
        );
        ensure!(
            base_url.username().is_empty() && base_url.password().is_none(),
            "Close's base URL must not contain a user or a password: the key is sent in a header"
        );
        ensure!(
            base_url.query().is_none() && base_url.fragment().is_none(),
            "Close's base URL must not have a query or a fragment"
        );
        ensure!(!timeout.is_zero(), "Close's timeout must be longer than 0s");
        let encrypted = base_url.scheme() == "https";
        // Without TLS there is no need to load the system's certificates.
        let trust = if encrypted {
            Trust::beside(ca_file.clone())
        } else {
            Trust::NoTls
        };
        // Shorter than the deadline, so that a failed connection is known to have sent nothing. A proxy opens a tunnel
        // within this time, so the key goes only to the configured host.
        let connect_timeout = (*timeout / 3).min(Duration::from_secs(10));
        let client = |recipe: fn(ClientBuilder) -> ClientBuilder| {
            Client::new(trust.clone(), Some(proxies.clone()), move || {
                let builder = reqwest::Client::builder()
                    .https_only(encrypted)
                    .http1_only()
                    .redirect(Policy::none())
                    .retry(reqwest::retry::never())
                    .referer(false)
                    .connect_timeout(connect_timeout);
                recipe(builder)
            })
        };
        Ok(Self {
            pooled: client(|builder| builder.pool_idle_timeout(Duration::from_secs(30)))?,
            single_use: client(|builder| builder.pool_max_idle_per_host(0))?,
        })
    }

    /// Returns the client for a call that may be repeated, or for one that may not.
    pub(super) fn current(&self, idempotent: bool) -> reqwest::Client {
        if idempotent {
            self.pooled.current()
        } else {
            self.single_use.current()
        }
    }

    /// Reads the file of authorities again. With an unusable one, the last good authorities stay.
    pub(super) fn reload_authorities(&self) -> Result<(), TrustError> {
        self.pooled.reload()?;
        self.single_use.reload()
    }
}
