//! Webhooks to apps: builds the client from the configuration, and starts the workers that deliver.

use std::time::Duration;

use crate::app::files::FILE_POLL;
use crate::app::workers::{RETRY, TICK, Workers};
use crate::config::{Config, SecretSource};
use crate::desk::Desk;
use crate::egress::Proxies;
use crate::http::ReloadStatus;
use crate::outgoing::{self, Outgoing};
use crate::store::Store;

/// How often old deliveries are deleted and pending ones are counted.
const MAINTENANCE: Duration = Duration::from_secs(15);

/// Starts the workers that deliver.
pub(super) fn spawn(
    workers: &Workers,
    config: &Config,
    desk: &Desk,
    store: &Store,
    outgoing: Outgoing,
    status: &ReloadStatus,
) {
    workers.woken(
        "webhooks",
        store.deliveries_due(),
        TICK,
        RETRY,
        step!(desk.webhooks.deliver),
    );
    workers.every("old-webhooks", MAINTENANCE, RETRY, step!(desk.webhooks.maintain));
    if config.webhooks.ca_file.is_some() {
        let (desk, status, outgoing) = (desk.clone(), status.clone(), outgoing.clone());
        workers.every("webhook-ca", FILE_POLL, FILE_POLL, move || {
            let outcome = outgoing.reload_authorities();
            status.record("webhook_ca", desk.now(), &outcome, None);
            std::future::ready(outcome)
        });
    }
    if let Some(secret) = config.webhooks.secret() {
        let (desk, status) = (desk.clone(), status.clone());
        workers.every("webhook-secret", FILE_POLL, FILE_POLL, move || {
            let outcome = secret.read_master().map(|master| outgoing.replace_master(master));
            status.record("webhook_secret", desk.now(), &outcome, None);
            async move { outcome }
        });
    }
}

/// Builds the client for webhooks to apps from the configuration.
pub(super) fn outgoing_client(config: &Config, proxies: &Proxies) -> anyhow::Result<Outgoing> {
    let webhooks = &config.webhooks;
    let secret = webhooks
        .secret()
        .as_ref()
        .map(SecretSource::read_master)
        .transpose();
    Outgoing::new(
        outgoing::Settings {
            rules: outgoing::Rules {
                hosts: webhooks.hosts.clone(),
                networks: webhooks.networks.clone(),
                ports: webhooks.ports(),
                allow_http: webhooks.allow_http,
            },
            secret: secret.map_err(anyhow::Error::msg)?,
            timeout: webhooks.timeout.get(),
            ca_file: webhooks.ca_file.as_deref().cloned(),
            proxies: config.proxy.webhooks.then(|| proxies.clone()),
            retry_for: webhooks.retry_for.get(),
            overlap: webhooks.overlap.get(),
        },
        outgoing::system_lookup(),
    )
}
