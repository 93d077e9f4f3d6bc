//! The section `[server]`: addresses, TLS, and the limits of a request.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::reader::Reader;
use crate::config::settings::Server;
use crate::config::values::{base, count, or, seconds, span};
use crate::domain::input::fields::Node;

impl Reader<'_> {
    pub(super) fn server(&self, node: Node<'_>) -> Option<Server> {
        let mut fields = node.fields()?;
        let listen = or(
            &mut fields,
            "listen",
            |node| address(&node),
            ([127, 0, 0, 1], 8080).into(),
        );
        let ops_listen = or(
            &mut fields,
            "ops_listen",
            |node| {
                let ops = address(&node)?;
                match listen {
                    Some(listen) if collide(listen, ops) => node.fault("must not be the address of `listen`"),
                    _ => Some(ops),
                }
            },
            ([127, 0, 0, 1], 9090).into(),
        );
        let tls = fields.optional("tls", |node| self.tls(node));
        let encrypted = fields.has("tls");
        let public_url = fields.optional("public_url", |node| {
            let url = base(&node)?;
            if encrypted && url.scheme() != "https" {
                return node.fault("must be an https URL: with [server.tls], the listener accepts only TLS");
            }
            Some(url)
        });
        let body_limit = or(
            &mut fields,
            "body_limit",
            |node| count(&node, 1_024, 16_777_216),
            65_536,
        );
        let header_timeout = or(
            &mut fields,
            "header_timeout",
            |node| span(&node, "1s", "120s"),
            seconds(10),
        );
        let max_headers = or(&mut fields, "max_headers", |node| count(&node, 10, 1_000), 100);
        let drain = or(
            &mut fields,
            "drain",
            |node| span(&node, "0s", "2m"),
            Duration::ZERO,
        );
        let grace = or(&mut fields, "grace", |node| span(&node, "0s", "10m"), seconds(30));
        let whole = fields.node().clone();
        fields.finish()?;
        let (listen, ops_listen) = (listen?, ops_listen?);
        if collide(listen, ops_listen) {
            return whole.fault("`listen` is the address of `ops_listen`: the two must differ");
        }
        let here = || {
            let scheme = if encrypted { "https" } else { "http" };
            format!("{scheme}://127.0.0.1:{}", listen.port())
                .parse()
                .expect("a port makes a URL")
        };
        Some(Server {
            listen,
            ops_listen,
            tls: tls?,
            public_url: public_url?.unwrap_or_else(here),
            body_limit: body_limit?,
            header_timeout: header_timeout?,
            max_headers: max_headers?,
            drain: drain?,
            grace: grace?,
        })
    }
}

fn address(node: &Node<'_>) -> Option<SocketAddr> {
    match node.string()?.parse() {
        Ok(address) => Some(address),
        Err(_) => node.fault("must be an address and a port, like \"127.0.0.1:8080\" or \"[::1]:8080\""),
    }
}

/// Whether two listeners can't have these addresses at once. Port 0 means any free port, so it never collides.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same
}
