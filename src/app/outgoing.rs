//! Webhooks to apps: the client with its configured rules, and the workers that deliver.

use std::time::Duration;

use crate::app::files::FILE_POLL;
use crate::app::workers::{RETRY, TICK, Workers};
use crate::config::{Config, SecretSource};
use crate::desk::Desk;
use crate::http::ReloadStatus;
use crate::outgoing::{self, Outgoing};
use crate::store::Store;

/// How often old deliveries are deleted and pending ones are counted.
const TEND: Duration = Duration::from_secs(15);

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
    workers.every("old-webhooks", TEND, RETRY, step!(desk.webhooks.maintain));
    if let Some(secret) = config.webhooks.secret.clone() {
        let (it, told) = (desk.clone(), status.clone());
        workers.every("webhook-secret", FILE_POLL, FILE_POLL, move || {
            let news = secret.read_master().map(|master| outgoing.replace_master(master));
            told.record("webhook_secret", it.now(), &news, None);
            async move { news }
        });
    }
}

/// Builds the client for webhooks to apps from the configuration.
pub(super) fn outgoing_client(config: &Config) -> anyhow::Result<Outgoing> {
    let it = &config.webhooks;
    let secret = it.secret.as_ref().map(SecretSource::read_master).transpose();
    Outgoing::new(
        outgoing::Settings {
            rules: outgoing::Rules {
                hosts: it.hosts.clone(),
                networks: it.networks.clone(),
                ports: it.ports.clone(),
                allow_http: it.allow_http,
            },
            secret: secret.map_err(anyhow::Error::msg)?,
            timeout: it.timeout,
            retry_for: it.retry_for,
            overlap: it.overlap,
        },
        outgoing::system_lookup(),
    )
}
