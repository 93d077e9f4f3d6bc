//! Webhooks to apps: builds the client from the configuration, and starts the workers that deliver.

use std::time::Duration;

use crate::app::files::FILE_POLL;
use crate::app::workers::{RETRY, TICK, Workers};
use crate::config::{Config, SecretSource};
use crate::desk::Desk;
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
    if let Some(secret) = config.webhooks.secret.clone() {
        let (desk, status) = (desk.clone(), status.clone());
        workers.every("webhook-secret", FILE_POLL, FILE_POLL, move || {
            let outcome = secret.read_master().map(|master| outgoing.replace_master(master));
            status.record("webhook_secret", desk.now(), &outcome, None);
            async move { outcome }
        });
    }
}

/// Builds the client for webhooks to apps from the configuration.
pub(super) fn outgoing_client(config: &Config) -> anyhow::Result<Outgoing> {
    let webhooks = &config.webhooks;
    let secret = webhooks
        .secret
        .as_ref()
        .map(SecretSource::read_master)
        .transpose();
    Outgoing::new(
        outgoing::Settings {
            rules: outgoing::Rules {
                hosts: webhooks.hosts.clone(),
                networks: webhooks.networks.clone(),
                ports: webhooks.ports.clone(),
                allow_http: webhooks.allow_http,
            },
            secret: secret.map_err(anyhow::Error::msg)?,
            timeout: webhooks.timeout,
            retry_for: webhooks.retry_for,
            overlap: webhooks.overlap,
        },
        outgoing::system_lookup(),
    )
}
