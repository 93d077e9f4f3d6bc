//! Sends one webhook request.
//!
//! The request uses a new connection to an address that was just checked, and carries only our own headers. From the
//! response the sender reads the status and `Retry-After`, and nothing else.

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

/// Resolves a host name to its addresses.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Returns the system's resolver.
pub fn system_lookup() -> Lookup {
    Arc::new(|host| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receiver answered.
    Status {
        /// The HTTP status.
        status: u16,
        /// The header `Retry-After`.
        retry_after: Option<RetryAfter>,
    },
    /// There was no answer. The text is one of a fixed set, without addresses.
    Failed(&'static str),
    /// The rules forbid the URL; nothing was sent.
    Forbidden(Forbidden),
}

/// When the receiver wants the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// After this time.
    Delay(Duration),
    /// Not before this time.
    At(Timestamp),
}

/// The HTTP clients: two, because the allowed addresses differ between http and https.
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
            let checked = CheckedResolver {
                rules: rules.clone(),
                lookup: lookup.clone(),
                encrypted,
            };
            let builder = reqwest::Client::builder();
            // The plain client does not load the system's certificates.
            let builder = if encrypted {
                builder
            } else {
                builder.tls_certs_only([])
            };
            builder
                .https_only(encrypted)
                .http1_only()
                // The client connects to exactly the addresses that were checked: no proxies, no redirects, and no
                // connection that outlives the check.
                .dns_resolver(Arc::new(checked))
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

    /// Checks whether the rules allow the URL at this moment.
    pub(super) async fn check(&self, url: &Url) -> Result<(), Forbidden> {
        self.rules.check_url(url)?;
        let Some(host) = url.domain() else {
            return Ok(());
        };
        let found = tokio::time::timeout(self.timeout, (self.lookup)(host.to_owned())).await;
        let addresses = found.ok().and_then(Result::ok).unwrap_or_default();
        self.rules
            .check_addresses(&addresses, true, url.scheme() == "https")
    }

    /// Sends the body with these headers, without retries.
    pub(super) async fn post(&self, url: &Url, headers: HeaderMap, body: String) -> Answer {
        if let Err(forbidden) = self.rules.check_url(url) {
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
                .map_or_else(|| Answer::Failed(failure(&error)), |why| Answer::Forbidden(*why)),
        }
    }
}

/// Returns the headers of every request, without the signature.
pub(super) fn headers() -> HeaderMap {
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (
            USER_AGENT,
            HeaderValue::from_static(concat!("numberdesk/", env!("CARGO_PKG_VERSION"))),
        ),
    ])
}

/// A resolver that returns only addresses that the rules allow.
struct CheckedResolver {
    rules: Arc<Rules>,
    lookup: Lookup,
    encrypted: bool,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let (rules, encrypted) = (self.rules.clone(), self.encrypted);
        Box::pin(async move {
            let addresses = found.await?;
            rules.check_addresses(&addresses, true, encrypted)?;
            // The client replaces port 0 by the URL's port.
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

/// Returns a fixed text for an error, because the client's own errors contain URLs and addresses.
fn failure(error: &reqwest::Error) -> &'static str {
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

/// Finds the first cause of this type.
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
