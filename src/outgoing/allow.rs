//! Where webhooks may go: pure judgement of a URL and of the addresses that its host stands for. Whatever a setting
//! does not name is out of reach; it does no look-ups itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;
use url::{Host, Url};

use crate::domain::network::{HostPattern, Network};

/// What the operator allows.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `webhooks.hosts`
    pub hosts: Vec<HostPattern>,
    /// `webhooks.networks`
    pub networks: Vec<Network>,
    /// `webhooks.ports`
    pub ports: Vec<u16>,
    /// `webhooks.allow_http`
    pub allow_http: bool,
}

/// Why a URL may not be called, in words for whoever registered it: they name the setting and no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Neither https nor http.
    #[error("must be an https URL")]
    Scheme,
    /// Plain http, which nobody allowed.
    #[error("must be an https URL; http is taken only where `webhooks.allow_http` allows it")]
    Http,
    /// A user or a password.
    #[error("must not contain a user or a password")]
    User,
    /// A fragment.
    #[error("must not contain a fragment")]
    Fragment,
    /// No host, or one that ends in a dot.
    #[error("must name a host, without a dot at its end")]
    Host,
    /// A port that is not listed.
    #[error("must use one of the ports that the setting `webhooks.ports` lists")]
    Port,
    /// A host that is not listed.
    #[error("must name a host that the setting `webhooks.hosts` lists")]
    Unlisted,
    /// An address out of reach.
    #[error(
        "must not lead to a private or special address that the setting `webhooks.networks` does not list"
    )]
    Address,
    /// An address outside the listed networks, to which only listed hosts may lead.
    #[error("must lead to an address that the setting `webhooks.networks` lists")]
    Elsewhere,
    /// Plain http to an address that is not listed.
    #[error(
        "must be an https URL: http is taken only to addresses that the setting `webhooks.networks` lists"
    )]
    HttpElsewhere,
    /// An address of a cloud's metadata service.
    #[error("must not lead to a metadata service; no setting allows that")]
    Metadata,
    /// No address at all.
    #[error("must name a host that can be resolved")]
    Unresolved,
}

impl Rules {
    /// Judges everything about the URL but the addresses of a host that is given by name.
    pub fn url(&self, url: &Url) -> Result<(), Forbidden> {
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
            // `url` has turned decimal, octal and hexadecimal spellings into addresses, and other scripts into punycode.
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
            Some(address) => self.addresses(&[address], false, encrypted),
            None => Ok(()),
        }
    }

    /// Judges all addresses that a host stands for, which is `named` when it is listed by its name. One bad address
    /// condemns them all: which of them is connected to is not ours to choose.
    pub fn addresses(&self, all: &[IpAddr], named: bool, encrypted: bool) -> Result<(), Forbidden> {
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

    fn lists(&self, address: IpAddr) -> bool {
        let listed = |address| self.networks.iter().any(|network| network.contains(address));
        listed(address) || same_host(address).is_some_and(|inner| listed(IpAddr::V4(inner)))
    }
}

/// Where clouds hand out credentials: to AWS, Azure, Google, Oracle and Alibaba what a root password is elsewhere.
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

/// What is not public of IPv4, by IANA's registry of special-purpose addresses (RFC 6890).
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

/// The only global unicast addresses of IPv6 that were ever assigned.
const GLOBAL_V6: [&str; 1] = ["2000::/3"];

/// What is special among them: Teredo, benchmarks, ORCHID, documentation, 6to4.
const SPECIAL_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// IPv4 behind IPv6 by translation (RFC 6052, RFC 8215).
const TRANSLATED: [&str; 1] = ["64:ff9b::/96"];

fn among(list: &[IpNet], address: IpAddr) -> bool {
    list.iter().any(|network| network.contains(&address))
}

fn networks(list: &[&str]) -> Vec<IpNet> {
    let parse = |text: &&str| text.parse().expect("the ranges are written in this file");
    list.iter().map(parse).collect()
}

/// Whether any IPv4 address in this one, however it is wrapped, or itself is that of a metadata service.
fn is_metadata(address: IpAddr) -> bool {
    static ALL: LazyLock<Vec<IpAddr>> = LazyLock::new(|| {
        let parse = |text: &&str| text.parse().expect("the addresses are written in this file");
        METADATA.iter().map(parse).collect()
    });
    ALL.contains(&address) || wrapped(address).is_some_and(|inner| ALL.contains(&IpAddr::V4(inner)))
}

/// Whether the whole internet may route to it.
fn is_public(address: IpAddr) -> bool {
    static V4: LazyLock<Vec<IpNet>> = LazyLock::new(|| networks(&SPECIAL_V4));
    static V6: LazyLock<[Vec<IpNet>; 2]> = LazyLock::new(|| [networks(&GLOBAL_V6), networks(&SPECIAL_V6)]);
    match (address, same_host(address)) {
        (IpAddr::V4(_), _) => !among(&V4, address),
        (IpAddr::V6(_), Some(inner)) => !among(&V4, IpAddr::V4(inner)),
        (IpAddr::V6(_), None) => among(&V6[0], address) && !among(&V6[1], address),
    }
}

/// The IPv4 host that an IPv6 address is another name for: mapped, or translated by NAT64.
fn same_host(address: IpAddr) -> Option<Ipv4Addr> {
    static NAT64: LazyLock<Vec<IpNet>> = LazyLock::new(|| networks(&TRANSLATED));
    let IpAddr::V6(v6) = address else { return None };
    v6.to_ipv4_mapped()
        .or_else(|| among(&NAT64, address).then(|| last_four(v6)))
}

/// The same, and also where no host of today would go that way: compatible addresses, 6to4, local NAT64.
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
