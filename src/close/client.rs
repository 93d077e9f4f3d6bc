//! One HTTP exchange with Close: headers from scratch, no redirects, one deadline for all of it, and never more of an
//! answer than is asked for. What goes wrong is told in fixed words, without URL, key or body.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};
use url::Url;

use crate::close::Settings;
use crate::close::breaker::{Breaker, Pass};
use crate::close::endpoint::Endpoint;
use crate::close::rate_limit::Limits;
use crate::close::response::{self, Outcome};
use crate::domain::time::{Clock, Timestamp};
use crate::telemetry::context;
use crate::telemetry::metrics::{CLOSE_REQUEST_SECONDS, CLOSE_REQUESTS_TOTAL};

/// What every call shares.
pub(super) struct Client {
    pub(super) base: Url,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) breaker: Breaker,
    /// Microseconds that Close's clock is ahead of ours; [`UNSAID`] before an answer said.
    ahead: AtomicI64,
    key: ArcSwap<SecretString>,
    /// For calls that may be repeated: connections are kept.
    kept: reqwest::Client,
    /// For calls that must not be: a new connection each, because only a connection that was used before lets the
    /// client below send a request a second time by itself.
    fresh: reqwest::Client,
}

impl Client {
    pub(super) fn new(settings: Settings, key: SecretString, clock: Clock) -> anyhow::Result<Self> {
        let Settings { base_url, timeout } = settings;
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
        ensure!(!timeout.is_zero(), "Close's timeout must be longer than nothing");
        let encrypted = base_url.scheme() == "https";
        let builder = || {
            let client = reqwest::Client::builder();
            // Without TLS the system's certificates are not even looked for.
            let client = if encrypted {
                client
            } else {
                client.tls_certs_only([])
            };
            client
                .https_only(encrypted)
                .http1_only()
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                // Nothing but the configuration decides where the key goes.
                .no_proxy()
                .referer(false)
                // Part of the deadline, so that a connection that is never made is known as one.
                .connect_timeout((timeout / 3).min(Duration::from_secs(10)))
        };
        Ok(Self {
            kept: builder().pool_idle_timeout(Duration::from_secs(30)).build()?,
            fresh: builder().pool_max_idle_per_host(0).build()?,
            key: ArcSwap::from_pointee(key),
            limits: Limits::default(),
            breaker: Breaker::default(),
            ahead: AtomicI64::new(UNSAID),
            base: base_url,
            timeout,
            clock,
        })
    }

    pub(super) fn ahead(&self) -> Option<i64> {
        Some(self.ahead.load(Ordering::Relaxed)).filter(|ahead| *ahead != UNSAID)
    }

    /// The same key again is no other key.
    pub(super) fn replace_key(&self, key: SecretString) {
        if !self.uses(&key) {
            self.key.store(key.into());
        }
    }

    pub(super) fn uses(&self, key: &SecretString) -> bool {
        self.key.load().expose_secret() == key.expose_secret()
    }

    pub(super) fn key(&self) -> Arc<SecretString> {
        self.key.load_full()
    }

