//! Sends one webhook request.
//!
//! The request uses a new connection to an address that was just checked, and carries only our own headers. From the
//! response the sender reads the status and `Retry-After`, and nothing else.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use url::Url;

use super::allow::{Forbidden, Rules};
use crate::domain::id::EventId;
use crate::domain::time::Timestamp;
use crate::egress::{Client, Failure, Proxies, Route, Trust, TrustError};

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
    Failed(String),
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

/// The HTTP clients: several, because the allowed addresses differ between http and https, and a proxy has its own.
pub(super) struct Sender {
    rules: Arc<Rules>,
    lookup: Lookup,
    https: Client,
    http: Option<Client>,
    /// For receivers that a proxy connects to.
    behind_proxy: Option<(Client, Proxies)>,
    timeout: Duration,
}

impl Sender {
    pub(super) fn new(
        rules: Rules,
        lookup: Lookup,
        timeout: Duration,
        ca_file: Option<PathBuf>,
        proxies: Option<Proxies>,
    ) -> Result<Self, TrustError> {
        let rules = Arc::new(rules);
        let trust = Trust::beside(ca_file);
        let checked = |encrypted: bool| {
            Arc::new(CheckedResolver {
                rules: rules.clone(),
                lookup: lookup.clone(),
                encrypted,
            })
        };
        let (of_https, of_http) = (checked(true), checked(false));
        let https = move || {
            client_builder(timeout)
                .https_only(true)
                .dns_resolver(of_https.clone())
        };
        let http = move || client_builder(timeout).dns_resolver(of_http.clone());
        let by_proxy = move || client_builder(timeout).https_only(true);
        let behind_proxy = proxies.map(|proxies| {
            let client = Client::new(trust.clone(), Some(proxies.clone()), by_proxy)?;
            Ok((client, proxies))
        });
        Ok(Self {
            behind_proxy: behind_proxy.transpose()?,
            https: Client::new(trust, None, https)?,
            http: rules
                .allow_http
                .then(|| Client::new(Trust::NoTls, None, http))
                .transpose()?,
            rules,
            lookup,
            timeout,
        })
    }

    /// Reads the file of authorities again.
    pub(super) fn reload_authorities(&self) -> Result<(), TrustError> {
        if let Some((client, _)) = &self.behind_proxy {
            client.reload()?;
        }
        self.https.reload()
    }

    /// Checks whether the rules allow the URL at this moment.
    pub(super) async fn check(&self, url: &Url) -> Result<(), Forbidden> {
        self.rules.check_url(url)?;
        let Some(host) = url.domain() else {
            return Ok(());
        };
        let found = tokio::time::timeout(self.timeout, (self.lookup)(host.to_owned())).await;
        let addresses = found.ok().and_then(Result::ok).unwrap_or_default();
        if addresses.is_empty() && self.by_proxy(url).is_some() {
            // Behind a proxy, the service often can't resolve public names.
            return Ok(());
        }
        self.rules
            .check_addresses(&addresses, true, url.scheme() == "https")
    }

    /// Returns the client for a URL that goes by a proxy.
    fn by_proxy(&self, url: &Url) -> Option<reqwest::Client> {
        let (client, proxies) = self.behind_proxy.as_ref()?;
        let by_proxy = url.scheme() == "https" && matches!(proxies.route(url), Route::By(..));
        by_proxy.then(|| client.current())
    }

    /// Sends the body with these headers, without retries.
    pub(super) async fn post(&self, url: &Url, headers: HeaderMap, body: String) -> Answer {
        if let Err(forbidden) = self.rules.check_url(url) {
            return Answer::Forbidden(forbidden);
        }
        if let Some(client) = self.by_proxy(url) {
            // The proxy connects, so this check can't be a part of the connection.
            return match self.check(url).await {
                Ok(()) => post(&client, url, headers, body).await,
                Err(forbidden) => Answer::Forbidden(forbidden),
            };
        }
        let client = match (url.scheme(), &self.http) {
            ("https", _) => &self.https,
            (_, Some(client)) => client,
            (_, None) => return Answer::Forbidden(Forbidden::Http),
        };
        post(&client.current(), url, headers, body).await
    }

    /// Returns what the rules allow, if that is only this machine.
    pub(super) fn local_destinations(&self) -> Option<String> {
        self.rules.local_destinations()
    }
}

/// Returns the settings that all clients share.
///
/// No redirects, and no connection that outlives the check of its address. [`Client`] adds a proxy only if it has one.
pub(super) fn client_builder(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .http1_only()
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        .retry(reqwest::retry::never())
        .referer(false)
        .timeout(timeout)
        .connect_timeout(timeout)
}

/// Sends the body with these headers, and returns the result.
pub(super) async fn post(client: &reqwest::Client, url: &Url, headers: HeaderMap, body: String) -> Answer {
    let request = client.post(url.clone()).headers(headers).body(body);
    match request.send().await {
        Ok(response) => Answer::Status {
            status: response.status().as_u16(),
            retry_after: response.headers().get(RETRY_AFTER).and_then(retry_after),
        },
        Err(error) => cause::<Forbidden>(&error).map_or_else(
            || Answer::Failed(Failure::of(&error).to_string()),
            |why| Answer::Forbidden(*why),
        ),
    }
}

/// Returns the headers of a request with this signature.
pub(super) fn headers(event: &EventId, at: Timestamp, signature: String) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (
            USER_AGENT,
            HeaderValue::from_static(concat!("numberdesk/", env!("CARGO_PKG_VERSION"))),
        ),
    ]);
    for (name, value) in [
        ("webhook-id", event.to_string()),
        ("webhook-timestamp", at.as_seconds().to_string()),
        ("webhook-signature", signature),
    ] {
        let value = HeaderValue::try_from(value).expect("ids, numbers and base 64 are visible ASCII");
        headers.insert(name, value);
    }
    headers
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
