//! The settings, read key by key with their defaults and bounds. Files that are named must be usable now; what is
//! on the network is not asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::config::environment::Secrets;
use crate::config::issuer::some_text;
use crate::config::limits::{base, count, log_level, span};
use crate::config::secret::{SecretSource, StoreUrl, read_secret, unusable_api_key, unusable_webhook_key};
use crate::config::traces::traces;
use crate::config::{CloseConfig, Config, Events, Inventory, Limits, Log, LogFormat, Orders};
use crate::domain::input::fields::{Fields, Node};

const CLOSE: &str = "https://api.close.com/api/v1";

/// Reads settings whose relative paths start at `folder`.
pub(super) struct Reader<'a> {
    pub(super) folder: &'a Path,
    pub(super) secrets: &'a Secrets,
}

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
            (Some(_), Some(_)) => whole.fault("has `url` and `url_file`: give one of the two"),
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

    /// A secret by `names`: its key for a value, its key for a file, and its path. A value is taken from the
    /// environment only: files are committed, copied and mailed.
    #[expect(
        clippy::option_option,
        reason = "outside: whether it was read without a fault; inside: whether it is there"
    )]
    pub(super) fn secret(
        &self,
        fields: &mut Fields<'_>,
        names: (&'static str, &'static str, &'static str),
        unusable: fn(&str) -> Option<&'static str>,
    ) -> Option<Option<SecretSource>> {
        let (value_key, file_key, path) = names;
        let variable = format!("NUMBERDESK_{}", path.replace('.', "__").to_ascii_uppercase());
        let written = fields.nullable(value_key, |node| {
            node.fault::<()>(format!(
                "a secret does not belong in this file: use `{file_key}`, or {variable} in the environment"
            ))
        });
        let value = self.secrets.get(path);
        let file = fields.nullable(file_key, |node| {
            if value.is_some() {
                return node.fault(format!("stands beside {variable}: give one of the two"));
            }
            let source = SecretSource::File(self.path(&node)?);
            match source.read().map(|secret| unusable(secret.expose_secret())) {
                Ok(None) => Some(source),
                Ok(Some(wrong)) => node.fault(format!("the file's text {wrong}")),
                Err(fault) => node.fault(fault),
            }
        });
        written?;
        Some(file?.or_else(|| value.cloned().map(SecretSource::Value)))
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

    /// A path; a relative one starts where the file stands that names it.
    pub(super) fn path(&self, node: &Node<'_>) -> Option<PathBuf> {
        some_text(node).map(|text| self.folder.join(text))
    }

    /// A file that can be opened.
    pub(super) fn readable(&self, node: &Node<'_>) -> Option<PathBuf> {
        let path = self.path(node)?;
        match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(about) if about.is_file() => Some(path),
            Ok(_) => node.fault(format!("{} is not a file", path.display())),
            Err(cause) => node.fault(format!("can't read {}: {cause}", path.display())),
        }
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

/// A key with a default.
pub(super) fn or<'a, T>(
    fields: &mut Fields<'a>,
    name: &'static str,
    read: impl FnOnce(Node<'a>) -> Option<T>,
    default: T,
) -> Option<T> {
    fields.optional(name, read).map(|value| value.unwrap_or(default))
}

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