    /// Sends one request, once, and reads its answer; both within `limit`. Nothing is sent while Close is left alone. What
    /// must not be sent twice never finds out whether Close is back: something harmless does, first.
    pub(super) async fn exchange(
        &self,
        endpoint: Endpoint<'_>,
        body: Option<&Value>,
        limit: Duration,
    ) -> Outcome {
        let deadline = Instant::now() + limit;
        let Some(mut pass) = self.breaker.enter(self.clock.now(), limit) else {
            return away();
        };
        if pass == Pass::Probe && endpoint.once() {
            if !self.attempt(pass, Endpoint::Me, None, limit / 4).await.answered() {
                return away();
            }
            pass = Pass::Usual;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        self.attempt(pass, endpoint, body, left).await
    }

    async fn attempt(
        &self,
        pass: Pass,
        endpoint: Endpoint<'_>,
        body: Option<&Value>,
        limit: Duration,
    ) -> Outcome {
        let started = Instant::now();
        let span = tracing::info_span!(
            "close",
            otel.name = endpoint.name(),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            http.request.method = endpoint.method().as_str(),
            outcome = tracing::field::Empty,
        );
        let mut there = false;
        let outcome = self
            .send(endpoint, body, started + limit, &span, &mut there)
            .instrument(span.clone())
            .await
            .unwrap_or_else(|lost| match lost {
                Lost::NotSent(reason) => Outcome::NotSent { reason },
                Lost::Unclear(reason) => Outcome::Unclear { reason },
                Lost::Late => Outcome::Unclear {
                    reason: format!("no whole answer within {limit:?}"),
                },
            });
        self.breaker.learn(pass, there, self.clock.now());
        let (name, word, took) = (endpoint.name(), outcome.word(), started.elapsed());
        context::add_upstream_time(took);
        span.record("outcome", word);
        if !outcome.answered() {
            span.record("otel.status_code", "ERROR");
        }
        metrics::counter!(CLOSE_REQUESTS_TOTAL, "endpoint" => name, "outcome" => word).increment(1);
        metrics::histogram!(CLOSE_REQUEST_SECONDS, "endpoint" => name).record(took.as_secs_f64());
        let reason = match &outcome {
            Outcome::NotSent { reason } | Outcome::Unclear { reason } => Some(reason.as_str()),
            _ => None,
        };
        tracing::debug!(
            endpoint = name,
            outcome = word,
            reason,
            duration_ms = took.as_millis(),
            "called Close"
        );
        outcome
    }

    async fn send(
        &self,
        endpoint: Endpoint<'_>,
        body: Option<&Value>,
        deadline: Instant,
        span: &Span,
        there: &mut bool,
    ) -> Result<Outcome, Lost> {
        let client = if endpoint.once() { &self.fresh } else { &self.kept };
        let key = self.key.load_full();
        let mut sent = headers(&key);
        context::inject(span, &mut sent);
        let mut request = client
            .request(endpoint.method(), endpoint.url(&self.base))
            .headers(sent);
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let mut response = timeout_at(deadline, request.send())
            .await?
            .map_err(|error| lost(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // Whatever it is worth: nobody had to wait for it.
        *there = status < 500;
        let read = match status {
            // The status says it all; a body that never ends must not turn it into a doubt.
            401 => Ok(Vec::new()),
            _ => timeout_at(deadline, read(&mut response, endpoint.cap()))
                .await
                .unwrap_or_else(|late| Err(late.into())),
        };
        let said = read.as_deref().unwrap_or_default();
        let now = self.clock.now();
        if let Some(theirs) = answered_at(&headers) {
            let ahead = theirs.as_micros().saturating_sub(now.as_micros());
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        if let Some(until) = self.limits.learn(endpoint, status, &headers, said, now) {
            return Ok(Outcome::RateLimited { until });
        }
        let body = read?;
        if repeats(&body, &key) {
            let reason = format!("the answer repeated the API key, and was thrown away ({status})");
            return Err(Lost::Unclear(reason));
        }
        Ok(response::read(status, &body))
    }
}

/// What a call comes to that is not made.
fn away() -> Outcome {
    Outcome::NotSent {
        reason: "close has not answered for a while and is left alone".to_owned(),
    }
}

const UNSAID: i64 = i64::MIN;

/// When the answer was written, by the clock of who wrote it.
fn answered_at(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::from_http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Why there is no answer.
enum Lost {
    NotSent(String),
    Unclear(String),
    Late,
}

impl From<tokio::time::error::Elapsed> for Lost {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Late
    }
}

/// Everything that Close is told in headers, besides the body's type.
fn headers(key: &SecretString) -> HeaderMap {
    let mut authorization = HeaderValue::try_from(format!("Basic {}", credentials(key).expose_secret()))
        .expect("base 64 is visible ASCII");
    authorization.set_sensitive(true);
    HeaderMap::from_iter([
        (AUTHORIZATION, authorization),
        (ACCEPT, HeaderValue::from_static("application/json")),
        (
            USER_AGENT,
            HeaderValue::from_static(concat!("numberdesk/", env!("CARGO_PKG_VERSION"))),
        ),
    ])
}

/// The key as user, and no password.
fn credentials(key: &SecretString) -> SecretString {
    STANDARD.encode(format!("{}:", key.expose_secret())).into()
}

/// Whether an answer holds the key, as echo servers and debugging proxies answer: it would end in texts that people read.
fn repeats(body: &[u8], key: &SecretString) -> bool {
    let body = String::from_utf8_lossy(body);
    let key_is_there = !key.expose_secret().is_empty() && body.contains(key.expose_secret());
    key_is_there || body.contains(credentials(key).expose_secret())
}

/// The whole body, unless it is larger than `cap` bytes.
async fn read(response: &mut reqwest::Response, cap: usize) -> Result<Vec<u8>, Lost> {
    let status = response.status().as_u16();
    let too_large = || Lost::Unclear(format!("the answer was larger than {cap} bytes ({status})"));
    if response
        .content_length()
        .is_some_and(|length| length > cap as u64)
    {
        return Err(too_large());
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > cap => return Err(too_large()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) => {
                let reason = format!("the connection broke in the middle of the answer ({status})");
                return Err(Lost::Unclear(reason));
            }
        }
    }
}

/// Only a connection that was never made proves that nothing was sent.
fn lost(error: &reqwest::Error) -> Lost {
    if error.is_builder() {
        Lost::NotSent("the request could not be built".to_owned())
    } else if error.is_connect() {
        Lost::NotSent(unconnected(error).to_owned())
    } else {
        Lost::Unclear("the connection broke before an answer".to_owned())
    }
}

fn unconnected(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "no connection was made in time";
    }
    if error.is_dns() {
        return "the host name could not be resolved";
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return "the connection was refused",
            Some(io::ErrorKind::InvalidData) => return "the TLS handshake failed",
            _ => cause = error.source(),
        }
    }
    "no connection could be made"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base: &str) -> anyhow::Result<Client> {
        let settings = Settings {
            base_url: Url::parse(base).unwrap(),
            timeout: Duration::from_secs(1),
        };
        Client::new(settings, "api_x.y".into(), Clock::system())
    }

