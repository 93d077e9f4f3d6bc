//! The section `[webhooks]`: webhooks to apps.

use crate::config::reader::Reader;
use crate::config::secret::unusable_master;
use crate::config::settings::Webhooks;
use crate::config::values::{or, seconds, span};
use crate::domain::input::fields::Node;

impl Reader<'_> {
    pub(super) fn webhooks(&self, node: Node<'_>) -> Option<Webhooks> {
        let mut fields = node.fields()?;
        let hosts = or(
            &mut fields,
            "hosts",
            |node| node.list(|item| item.parse()),
            Vec::new(),
        );
        let networks = or(
            &mut fields,
            "networks",
            |node| node.list(|item| item.parse()),
            Vec::new(),
        );
        let ports = or(&mut fields, "ports", |node| ports(&node), vec![443]);
        let allow_http = or(&mut fields, "allow_http", |node| node.boolean(), false);
        let secret = self.secret(
            &mut fields,
            ("secret", "secret_file", "webhooks.secret"),
            unusable_master,
        );
        let timeout = or(
            &mut fields,
            "timeout",
            |node| span(&node, "1s", "60s"),
            seconds(10),
        );
        let retry_for = or(
            &mut fields,
            "retry_for",
            |node| span(&node, "1m", "30d"),
            seconds(72 * 3_600),
        );
        let overlap = or(
            &mut fields,
            "overlap",
            |node| span(&node, "0s", "30d"),
            seconds(24 * 3_600),
        );
        fields.finish()?;
        Some(Webhooks {
            hosts: hosts?,
            networks: networks?,
            ports: ports?,
            allow_http: allow_http?,
            secret: secret?,
            timeout: timeout?,
            retry_for: retry_for?,
            overlap: overlap?,
        })
    }
}

fn ports(node: &Node<'_>) -> Option<Vec<u16>> {
    let ports = node.list(|item| {
        let port = item.integer(1, 65_535)?;
        Some(u16::try_from(port).expect("the bounds are those of a port"))
    })?;
    if ports.is_empty() {
        return node.fault("must name at least one port");
    }
    Some(ports)
}
