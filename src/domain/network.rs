//! Host patterns and networks, as the configuration writes them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Host;

use crate::domain::schema::string_schema;

/// A host name, or all hosts below a name: `hooks.example.com`, `*.apps.example.com`.
///
/// Names are compared as in DNS: case does not matter, and an international name equals its punycode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    /// The name in lower case and punycode, without a trailing dot.
    name: String,
    /// Whether the pattern matches the hosts below `name`, and not `name` itself.
    below: bool,
}

impl HostPattern {
    /// Whether the pattern matches a host name in the normal form of the `url` crate.
    pub fn matches(&self, host: &str) -> bool {
        if self.below {
            host.strip_suffix(&self.name)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty())
        } else {
            host == self.name
        }
    }
}

/// The error for a string that is not a host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the name of a host, like \"hooks.example.com\", or \"*.example.com\" for every host below a name{hint}"
)]
pub struct NotAHost {
    hint: &'static str,
}

impl FromStr for HostPattern {
    type Err = NotAHost;
    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let wrong = |hint| NotAHost { hint };
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        match Host::parse(name).map_err(|_| wrong(""))? {
            Host::Domain(name) if !name.contains('*') && !name.ends_with('.') => Ok(Self { name, below }),
            Host::Domain(_) => Err(wrong("")),
            Host::Ipv4(_) | Host::Ipv6(_) => Err(wrong("; addresses belong in `networks`")),
        }
    }
}
impl TryFrom<String> for HostPattern {
    type Error = NotAHost;
    fn try_from(text: String) -> Result<Self, NotAHost> {
        text.parse()
    }
}
impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> String {
        pattern.to_string()
    }
}
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

/// A range of IP addresses in CIDR notation, such as `10.20.0.0/16` or `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Whether the address lies in this range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether every address of this range is a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.0.network().is_loopback() && self.0.broadcast().is_loopback()
    }
}

/// The error for a string that is not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotANetwork {
    /// The string is not in CIDR notation.
    #[error(
        "must be a range of addresses like \"10.20.0.0/16\", \"fd00::/8\", or \"10.20.0.7/32\" for a single one"
    )]
    Malformed,
    /// The address has bits set after the prefix.
    #[error("has bits set after its prefix; did you mean \"{0}\"?")]
    Untidy(IpNet),
    /// The range is IPv4, but in IPv6 notation.
    #[error("is an IPv4 range in IPv6 notation: write it like \"10.20.0.0/16\"")]
    Mapped,
}

impl FromStr for Network {
    type Err = NotANetwork;
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let network: IpNet = text.parse().map_err(|_| NotANetwork::Malformed)?;
        if network.trunc() != network {
            return Err(NotANetwork::Untidy(network.trunc()));
        }
        match network.network() {
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => Err(NotANetwork::Mapped),
            _ => Ok(Self(network)),
        }
    }
}
impl TryFrom<String> for Network {
    type Error = NotANetwork;
    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}
impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

string_schema! {
    HostPattern: "The name of a host, or `*.` and a name for every host below it.",
    example: "hooks.example.com"
}
string_schema! {
    Network: "A range of IP addresses in CIDR notation.", pattern: "^[0-9A-Fa-f.:]+/[0-9]{1,3}$", example: "10.20.0.0/16"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_one_host_or_all_hosts_below_a_name() {
        let pattern = |text: &str| text.parse::<HostPattern>().unwrap();
        assert!(pattern("Hooks.Example.com").matches("hooks.example.com"));
        assert!(!pattern("hooks.example.com").matches("a.hooks.example.com"));
        let below = pattern("*.apps.example.com");
        assert!(below.matches("a.apps.example.com") && below.matches("a.b.apps.example.com"));
        for host in [
            "apps.example.com",
            ".apps.example.com",
            "evilapps.example.com",
            "apps.example.com.evil.com",
        ] {
            assert!(!below.matches(host), "{host}");
        }
        assert!(pattern("*.bücher.example").matches("a.xn--bcher-kva.example"));
    }

    #[test]
    fn invalid_hosts_and_networks_are_rejected_with_a_hint() {
        for bad in [
            "",
            "*",
            "*.",
            "a.*.com",
            "https://a.com",
            "a.com:443",
            "a.com.",
            "a b",
            "**.a.com",
        ] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
        for address in ["10.0.0.1", "0x7f.1", "[::1]"] {
            let fault = address.parse::<HostPattern>().unwrap_err().to_string();
            assert!(fault.ends_with("addresses belong in `networks`"), "{fault}");
        }
        for bad in ["", "10.0.0.1", "10.0.0.0/33", "example.com/8", "10.0.0.0/-1"] {
            assert_eq!(bad.parse::<Network>(), Err(NotANetwork::Malformed), "{bad}");
        }
        let untidy = "10.20.3.0/16".parse::<Network>().unwrap_err().to_string();
        assert!(untidy.contains("10.20.0.0/16"), "{untidy}");
        assert_eq!("::ffff:10.0.0.0/104".parse::<Network>(), Err(NotANetwork::Mapped));
    }
}
