//! Proxies for requests of the service: the URL of a proxy, and the destinations that are reached without one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::domain::schema::string_schema;

/// The URL of an HTTP proxy. It may contain a user and a password, which no output shows.
#[derive(Clone)]
pub struct ProxyUrl {
    url: SecretString,
    shown: String,
    has_credentials: bool,
}

/// The error for a text that is not the URL of a proxy. It does not repeat the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the http or https URL of a proxy, like \"http://proxy.example.com:3128\"; other kinds of proxies, such as \
     SOCKS, are not supported"
)]
pub struct NotAProxy;

impl ProxyUrl {
    /// Returns the whole URL, with the password if it has one.
    pub fn expose(&self) -> Url {
        self.url
            .expose_secret()
            .parse()
            .expect("checked when it was read")
    }

    /// Whether the URL contains a user or a password.
    pub fn has_credentials(&self) -> bool {
        self.has_credentials
    }
}

impl FromStr for ProxyUrl {
    type Err = NotAProxy;
    fn from_str(text: &str) -> Result<Self, NotAProxy> {
        let text = text.trim();
        // As curl does: a host without a scheme is an http proxy.
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url: Url = whole.parse().map_err(|_| NotAProxy)?;
        let only_a_host = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let (true, true, Some(host)) = (
            matches!(url.scheme(), "http" | "https"),
            only_a_host,
            url.host_str().filter(|host| !host.is_empty()),
        ) else {
            return Err(NotAProxy);
        };
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        Ok(Self {
            shown: format!("{}://{host}{port}", url.scheme()),
            has_credentials: !url.username().is_empty() || url.password().is_some(),
            url: String::from(url).into(),
        })
    }
}

/// Writes the URL without user and password.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({})", self.shown)
    }
}

/// Destinations that are reached without a proxy, as one entry of `NO_PROXY` writes them.
///
/// `example.com`, `.example.com` and `*.example.com` mean the same: that host and all hosts below it. An address or a
/// range of addresses matches only URLs that contain an address. `*` is every destination. A port may follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Exception {
    target: Target,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Target {
    All,
    /// A host and all hosts below it, in lower case and punycode.
    Hosts(String),
    Network(IpNet),
}

/// The error for a text that is not an entry of `NO_PROXY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a host like \"idp.example.com\", which includes all hosts below it, an address, a range of addresses like \
     \"10.0.0.0/8\", or \"*\"; a port may follow a host or an address"
)]
pub struct NotAnException;

