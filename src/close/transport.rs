//! One HTTP exchange with Close: fixed headers, no redirects, one deadline, and a limit for the size of the response.
//!
//! Errors are fixed texts without URL, key or body.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};

use crate::close::breaker::{Breaker, CallEnd, Pass};
use crate::close::connection::{Clients, Settings};
use crate::close::endpoint::Endpoint;
use crate::close::last_call::LastCalls;
use crate::close::pace::Pace;
use crate::close::radar::Radar;
use crate::close::rate_limit::Limits;
use crate::close::response::{self, Outcome};
use crate::close::server_clock::ServerClock;
use crate::close::sharing::SharingField;
use crate::domain::time::{Clock, Timestamp};
use crate::egress::Failure;
use crate::telemetry::context;
use crate::telemetry::metrics::{CLOSE_REQUEST_SECONDS, CLOSE_REQUESTS_TOTAL};
use crate::telemetry::millis;

/// Everything that calls share: connections, key, clock, rate limits and circuit breaker.
pub(super) struct Transport {
    pub(super) settings: Settings,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) pace: Pace,
    pub(super) breaker: Breaker,
    pub(super) sharing: SharingField,
    pub(super) radar: Radar,
    /// Close's clock, by the dates of its responses.
    pub(super) server_clock: ServerClock,
    /// How the last calls ended.
    pub(super) last_calls: LastCalls,
    key: ArcSwap<SecretString>,
    /// The public parts of the keys that were used before.
    former_keys: Mutex<BTreeSet<String>>,
    pub(super) clients: Clients,
}

