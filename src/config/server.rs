//! The section `[server]`: addresses, TLS, and the limits of a request.

use std::net::{IpAddr, Ipv6Addr};

use serde::Deserialize;
use serde_json::Value;
use url::Url;
use utoipa::ToSchema;

use crate::config::identity::TlsFiles;
use crate::config::values::{Address, BaseUrl, Origin};
use crate::domain::input::fault::Fault;
use crate::domain::input::read::{Input, part};
use crate::domain::input::values::{BoundedSpan, Whole};

/// The listeners, and the limits of a request.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The address of the API, its documentation, and Close's webhooks. `[::]:8080` answers IPv6 and IPv4.
    pub listen: Address,
    /// The address of `/livez`, `/readyz`, `/startupz` and `/metrics`. Never make it public.
    pub ops_listen: Address,
    /// Certificate and key of `listen`. Without them, `listen` serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The URL at which clients reach `listen`. Close delivers webhooks below it.
    ///
    /// By default `http://127.0.0.1` (with TLS `https://127.0.0.1`) with the port of `listen`, or `[::1]` if `listen` is
    /// that address. Port 0 means the port that was bound.
    public_url: Option<BaseUrl>,
    /// The maximum size of a request body, in bytes. The answer to a larger one is 413.
    pub body_limit: Whole<1_024, 16_777_216>,
    /// The time for a TLS handshake, and for the head of a request.
    pub header_timeout: BoundedSpan<1, 's', 120, 's'>,
    /// How long a connection may stay open between two requests. It must be longer than the load balancer in front of
    /// Numberdesk keeps its own connections, or the load balancer meets connections that are just closed.
    pub idle_timeout: BoundedSpan<1, 's', 1, 'h'>,
    /// How long a client may take no part of an answer. Numberdesk then closes the connection.
    ///
    /// It holds for every answer, also for exports and streams: about 1 KiB a second is enough.
    pub send_timeout: BoundedSpan<1, 's', 10, 'm'>,
    /// The maximum number of headers of a request. The answer to more is 431.
    pub max_headers: Whole<10, 1_000>,
    /// The origins of web pages that may call the API from a browser, such as `https://app.example.com`. None by default.
    cors_origins: Vec<Origin>,
    /// Whether `/readyz` is 503 while the database is unreachable or accepts no writes.
    ///
    /// By default, such a replica stays ready: it answers reads from memory, and orders get 503.
    pub ready_needs_database: bool,
    /// How long Numberdesk accepts requests after SIGTERM, while `/readyz` already fails, so that load balancers notice.
    pub drain: BoundedSpan<0, 's', 2, 'm'>,
    /// How long requests and paid calls may take to end after `drain`.
    pub grace: BoundedSpan<0, 's', 10, 'm'>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Address::loopback(8080),
            ops_listen: Address::loopback(9090),
            tls: None,
            public_url: None,
            body_limit: Whole(65_536),
            header_timeout: BoundedSpan::of(10, 's'),
            idle_timeout: BoundedSpan::of(75, 's'),
            send_timeout: BoundedSpan::of(30, 's'),
            max_headers: Whole(100),
            cors_origins: Vec::new(),
            ready_needs_database: false,
            drain: BoundedSpan::of(0, 's'),
            grace: BoundedSpan::of(30, 's'),
        }
    }
}

impl Server {
    /// Returns the URL at which clients reach `listen`.
    pub fn public_url(&self) -> Url {
        if let Some(url) = &self.public_url {
            return (**url).clone();
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = if self.listen.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST) {
            "[::1]"
        } else {
            "127.0.0.1"
        };
        format!("{scheme}://{host}:{}", self.listen.port())
            .parse()
            .expect("a port makes a URL")
    }

    /// Returns the origins of web pages that may call the API, as browsers write them.
    pub fn cors_origins(&self) -> Vec<String> {
        self.cors_origins
            .iter()
            .map(|origin| origin.to_string())
            .collect()
    }
}

impl Input for Server {
    fn check(server: &Value, faults: &mut Vec<Fault>) {
        let address = |name: &str, default: Address| match server.get(name) {
            Some(_) => part(server, &format!("/{name}")),
            None => Some(default),
        };
        let defaults = Self::default();
        if let (Some(listen), Some(ops_listen)) = (
            address("listen", defaults.listen),
            address("ops_listen", defaults.ops_listen),
        ) && listen.collides_with(&ops_listen)
        {
            let (pointer, message) = match server.get("ops_listen") {
                Some(_) => ("/ops_listen", "must not be the address of `listen`"),
                None => ("", "`listen` is the address of `ops_listen`: the two must differ"),
            };
            faults.push(Fault {
                pointer: pointer.to_owned(),
                message: message.to_owned(),
            });
        }
        if let Some(url) = part::<BaseUrl>(server, "/public_url")
            && server.get("tls").is_some()
            && url.scheme() != "https"
        {
            faults.push(Fault {
                pointer: "/public_url".to_owned(),
                message: "must be an https URL: with [server.tls], the listener accepts only TLS".to_owned(),
            });
        }
    }
}
