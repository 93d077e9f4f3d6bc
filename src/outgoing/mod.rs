//! Webhooks to apps: where they may go, how they are signed, how one is sent. It knows neither who registered an
//! endpoint nor when to try again.

mod allow;
mod send;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use tracing::Instrument as _;
use url::Url;

use crate::domain::id::{EndpointId, EventId};
use crate::domain::time::Timestamp;
use crate::telemetry::context;

pub use crate::outgoing::allow::{Forbidden, Rules};
pub use crate::outgoing::send::{Answer, Lookup, RetryAfter, system_lookup};

/// What the operator says of webhooks.
pub struct Settings {
    /// Where they may go.
    pub rules: Rules,
    /// From which every endpoint's secret is derived.
    pub secret: Option<SecretString>,
    /// How long a receiver may take to answer.
    pub timeout: Duration,
    /// How long one delivery is tried.
    pub retry_for: Duration,
    /// How long the secret before a rotation still signs.
    pub overlap: Duration,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Where to.
    pub url: &'a Url,
    /// To which endpoint.
    pub endpoint: &'a EndpointId,
    /// Which secrets sign it, by their generations.
    pub generations: &'a [i64],
    /// The event's id, the same at every attempt.
    pub event: &'a EventId,
    /// When it is sent.
    pub at: Timestamp,
    /// The event as JSON.
    pub body: &'a str,
}

/// The way out. Clones share everything.
#[derive(Clone)]
pub struct Outgoing(Arc<Inner>);

struct Inner {
    sender: send::Sender,
    master: ArcSwapOption<SecretString>,
    reaches: bool,
    timeout: Duration,
    retry_for: Duration,
    overlap: Duration,
}

impl Outgoing {
    /// A way out; fails when the system has no certificates to trust.
    pub fn new(settings: Settings, lookup: Lookup) -> anyhow::Result<Self> {
        let Settings {
            rules,
            secret,
            timeout,
            retry_for,
            overlap,
        } = settings;
        Ok(Self(Arc::new(Inner {
            reaches: !rules.hosts.is_empty() || !rules.networks.is_empty(),
            sender: send::Sender::new(rules, lookup, timeout)?,
            master: ArcSwapOption::from_pointee(secret),
            timeout,
            retry_for,
            overlap,
        })))
    }

    /// The settings that are missing for there to be webhooks at all.
    pub fn missing(&self) -> Option<&'static str> {
        if self.0.master.load().is_none() {
            Some("webhooks.secret_file")
        } else if !self.0.reaches {
            Some("webhooks.hosts or webhooks.networks")
        } else {
            None
        }
    }

    /// Derives secrets from another master secret from now on.
    pub fn replace_master(&self, master: SecretString) {
        self.0.master.store(Some(Arc::new(master)));
    }

    /// Whether the URL may be called as things stand, which another moment may change: it is judged again whenever
    /// something is sent.
    pub async fn judge(&self, url: &Url) -> Result<(), Forbidden> {
        self.0.sender.judge(url).await
    }

    /// The secret of an endpoint as its receiver needs it, `whsec_…`; `None` without a master secret.
    pub fn secret(&self, endpoint: &EndpointId, generation: i64) -> Option<SecretString> {
        let master = self.0.master.load();
        Some(sign::written(sign::key(master.as_deref()?, endpoint, generation)))
    }

    /// Sends it, once.
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
            return Answer::Lost("there is no master secret to sign with");
        };
        let keys: Vec<_> = generations
            .iter()
            .map(|generation| sign::key(&master, endpoint, *generation))
            .collect();
        let mut headers = send::headers();
        for (name, value) in [
            ("webhook-id", event.to_string()),
            ("webhook-timestamp", at.as_seconds().to_string()),
            ("webhook-signature", sign::signatures(&keys, event, at, body)),
        ] {
            let value = HeaderValue::try_from(value).expect("ids, numbers and base 64 are visible ASCII");
            headers.insert(name, value);
        }
        let span = tracing::info_span!(
            "webhook",
            otel.kind = "client",
            %endpoint,
            %event,
        );
        context::inject(&span, &mut headers);
        self.0
            .sender
            .post(url, headers, body.to_owned())
            .instrument(span)
            .await
    }

    /// How long a receiver may take to answer.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// How long one delivery is tried.
    pub fn retry_for(&self) -> Duration {
        self.0.retry_for
    }

    /// How long the secret before a rotation still signs.
    pub fn overlap(&self) -> Duration {
        self.0.overlap
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").finish_non_exhaustive()
    }
}
