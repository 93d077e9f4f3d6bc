//! The allow-list of webhook destinations: pure checks of a URL and of its host's addresses.
//!
//! A destination that no setting allows is forbidden. This module resolves no names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;
use url::{Host, Url};

use crate::domain::network::{HostPattern, Network};

/// The operator's rules for destinations.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The allowed hosts (`webhooks.hosts`).
    pub hosts: Vec<HostPattern>,
    /// The allowed networks (`webhooks.networks`).
    pub networks: Vec<Network>,
    /// The allowed ports (`webhooks.ports`).
    pub ports: Vec<u16>,
    /// Whether plain http is allowed (`webhooks.allow_http`).
    pub allow_http: bool,
}

/// Why a URL is forbidden.
///
/// The texts are for the person who registered the URL. They name the setting, and no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The scheme is neither https nor http.
    #[error("must be an https URL")]
    Scheme,
    /// Plain http, and no setting allows it.
    #[error("must be an https URL; http needs the setting `webhooks.allow_http`")]
    Http,
    /// The URL contains a user or a password.
    #[error("must not contain a user or a password")]
    User,
    /// The URL contains a fragment.
    #[error("must not contain a fragment")]
    Fragment,
    /// The URL has no host, or the host ends with a dot.
    #[error("must name a host, without a dot at its end")]
    Host,
    /// The port is not allowed.
    #[error("must use one of the ports that the setting `webhooks.ports` lists")]
    Port,
    /// The host is not allowed.
    #[error("must name a host that the setting `webhooks.hosts` lists")]
    Unlisted,
    /// A private or special address that no setting allows.
    #[error(
        "must not lead to a private or special address that the setting `webhooks.networks` does not list"
    )]
    Address,
    /// A public address outside the allowed networks; only an allowed host may resolve to it.
    #[error("must lead to an address that the setting `webhooks.networks` lists")]
    Elsewhere,
    /// Plain http to an address outside the allowed networks.
    #[error(
        "must be an https URL: http is allowed only to addresses that the setting `webhooks.networks` lists"
    )]
    HttpElsewhere,
    /// The address of a cloud's metadata service.
    #[error("must not lead to a metadata service; no setting allows that")]
    Metadata,
    /// The host has no address.
    #[error("must name a host that can be resolved")]
    Unresolved,
}

impl Forbidden {
    /// Whether the host, the address or the port is the reason.
    pub const fn is_destination(self) -> bool {
        matches!(
            self,
            Self::Port | Self::Unlisted | Self::Address | Self::Elsewhere | Self::HttpElsewhere
        )
    }
}

impl Rules {
    /// Checks a URL, except for the addresses of a host name.
    pub fn check_url(&self, url: &Url) -> Result<(), Forbidden> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err(Forbidden::Http),
            _ => return Err(Forbidden::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden::User);
        }
        if url.fragment().is_some() {
            return Err(Forbidden::Fragment);
        }
        let encrypted = url.scheme() == "https";
        let addresses = match url.host() {
            // The crate `url` converts decimal, octal and hexadecimal hosts to addresses, and other scripts to
            // punycode.
            Some(Host::Domain(name)) if !name.is_empty() && !name.ends_with('.') => {
                if !self.hosts.iter().any(|pattern| pattern.matches(name)) {
                    return Err(Forbidden::Unlisted);
                }
                None
            }
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => return Err(Forbidden::Host),
        };
        if !url
            .port_or_known_default()
            .is_some_and(|port| self.ports.contains(&port))
        {
            return Err(Forbidden::Port);
        }
        match addresses {
            Some(address) => self.check_addresses(&[address], false, encrypted),
            None => Ok(()),
        }
    }

    /// Checks all addresses of a host. `named` tells whether the host is on the list of hosts.
    ///
    /// One forbidden address forbids the host, because the client may connect to any of its addresses.
    pub fn check_addresses(&self, all: &[IpAddr], named: bool, encrypted: bool) -> Result<(), Forbidden> {
        if all.is_empty() {
            return Err(Forbidden::Unresolved);
        }
        if all.iter().any(|address| is_metadata(*address)) {
            return Err(Forbidden::Metadata);
        }
        if all.iter().all(|address| self.lists(*address)) {
            return Ok(());
        }
        if !all.iter().all(|address| is_public(*address)) {
            return Err(Forbidden::Address);
        }
        match (named, encrypted) {
            (true, true) => Ok(()),
            (true, false) => Err(Forbidden::HttpElsewhere),
            (false, _) => Err(Forbidden::Elsewhere),
        }
    }

    /// Returns what the rules allow, if that is only this machine; `None` if they allow anything else.
    pub(super) fn local_destinations(&self) -> Option<String> {
        let local = self.hosts.iter().all(|host| host.matches("localhost"))
            && self.networks.iter().all(Network::is_loopback);
        if !local || (self.hosts.is_empty() && self.networks.is_empty()) {
            return None;
        }
        let hosts = self.hosts.iter().map(ToString::to_string);
        let networks = self.networks.iter().map(ToString::to_string);
        let ports: Vec<_> = self.ports.iter().map(ToString::to_string).collect();
        let all: Vec<_> = hosts.chain(networks).collect();
        Some(format!("{} on port {}", all.join(", "), ports.join(", ")))
    }

    fn lists(&self, address: IpAddr) -> bool {
        let listed = |address| self.networks.iter().any(|network| network.contains(address));
        listed(address) || same_host(address).is_some_and(|inner| listed(IpAddr::V4(inner)))
    }
}