impl Transport {
    pub(super) fn new(settings: Settings, key: SecretString, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self {
            clients: Clients::new(&settings)?,
            last_calls: LastCalls::new(clock.clone()),
            key: ArcSwap::from_pointee(key),
            former_keys: Mutex::default(),
            limits: Limits::default(),
            pace: Pace::default(),
            breaker: Breaker::default(),
            sharing: SharingField::default(),
            radar: Radar::default(),
            server_clock: ServerClock::new(clock.clone()),
            timeout: settings.timeout,
            settings,
            clock,
        })
    }

    /// Replaces the key. The same key again changes nothing, so [`Self::key`] stays the same pointer.
    pub(super) fn replace_key(&self, key: SecretString) {
        if !self.uses(&key) {
            let former = self.key.swap(key.into());
            self.former_keys
                .lock()
                .extend(public_part(&former).map(str::to_owned));
        }
    }

    pub(super) fn is_unusable(&self) -> bool {
        let failure = self.last_calls.current();
        failure.is_some_and(|failure| ["not_sent", "unauthorized"].contains(&failure.outcome))
    }

    /// Converts a later time of the steady clock to the time of day.
    pub(super) fn time_of_day(&self, steady: Timestamp) -> Timestamp {
        self.clock.now().plus(steady.since(self.clock.steady()))
    }

    pub(super) fn has_used_key(&self, id: &str) -> bool {
        public_part(&self.key.load()) == Some(id) || self.former_keys.lock().contains(id)
    }

    pub(super) fn uses(&self, key: &SecretString) -> bool {
        self.key.load().expose_secret() == key.expose_secret()
    }

    pub(super) fn key(&self) -> Arc<SecretString> {
        self.key.load_full()
    }

    /// Sends one request, once, and reads the response, both within `limit`.
    ///
    /// Sends nothing while the circuit is open. A call that must not be repeated is never the probe: `GET me/` goes
    /// first.
    pub(super) async fn exchange(
        &self,
        endpoint: Endpoint<'_>,
        body: Option<&Value>,
        limit: Duration,
    ) -> Outcome {
        let deadline = Instant::now() + limit;
        let Some(mut pass) = self.breaker.enter(self.clock.steady(), limit) else {
            return self.circuit_open();
        };
        if pass == Pass::Probe && !endpoint.is_idempotent() {
            if !self
                .attempt(pass, Endpoint::Me, None, limit / 4)
                .await
                .has_response()
            {
                return self.circuit_open();
            }
            pass = Pass::Normal;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        self.attempt(pass, endpoint, body, left).await
    }

    /// Whether a call that must not be repeated would be made now. Makes the probe if one is due.
    pub(super) async fn is_ready(&self, limit: Duration) -> bool {
        match self.breaker.enter(self.clock.steady(), limit) {
            None => false,
            Some(Pass::Normal) => true,
            Some(pass @ Pass::Probe) => self
                .attempt(pass, Endpoint::Me, None, limit / 4)
                .await
                .has_response(),
        }
    }

    /// The outcome of a call that the circuit breaker refuses. It names the fault that opened the circuit.
    fn circuit_open(&self) -> Outcome {
        let cause = self.last_calls.current();
        let cause = cause.map_or(String::new(), |cause| format!(": {}", cause.reason));
        Outcome::NotSent {
            reason: format!(
                "Close does not respond, so no call is made for some seconds (circuit open){cause}"
            ),
        }
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
        let mut end = CallEnd::Failed;
        let outcome = self
            .send(endpoint, body, started + limit, &span, &mut end)
            .instrument(span.clone())
            .await
            .unwrap_or_else(|lost| match lost {
                Lost::NotSent(reason) => Outcome::NotSent { reason },
                Lost::Unclear(reason) => Outcome::Unclear { reason },
                Lost::Late => Outcome::Unclear {
                    reason: format!("no complete answer within {}", in_seconds(limit)),
                },
            });
        self.breaker.record(pass, end, self.clock.steady());
        let (name, word, took) = (endpoint.name(), outcome.word(), started.elapsed());
        context::add_upstream_time(took);
        span.record("outcome", word);
        if !outcome.has_response() {
            span.record("otel.status_code", "ERROR");
        }
        metrics::counter!(CLOSE_REQUESTS_TOTAL, "endpoint" => name, "outcome" => word).increment(1);
        span.in_scope(|| metrics::histogram!(CLOSE_REQUEST_SECONDS, "endpoint" => name).record(took));
        self.last_calls.record(name, &outcome);
        let error = match &outcome {
            Outcome::NotSent { reason } | Outcome::Unclear { reason } => Some(reason.as_str()),
            _ => None,
        };
        tracing::debug!(
            endpoint = name,
            outcome = word,
            error,
            duration_ms = millis(took),
            "Close called"
        );
        outcome
    }

    async fn send(
        &self,
        endpoint: Endpoint<'_>,
        body: Option<&Value>,
        deadline: Instant,
        span: &Span,
        end: &mut CallEnd,
    ) -> Result<Outcome, Lost> {
        let client = self.clients.current(endpoint.is_idempotent());
        let key = self.key.load_full();
        let mut sent = headers(&key);
        context::inject(span, &mut sent);
        let mut request = client
            .request(endpoint.method(), endpoint.url(&self.settings.base_url))
            .headers(sent);
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        let began = self.clock.elapsed();
        let mut response = timeout_at(deadline, request.send())
            .await?
            .map_err(|error| lost(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        self.server_clock.record(began, &headers);
        // A body that breaks off later does not matter to the circuit breaker.
        *end = match status {
            ..500 => CallEnd::Responded,
            // One number that Close can't handle is no outage. The proxies of a dead Close answer 502, 503 or 504.
            500 if endpoint.is_about_one_object() => CallEnd::Inconclusive,
            _ => CallEnd::Failed,
        };
        let read = match status {
            // The status suffices; an endless body must not make the outcome unclear.
            401 => Ok(Vec::new()),
            _ => timeout_at(deadline, read(&mut response, endpoint.cap()))
                .await
                .unwrap_or_else(|late| Err(late.into())),
        };
        let received = read.as_deref().unwrap_or_default();
        let now = self.clock.steady();
        if matches!(endpoint, Endpoint::Rent) {
            self.pace.record(&headers, now);
        }
        if let Some(until) = self.limits.record(endpoint, status, &headers, received, now) {
            return Ok(Outcome::RateLimited { until });
        }
        let body = read?;
        if contains_key(&body, &key) {
            let reason = format!("the answer contained the API key and was discarded ({status})");
            return Err(Lost::Unclear(reason));
        }
        let outcome = response::read(status, &body);
        self.radar.observe(endpoint, &headers, &outcome);
        Ok(outcome)
    }
}

/// The part of a key by which Close names the key in its event log: `api_x` of `api_x.y`.
fn public_part(key: &SecretString) -> Option<&str> {
    let (public, secret) = key.expose_secret().split_once('.')?;
    (!public.is_empty() && !secret.is_empty()).then_some(public)
}

/// Why there is no response.
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

/// All request headers, except the content type.
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

/// Basic credentials: the key is the user, and the password is empty.
fn credentials(key: &SecretString) -> SecretString {
    STANDARD.encode(format!("{}:", key.expose_secret())).into()
}

/// Whether a response contains the key, as those of echo servers and debugging proxies do. Its texts may be shown to
/// people.
fn contains_key(body: &[u8], key: &SecretString) -> bool {
    let body = String::from_utf8_lossy(body);
    let key_is_there = !key.expose_secret().is_empty() && body.contains(key.expose_secret());
    key_is_there || body.contains(credentials(key).expose_secret())
}

/// Reads the whole body, `cap` bytes at most.
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

/// Classifies an error: only a connection that was never made proves that nothing was sent.
///
/// A connection by a proxy is made once the proxy has opened a tunnel and TLS is set up through it.
fn lost(error: &reqwest::Error) -> Lost {
    if error.is_builder() {
        Lost::NotSent("the request could not be built".to_owned())
    } else if error.is_connect() {
        Lost::NotSent(Failure::of(error).to_string())
    } else {
        Lost::Unclear("the connection broke before an answer".to_owned())
    }
}

/// Returns a time limit as people write it: a limit of 5 s has 4.999995343 s left when the request is sent.
pub(in crate::close) fn in_seconds(limit: Duration) -> String {
    format!("{} s", (limit.as_secs_f64() * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests;