impl Exception {
    /// Whether this destination is reached without a proxy.
    pub fn matches(&self, url: &Url) -> bool {
        let port = self
            .port
            .is_none_or(|port| url.port_or_known_default() == Some(port));
        let address =
            |address: IpAddr| matches!(&self.target, Target::Network(all) if all.contains(&address));
        port && match (&self.target, url.host()) {
            (Target::All, _) => true,
            (_, Some(Host::Ipv4(v4))) => address(v4.into()),
            (_, Some(Host::Ipv6(v6))) => address(v6.into()),
            (Target::Hosts(name), Some(Host::Domain(host))) => {
                let host = host.trim_end_matches('.');
                host.strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        }
    }
}

impl FromStr for Exception {
    type Err = NotAnException;
    fn from_str(text: &str) -> Result<Self, NotAnException> {
        let without_port = |target| Ok(Self { target, port: None });
        if text == "*" {
            return without_port(Target::All);
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return without_port(Target::Network(network.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return without_port(Target::Network(address.into()));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| NotAnException)?))
            }
            _ => (text, None),
        };
        let name = host.trim_start_matches("*.").trim_start_matches('.');
        let target = match Host::parse(name.trim_end_matches('.')).map_err(|_| NotAnException)? {
            Host::Domain(name) if !name.contains('*') => Target::Hosts(name),
            Host::Domain(_) => return Err(NotAnException),
            Host::Ipv4(address) => Target::Network(IpAddr::from(address).into()),
            Host::Ipv6(address) => Target::Network(IpAddr::from(address).into()),
        };
        Ok(Self { target, port })
    }
}
impl TryFrom<String> for Exception {
    type Error = NotAnException;
    fn try_from(text: String) -> Result<Self, NotAnException> {
        text.parse()
    }
}
impl From<Exception> for String {
    fn from(exception: Exception) -> String {
        let target = match exception.target {
            Target::All => "*".to_owned(),
            Target::Hosts(name) => name,
            Target::Network(network) => network.to_string(),
        };
        exception
            .port
            .map_or(target.clone(), |port| format!("{target}:{port}"))
    }
}
string_schema! {
    Exception: "A host, which includes all hosts below it, an address, a range of addresses, or `*`.",
    pattern: r"^\S+$", example: "idp.example.com"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_url_never_shows_its_password() {
        let url: ProxyUrl = "http://desk:hunter2@proxy.example.com:3128/".parse().unwrap();
        assert_eq!(url.to_string(), "http://proxy.example.com:3128");
        assert!(url.has_credentials() && !format!("{url:?} {url}").contains("hunter2"));
        assert_eq!(url.expose().password(), Some("hunter2"));
        let plain: ProxyUrl = "proxy.example.com:3128".parse().unwrap();
        assert_eq!(plain.to_string(), "http://proxy.example.com:3128");
        assert!(!plain.has_credentials());
        let v6: ProxyUrl = "https://[fd00::7]:8443".parse().unwrap();
        assert_eq!(v6.to_string(), "https://[fd00::7]:8443");
    }

    #[test]
    fn other_urls_are_refused_without_being_repeated() {
        for bad in [
            "",
            "http://",
            "socks5://user:hunter2@proxy.example.com",
            "ftp://proxy.example.com",
            "http://proxy.example.com/hunter2",
            "http://proxy.example.com?hunter2",
            "http://proxy.example.com:port",
            "http://user:p#hunter2@proxy.example.com",
        ] {
            let error = bad.parse::<ProxyUrl>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn an_exception_matches_as_no_proxy_does_elsewhere() {
        let matches = |entry: &str, url: &str| {
            let entry: Exception = entry.parse().unwrap_or_else(|_| panic!("{entry}"));
            entry.matches(&url.parse().unwrap())
        };
        for (entry, url) in [
            ("*", "https://api.close.com/"),
            ("example.com", "https://example.com/"),
            ("example.com", "https://IDP.Example.com/"),
            (".example.com", "https://idp.example.com/"),
            (".example.com", "https://example.com/"),
            ("*.example.com", "https://a.b.example.com/"),
            ("example.com.", "https://example.com/"),
            ("bücher.example", "https://xn--bcher-kva.example/"),
            ("idp.example.com:8443", "https://idp.example.com:8443/"),
            ("idp.example.com:443", "https://idp.example.com/"),
            ("10.0.0.7", "https://10.0.0.7/"),
            ("10.1.2.3/8", "https://10.0.0.7:9/"),
            ("10.0.0.7:80", "http://10.0.0.7/"),
            ("fd00::/8", "https://[fd00::1]/"),
            ("fd00::1", "https://[fd00::1]/"),
            ("[fd00::1]", "https://[fd00::1]/"),
            ("[fd00::1]:8443", "https://[fd00::1]:8443/"),
            ("cluster", "http://collector.cluster/"),
        ] {
            assert!(matches(entry, url), "{entry} {url}");
        }
        for (entry, url) in [
            ("example.com", "https://notexample.com/"),
            ("example.com", "https://example.com.evil.com/"),
            ("idp.example.com:8443", "https://idp.example.com/"),
            ("10.0.0.0/8", "https://11.0.0.1/"),
            // As with curl, a range does not match the addresses of a name.
            ("0.0.0.0/0", "https://idp.example.com/"),
            ("[fd00::1]:8443", "https://[fd00::1]/"),
        ] {
            assert!(!matches(entry, url), "{entry} {url}");
        }
    }

    #[test]
    fn an_entry_that_matches_nothing_is_refused() {
        for bad in [
            "",
            "a b",
            "http://a.example/",
            "a.*.example",
            "a.example:port",
            "10.0.0.0/33",
        ] {
            assert_eq!(bad.parse::<Exception>(), Err(NotAnException), "{bad}");
        }
    }
}