/// The metadata services of AWS, Azure, Google, Oracle and Alibaba, which hand out credentials.
const METADATA: [&str; 8] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
];

/// IPv4 ranges that are not public, by IANA's registry of special-purpose addresses (RFC 6890).
const SPECIAL_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// The only range of global unicast IPv6 addresses that IANA has assigned.
const GLOBAL_V6: [&str; 1] = ["2000::/3"];

/// Special ranges within it: Teredo, benchmarks, ORCHID, documentation and 6to4.
const SPECIAL_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// IPv6 addresses that NAT64 translates to IPv4 (RFC 6052, RFC 8215).
const TRANSLATED: [&str; 1] = ["64:ff9b::/96"];

fn among(list: &[IpNet], address: IpAddr) -> bool {
    list.iter().any(|network| network.contains(&address))
}

fn networks(list: &[&str]) -> Vec<IpNet> {
    let parse = |text: &&str| text.parse().expect("the ranges are written in this file");
    list.iter().map(parse).collect()
}

/// Whether the address, or an IPv4 address embedded in it, is that of a metadata service.
fn is_metadata(address: IpAddr) -> bool {
    static ALL: LazyLock<Vec<IpAddr>> = LazyLock::new(|| {
        let parse = |text: &&str| text.parse().expect("the addresses are written in this file");
        METADATA.iter().map(parse).collect()
    });
    ALL.contains(&address) || wrapped(address).is_some_and(|inner| ALL.contains(&IpAddr::V4(inner)))
}

/// Whether the address is public.
fn is_public(address: IpAddr) -> bool {
    static V4: LazyLock<Vec<IpNet>> = LazyLock::new(|| networks(&SPECIAL_V4));
    static V6: LazyLock<[Vec<IpNet>; 2]> = LazyLock::new(|| [networks(&GLOBAL_V6), networks(&SPECIAL_V6)]);
    match (address, same_host(address)) {
        (IpAddr::V4(_), _) => !among(&V4, address),
        (IpAddr::V6(_), Some(inner)) => !among(&V4, IpAddr::V4(inner)),
        (IpAddr::V6(_), None) => among(&V6[0], address) && !among(&V6[1], address),
    }
}

/// Returns the IPv4 address that an IPv6 address stands for: mapped, or translated by NAT64.
fn same_host(address: IpAddr) -> Option<Ipv4Addr> {
    static NAT64: LazyLock<Vec<IpNet>> = LazyLock::new(|| networks(&TRANSLATED));
    let IpAddr::V6(v6) = address else { return None };
    v6.to_ipv4_mapped()
        .or_else(|| among(&NAT64, address).then(|| last_four(v6)))
}

/// Returns an IPv4 address that is embedded in an IPv6 address in any way.
///
/// Beside those of [`same_host`], these are IPv4-compatible addresses, 6to4 and local NAT64. Hosts hardly use them
/// today, but an attacker could.
fn wrapped(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let [first, second, third, ..] = v6.segments();
    if first == 0x2002 {
        let [a, b] = second.to_be_bytes();
        let [c, d] = third.to_be_bytes();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    same_host(address).or_else(|| {
        let compatible = v6.segments()[..6] == [0; 6];
        let local_nat64 = [first, second, third] == [0x64, 0xff9b, 1];
        (compatible || local_nat64).then(|| last_four(v6))
    })
}

fn last_four(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests;
