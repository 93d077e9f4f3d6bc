//! How the service reaches its destinations, and on which addresses it is reached.

use std::path::PathBuf;

use url::Url;

use crate::config::{Config, Jwks};
use crate::egress::{Proxies, Route};

/// Returns one line for each destination: by which proxy it is reached, and which private authorities are trusted.
pub(super) fn routes(config: &Config, proxies: &Proxies) -> Vec<String> {
    let line = |what: &str, url: &Url, ca_file: Option<&PathBuf>| {
        let trust = ca_file.map_or(String::new(), |file| {
            format!("; authorities in {}", file.display())
        });
        let address = url.origin().ascii_serialization();
        format!("{what} at {address}: {}{trust}", proxies.route(url))
    };
    let close = &config.close;
    let mut lines = vec![line("Close", &close.base_url, close.ca_file.as_deref())];
    for issuer in &config.auth.issuers {
        let url = match issuer.jwks() {
            Jwks::Url(url) => Some(url),
            Jwks::Discovery => issuer.issuer.parse().ok(),
            Jwks::File(_) => None,
        };
        lines.extend(url.map(|url| line("keys", &url, issuer.ca_file().as_ref())));
    }
    if let Some(endpoint) = &config.traces.endpoint {
        lines.push(line("traces", endpoint, config.traces.ca_file.as_deref()));
    }
    lines
}

/// Returns how webhooks go to apps; `None` if there are none.
pub(super) fn webhooks(config: &Config, proxies: &Proxies) -> Option<String> {
    config.webhooks.secret()?;
    let public: Url = "https://receiver.invalid/".parse().expect("a URL");
    match (config.proxy.webhooks, proxies.route(&public)) {
        (true, Route::By(proxy, _)) => Some(format!(
            "webhooks to apps by the proxy {proxy}, which must refuse internal addresses"
        )),
        _ => Some("webhooks to apps: directly".to_owned()),
    }
}

/// Returns the setting of a listener that IPv6 clients can't reach.
pub(super) fn only_ipv4(config: &Config) -> Option<String> {
    let listeners = [
        ("server.listen", *config.server.listen),
        ("server.ops_listen", *config.server.ops_listen),
    ];
    let (key, address) = listeners
        .into_iter()
        .find(|(_, address)| address.is_ipv4() && address.ip().is_unspecified())?;
    let port = address.port();
    Some(format!(
        "{key} is {address}, so only IPv4 is answered; \"[::]:{port}\" answers both"
    ))
}
