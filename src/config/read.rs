//! The whole configuration, and its small sections, read key by key with their defaults and bounds.
//!
//! The named files must be readable now. Nothing on the network is called.

use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use crate::config::reader::Reader;
use crate::config::secret::{StoreUrl, read_secret, unusable_api_key, unusable_webhook_key};
use crate::config::settings::{CloseConfig, Config, Events, Inventory, Limits, Log, LogFormat, Orders};
use crate::config::traces::traces;
use crate::config::values::{base, count, log_level, or, seconds, span};
use crate::domain::input::fields::Node;

const CLOSE: &str = "https://api.close.com/api/v1";

impl Reader<'_> {
    pub(super) fn config(&self, root: Node<'_>) -> Option<Config> {
        let mut file = root.fields()?;
        let server = file.required("server", |node| self.server(node));
        let limits = file.required("limits", limits);
        let store = file.required("store", |node| self.store(node));
        let close = file.required("close", |node| self.close(node));
        let auth = file.required("auth", |node| self.issuers(node));
        let policy_file = file.required("policy", |node| self.policy(node));
        let orders = file.required("orders", orders);
        let inventory = file.required("inventory", inventory);
        let events = file.required("events", events);
        let webhooks = file.required("webhooks", |node| self.webhooks(node));
        let traces = file.required("traces", traces);
        let log = file.required("log", log);
        file.finish()?;
        Some(Config {
            server: server?,
            limits: limits?,
            store: store?,
            close: close?,
            auth: auth?,
            policy_file: policy_file?,
            orders: orders?,
            inventory: inventory?,
            events: events?,
            webhooks: webhooks?,
            traces: traces?,
            log: log?,
        })
    }

    pub(super) fn store(&self, node: Node<'_>) -> Option<StoreUrl> {
        let mut fields = node.fields()?;
        let url = fields.nullable("url", |node| store_url(&node, node.string()?));
        let from_file = fields.nullable("url_file", |node| match read_secret(&self.path(&node)?) {
            Ok(text) => store_url(&node, text.expose_secret()),
            Err(fault) => node.fault(fault),
        });
        let whole = fields.node().clone();
        fields.finish()?;
        match (url?, from_file?) {
            (Some(_), Some(_)) => whole.fault("has `url` and `url_file`: set only one of the two"),
            (Some(url), None) | (None, Some(url)) => Some(url),
            (None, None) => {
                Some(StoreUrl::read("sqlite://numberdesk.db").expect("the default is well formed"))
            }
        }
    }

    fn close(&self, node: Node<'_>) -> Option<CloseConfig> {
        let mut fields = node.fields()?;
        let base_url = or(
            &mut fields,
            "base_url",
            |node| base(&node),
            CLOSE.parse().expect("the default is a URL"),
        );
        let api_key = self.secret(
            &mut fields,
            ("api_key", "api_key_file", "close.api_key"),
            unusable_api_key,
        );
        let webhook_key = self.secret(
            &mut fields,
            (
                "webhook_signature_key",
                "webhook_signature_key_file",
                "close.webhook_signature_key",
            ),
            unusable_webhook_key,
        );
        let subscribe = or(&mut fields, "subscribe", |node| node.boolean(), true);
        let timeout = or(
            &mut fields,
            "timeout",
            |node| span(&node, "1s", "120s"),
            seconds(30),
        );
        let webhook_tolerance = or(
            &mut fields,
            "webhook_tolerance",
            |node| span(&node, "1m", "30d"),
            seconds(72 * 3_600),
        );
        let whole = fields.node().clone();
        fields.finish();
        let Some(api_key) = api_key? else {
            return whole
                .fault("`api_key_file` is required (or NUMBERDESK_CLOSE__API_KEY in the environment)");
        };
        Some(CloseConfig {
            base_url: base_url?,
            api_key,
            subscribe: subscribe?,
            webhook_key: webhook_key?,
            timeout: timeout?,
            webhook_tolerance: webhook_tolerance?,
        })
    }

    #[expect(
        clippy::option_option,
        reason = "outside: whether it was read without a fault; inside: whether it is there"
    )]
    fn policy(&self, node: Node<'_>) -> Option<Option<PathBuf>> {
        let mut fields = node.fields()?;
        let file = fields.optional("file", |node| self.readable(&node));
        fields.finish()?;
        file
    }
}

fn store_url(node: &Node<'_>, text: &str) -> Option<StoreUrl> {
    match StoreUrl::read(text) {
        Ok(url) => Some(url),
        Err(wrong) => node.fault(wrong),
    }
}

fn limits(node: Node<'_>) -> Option<Limits> {
    let mut fields = node.fields()?;
    let number =
        |node: Node<'_>, min| count(&node, min, 1_000_000).and_then(|number| u32::try_from(number).ok());
    let requests_per_minute = or(&mut fields, "requests_per_minute", |node| number(node, 0), 600);
    let burst = fields.optional("burst", |node| number(node, 1));
    let in_flight = or(&mut fields, "in_flight", |node| count(&node, 1, 100_000), 512);
    let waiting_orders = fields.optional("waiting_orders", |node| count(&node, 0, 100_000));
    fields.finish()?;
    let (requests_per_minute, in_flight) = (requests_per_minute?, in_flight?);
    Some(Limits {
        requests_per_minute,
        burst: burst?.unwrap_or(requests_per_minute),
        in_flight,
        waiting_orders: waiting_orders?.unwrap_or(in_flight / 2),
    })
}

fn orders(node: Node<'_>) -> Option<Orders> {
    let mut fields = node.fields()?;
    let wait = or(&mut fields, "wait", |node| span(&node, "0s", "60s"), seconds(25));
    let settle_after = or(
        &mut fields,
        "settle_after",
        |node| span(&node, "1s", "24h"),
        seconds(300),
    );
    let reconcile_every = or(
        &mut fields,
        "reconcile_every",
        |node| span(&node, "1s", "1h"),
        seconds(30),
    );
    let lease_margin = or(
        &mut fields,
        "lease_margin",
        |node| span(&node, "1s", "10m"),
        seconds(30),
    );
    let approval_expires = or(
        &mut fields,
        "approval_expires",
        |node| span(&node, "1m", "30d"),
        seconds(72 * 3_600),
    );
    fields.finish()?;
    Some(Orders {
        wait: wait?,
        settle_after: settle_after?,
        reconcile_every: reconcile_every?,
        lease_margin: lease_margin?,
        approval_expires: approval_expires?,
    })
}

fn inventory(node: Node<'_>) -> Option<Inventory> {
    let mut fields = node.fields()?;
    let full_sync = or(
        &mut fields,
        "full_sync",
        |node| span(&node, "1s", "24h"),
        seconds(900),
    );
    let catch_up = or(
        &mut fields,
        "catch_up",
        |node| span(&node, "1s", "24h"),
        seconds(300),
    );
    fields.finish()?;
    Some(Inventory {
        full_sync: full_sync?,
        catch_up: catch_up?,
    })
}

fn events(node: Node<'_>) -> Option<Events> {
    let mut fields = node.fields()?;
    let keep = or(
        &mut fields,
        "keep",
        |node| span(&node, "1h", "365d"),
        seconds(30 * 24 * 3600),
    );
    fields.finish()?;
    Some(Events { keep: keep? })
}

fn log(node: Node<'_>) -> Option<Log> {
    let mut fields = node.fields()?;
    let format = or(&mut fields, "format", |node| node.parse(), LogFormat::Auto);
    let level = or(&mut fields, "level", |node| log_level(&node), "info".to_owned());
    fields.finish()?;
    Some(Log {
        format: format?,
        level: level?,
    })
}
