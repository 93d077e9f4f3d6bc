//! Forwards events to a receiver under development, signed with a secret that exists only there.

use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use tracing::Instrument as _;
use url::Url;

use super::send::{self, Answer};
use super::sign;
use crate::domain::id::EventId;
use crate::domain::time::Timestamp;
use crate::telemetry::context;

/// A secret for signing, `whsec_` and 24 to 64 bytes in base 64, as the specification Standard Webhooks requires.
#[derive(Debug, Clone)]
pub struct LocalSecret(SecretSlice<u8>);

/// The error for a string that is not a secret. It does not repeat the string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `whsec_` and 24 to 64 bytes in base 64, as `listen` prints it without `--secret`")]
pub struct NotASecret;

impl LocalSecret {
    /// Generates a secret. It fails if the system has no random numbers.
    pub fn generate() -> anyhow::Result<Self> {
        let mut key = vec![0; 32];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| anyhow::anyhow!("a secret cannot be generated"))?;
        Ok(Self(key.into()))
    }

    /// Returns the secret as text, `whsec_…`.
    pub fn text(&self) -> SecretString {
        sign::encode(self.0.expose_secret())
    }
}

impl FromStr for LocalSecret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, NotASecret> {
        let encoded = text.strip_prefix("whsec_").ok_or(NotASecret)?;
        let key = BASE64_STANDARD.decode(encoded).map_err(|_| NotASecret)?;
        if (24..=64).contains(&key.len()) {
            Ok(Self(key.into()))
        } else {
            Err(NotASecret)
        }
    }
}

/// Sends events to one URL: the same requests as the service's, except for the secret.
///
/// It does not check the URL against an allow-list, because its user chose the URL.
pub struct Forwarder {
    client: reqwest::Client,
    url: Url,
    secret: LocalSecret,
}

impl Forwarder {
    /// Creates a forwarder. It fails if the system has no trusted certificates.
    pub fn new(url: Url, secret: LocalSecret, timeout: Duration) -> anyhow::Result<Self> {
        let client = send::client_builder(timeout).no_proxy().build()?;
        Ok(Self { client, url, secret })
    }

    /// Sends one event, without retries.
    pub async fn send(&self, event: &EventId, at: Timestamp, body: String) -> Answer {
        let signature = sign::signatures(&[self.secret.0.expose_secret()], event, at, &body);
        let mut headers = send::headers(event, at, signature);
        let span = tracing::info_span!("webhook", otel.kind = "client", event_id = %event);
        context::inject(&span, &mut headers);
        send::post(&self.client, &self.url, headers, body)
            .instrument(span)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_is_written_and_nothing_else_is_a_secret() {
        let secret = LocalSecret::generate().unwrap();
        let text = secret.text().expose_secret().to_owned();
        let again: LocalSecret = text.parse().unwrap();
        assert_eq!(again.text().expose_secret(), text);
        let short = format!("whsec_{}", BASE64_STANDARD.encode([1; 23]));
        let long = format!("whsec_{}", BASE64_STANDARD.encode([1; 65]));
        for bad in [
            "",
            "whsec_",
            "secret",
            "whsec_not base 64",
            &short,
            &long,
            &text[6..],
        ] {
            assert_eq!(bad.parse::<LocalSecret>().err(), Some(NotASecret), "{bad}");
        }
    }
}
