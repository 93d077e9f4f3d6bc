//! The collector that takes the exported files by POST.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::folder::Batch;
use crate::egress::{Client, Proxies, Rules, Trust};

/// How long a file may take.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Sends files to one URL.
pub(super) struct Collector {
    client: Client,
    url: Url,
    token_file: Option<PathBuf>,
}

impl Collector {
    pub(super) fn new(url: Url, token_file: Option<PathBuf>, trust: Trust) -> anyhow::Result<Self> {
        let proxies = Proxies::new(Rules::from_variables(|name| std::env::var(name).ok())?);
        let client = Client::new(trust, Some(proxies), || {
            reqwest::Client::builder()
                .timeout(TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
        })?;
        Ok(Self {
            client,
            url,
            token_file,
        })
    }

    /// Sends a file. A repeated one has the same bytes and the same `Idempotency-Key`.
    pub(super) async fn send(&self, batch: &Batch) -> anyhow::Result<()> {
        let mut request = self
            .client
            .current()
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header("Idempotency-Key", batch.name())
            .body(batch.lines().to_vec());
        if let Some(file) = &self.token_file {
            let token = std::fs::read_to_string(file);
            let token = token.with_context(|| format!("{} can't be read", file.display()))?;
            request = request.bearer_auth(token.trim());
        }
        let host = self.url.host_str().unwrap_or_default();
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let response = sent.with_context(|| {
            format!(
                "the collector {host} does not respond; the next run sends {} again",
                batch.name()
            )
        })?;
        let status = response.status();
        if !status.is_success() {
            bail!(
                "the collector {host} answers {status}; the next run sends {} again",
                batch.name()
            );
        }
        Ok(())
    }
}
