//! Outgoing webhooks: the allow-list of destinations, the signatures and the HTTP client.
//!
//! This module sends single requests. `desk` selects the receiver and decides when to retry.

mod allow;
mod forward;
mod send;
mod sign;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use secrecy::SecretString;
use tracing::Instrument as _;
use url::Url;

use crate::domain::id::{EndpointId, EventId};
use crate::domain::time::Timestamp;
use crate::egress::{Proxies, TrustError};
use crate::telemetry::context;

pub use crate::outgoing::allow::{Forbidden, Rules};
pub use crate::outgoing::forward::{Forwarder, LocalSecret, NotASecret};
pub use crate::outgoing::send::{Answer, Lookup, RetryAfter, system_lookup};

/// The operator's settings for outgoing webhooks.
pub struct Settings {
    /// The allowed destinations.
    pub rules: Rules,
    /// The master secret, from which every endpoint's secret is derived.
    pub secret: Option<SecretString>,
    /// A file with authorities to trust for receivers, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxies for https receivers; `None` if no webhook may go by a proxy.
    ///
    /// The proxy resolves the receiver's name again, so the service can't ensure that it connects to the addresses that
    /// the rules have allowed.
    pub proxies: Option<Proxies>,
    /// The timeout of one attempt.
    pub timeout: Duration,
    /// How long a delivery is retried.
    pub retry_for: Duration,
    /// How long the previous secret still signs after a rotation.
    pub overlap: Duration,
}

/// One attempt to deliver an event.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The receiver's URL.
    pub url: &'a Url,
    /// The endpoint's id.
    pub endpoint: &'a EndpointId,
    /// The generations of the secrets that sign it.
    pub generations: &'a [i64],
    /// The event's id, the same in every attempt.
    pub event: &'a EventId,
    /// The time of this attempt, which the signature covers.
    pub at: Timestamp,
    /// The event as JSON.
    pub body: &'a str,
}

/// The sender of outgoing webhooks. Clones share its state.
#[derive(Clone)]
pub struct Outgoing(Arc<Inner>);

struct Inner {
    sender: send::Sender,
    master: ArcSwapOption<SecretString>,
    /// Whether the settings allow any destination.
    has_destinations: bool,
    timeout: Duration,
    retry_for: Duration,
    overlap: Duration,
}

impl Outgoing {
    /// Creates a sender. It fails if the system has no trusted certificates.
    pub fn new(settings: Settings, lookup: Lookup) -> anyhow::Result<Self> {
        let Settings {
            rules,
            secret,
            ca_file,
            proxies,
            timeout,
            retry_for,
            overlap,
        } = settings;
        Ok(Self(Arc::new(Inner {
            has_destinations: !rules.hosts.is_empty() || !rules.networks.is_empty(),
            sender: send::Sender::new(rules, lookup, timeout, ca_file, proxies)?,
            master: ArcSwapOption::from_pointee(secret),
            timeout,
            retry_for,
            overlap,
        })))
    }

    /// Returns the names of missing settings, if outgoing webhooks are disabled.
    pub fn missing(&self) -> Option<&'static str> {
        if self.0.master.load().is_none() {
            Some("webhooks.secret_file")
        } else if !self.0.has_destinations {
            Some("webhooks.hosts or webhooks.networks")
        } else {
            None
        }
    }

    /// Reads the file of authorities again. With an unusable one, the last good authorities stay.
    pub fn reload_authorities(&self) -> Result<(), TrustError> {
        self.0.sender.reload_authorities()
    }

    /// Replaces the master secret from which the endpoints' secrets are derived.
    pub fn replace_master(&self, master: SecretString) {
        self.0.master.store(Some(Arc::new(master)));
    }

    /// Checks whether the rules allow the URL at this moment.
    ///
    /// The addresses of a host can change. Every attempt therefore checks the URL again.
    pub async fn check(&self, url: &Url) -> Result<(), Forbidden> {
        self.0.sender.check(url).await
    }

    /// Returns what the rules allow, if that is only this machine, as in development.
    ///
    /// Anywhere else the rules could name internal hosts, which an app's developer need not know.
    pub fn local_destinations(&self) -> Option<String> {
        self.0.sender.local_destinations()
    }

    /// Returns the secret of an endpoint, `whsec_…`; `None` without a master secret.
    pub fn secret(&self, endpoint: &EndpointId, generation: i64) -> Option<SecretString> {
        let master = self.0.master.load();
        Some(sign::encode(sign::key(master.as_deref()?, endpoint, generation)))
    }

    /// Sends one request, without retries.
    pub async fn send(&self, message: &Message<'_>) -> Answer {
        let Message {
            url,
            endpoint,
            generations,
            event,
            at,
            body,
        } = *message;
        let master = self.0.master.load_full();
        let Some(master) = master else {
            return Answer::Failed("there is no master secret to sign with".to_owned());
        };
        let keys: Vec<_> = generations
            .iter()
            .map(|generation| sign::key(&master, endpoint, *generation))
            .collect();
        let mut headers = send::headers(event, at, sign::signatures(&keys, event, at, body));
        let span = tracing::info_span!(
            "webhook",
            otel.kind = "client",
            endpoint_id = %endpoint,
            event_id = %event,
        );
        context::inject(&span, &mut headers);
        self.0
            .sender
            .post(url, headers, body.to_owned())
            .instrument(span)
            .await
    }

    /// Returns the timeout of one attempt.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Returns how long a delivery is retried.
    pub fn retry_for(&self) -> Duration {
        self.0.retry_for
    }

    /// Returns how long the previous secret still signs after a rotation.
    pub fn overlap(&self) -> Duration {
        self.0.overlap
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}
