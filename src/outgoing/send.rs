//! One webhook sent: to an address that was judged a moment ago, by a connection of its own, with headers from scratch.
//! Of the answer the status and `Retry-After` are read, and nothing else, ever.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use url::Url;

use super::allow::{Forbidden, Rules};
use crate::domain::time::Timestamp;

/// Turns the name of a host into its addresses.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's own look-up.
pub fn system_lookup() -> Lookup {
    Arc::new(|host| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// With this status.
    Status {
        /// The status.
        status: u16,
        /// The header `Retry-After`, as it was written.
        retry_after: Option<RetryAfter>,
    },
    /// Without an answer, in fixed words.
    Lost(&'static str),
    /// It was not sent.
    Forbidden(Forbidden),
}

/// When to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// After so long.
    Delay(Duration),
    /// Not before.
    At(Timestamp),
}

/// What sends. Two clients, because what may be reached depends on whether it is encrypted.
pub(super) struct Sender {
    rules: Arc<Rules>,
    lookup: Lookup,
    https: reqwest::Client,
    http: Option<reqwest::Client>,
    timeout: Duration,
}

impl Sender {
    pub(super) fn new(rules: Rules, lookup: Lookup, timeout: Duration) -> Result<Self, reqwest::Error> {
        let rules = Arc::new(rules);
        let client = |encrypted: bool| {
            let judged = Judged {
                rules: rules.clone(),
                lookup: lookup.clone(),
                encrypted,
            };
            let builder = reqwest::Client::builder();
            // Without TLS the system's certificates are not even looked for.
            let builder = if encrypted {
                builder
            } else {
                builder.tls_certs_only([])
            };
            builder
                .https_only(encrypted)
                .http1_only()
                // The address that was judged is the one that is connected to: no proxy and no redirect comes between,
                // and no connection outlives the judgement.
                .dns_resolver(Arc::new(judged))
                .no_proxy()
                .redirect(Policy::none())
                .pool_max_idle_per_host(0)
                .retry(reqwest::retry::never())
                .referer(false)
                .timeout(timeout)
                .connect_timeout(timeout)
                .build()
        };
        Ok(Self {
            https: client(true)?,
            http: rules.allow_http.then(|| client(false)).transpose()?,
            rules,
            lookup,
            timeout,
        })
    }

    /// Whether the URL may be called as things stand.
    pub(super) async fn judge(&self, url: &Url) -> Result<(), Forbidden> {
        self.rules.url(url)?;
        let Some(host) = url.domain() else {
            return Ok(());
        };
        let found = tokio::time::timeout(self.timeout, (self.lookup)(host.to_owned())).await;
        let addresses = found.ok().and_then(Result::ok).unwrap_or_default();
        self.rules.addresses(&addresses, true, url.scheme() == "https")
    }

    /// Sends the body with these headers, once.
    pub(super) async fn post(&self, url: &Url, headers: HeaderMap, body: String) -> Answer {
        if let Err(forbidden) = self.rules.url(url) {
            return Answer::Forbidden(forbidden);
        }
        let client = match (url.scheme(), &self.http) {
            ("https", _) => &self.https,
            (_, Some(client)) => client,
            (_, None) => return Answer::Forbidden(Forbidden::Http),
        };
        let request = client.post(url.clone()).headers(headers).body(body);
        match request.send().await {
            Ok(response) => Answer::Status {
                status: response.status().as_u16(),
                retry_after: response.headers().get(RETRY_AFTER).and_then(retry_after),
            },
            Err(error) => cause::<Forbidden>(&error)
                .map_or_else(|| Answer::Lost(lost(&error)), |why| Answer::Forbidden(*why)),
        }
    }
}

/// What every request carries besides its signature.
pub(super) fn headers() -> HeaderMap {
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (
            USER_AGENT,
            HeaderValue::from_static(concat!("numberdesk/", env!("CARGO_PKG_VERSION"))),
        ),
    ])
}

/// A resolver that hands out what was judged, or nothing.
struct Judged {
    rules: Arc<Rules>,
    lookup: Lookup,
    encrypted: bool,
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let (rules, encrypted) = (self.rules.clone(), self.encrypted);
        Box::pin(async move {
            let addresses = found.await?;
            rules.addresses(&addresses, true, encrypted)?;
            // The client puts the URL's port in place of the zero.
            let all = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok::<Addrs, _>(Box::new(all.collect::<Vec<_>>().into_iter()))
        })
    }
}

fn retry_after(value: &HeaderValue) -> Option<RetryAfter> {
    let text = value.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(RetryAfter::Delay(Duration::from_secs(text.parse().ok()?)));
    }
    Timestamp::from_http_date(text).map(RetryAfter::At)
}

/// What a receiver's operator needs to know, in fixed words: errors of the client repeat URLs and addresses.
fn lost(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "no answer in time";
    }
    if error.is_dns() {
        return "the host name could not be resolved";
    }
    if !error.is_connect() {
        return "the connection broke before an answer";
    }
    match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "the connection was refused",
        Some(io::ErrorKind::InvalidData) => "the TLS handshake failed",
        _ => "no connection could be made",
    }
}

/// The first cause of this kind in the chain.
fn cause<T: StdError + 'static>(error: &reqwest::Error) -> Option<&T> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_its_forms() {
        let read = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap());
        assert_eq!(read("120"), Some(RetryAfter::Delay(Duration::from_mins(2))));
        let date = "2026-11-23T10:00:00Z".parse().unwrap();
        assert_eq!(read("Mon, 23 Nov 2026 10:00:00 GMT"), Some(RetryAfter::At(date)));
        for bad in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