    #[test]
    fn a_base_url_that_would_carry_a_secret_or_lead_nowhere_is_refused_without_being_repeated() {
        for bad in [
            "ftp://api.close.com/",
            "data:text/plain,hunter2",
            "https://hunter2@api.close.com/",
            "https://x:hunter2@api.close.com/",
            "https://api.close.com/?k=hunter2",
            "https://api.close.com/#hunter2",
        ] {
            let fault = client(bad).err().unwrap_or_else(|| panic!("{bad}"));
            assert!(!format!("{fault:?}").contains("hunter2"), "{bad}");
        }
        assert!(client("https://api.close.com/api/v1").is_ok());
        assert!(client("http://127.0.0.1:8081").is_ok());
    }

    #[test]
    fn the_key_goes_into_one_header_that_hides_it() {
        let headers = headers(&"api_abc.def".into());
        let sent = &headers[AUTHORIZATION];
        assert_eq!(sent.to_str().unwrap(), "Basic YXBpX2FiYy5kZWY6");
        assert!(sent.is_sensitive());
        assert!(!format!("{headers:?}").contains("YXBp"));
    }

    #[test]
    fn an_answer_that_repeats_the_key_is_noticed_in_either_form() {
        let key = "api_abc.def".into();
        assert!(repeats(br#"{"auth":"Basic YXBpX2FiYy5kZWY6"}"#, &key));
        assert!(repeats(br#"{"error":"bad key api_abc.def"}"#, &key));
        assert!(!repeats(br#"{"id":"phon_1"}"#, &key));
        assert!(!repeats(b"", &"".into()));
    }
}
