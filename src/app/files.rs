//! Polls the files that the configuration names: a changed policy or key takes effect without a restart.
//!
//! Polling works on every file system. Change notifications do not: Kubernetes, for example, replaces symbolic links.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::app::settings::proxy_rules;
use crate::app::workers::Workers;
use crate::auth::Auth;
use crate::close::{CloseClient, SignatureKey};
use crate::config::{Config, SecretSource};
use crate::desk::Desk;
use crate::domain::input::document::FileFault;
use crate::domain::time::Clock;
use crate::egress::Proxies;
use crate::http::ReloadStatus;
use crate::policy::{Issuers, Policy};
use crate::telemetry::metrics::{CLOSE_KEY_GOOD, POLICY_GOOD};

/// The interval between two reads of a file: changes take effect well within 30 s.
pub(super) const FILE_POLL: Duration = Duration::from_secs(5);

/// The log message about a policy that is invalid, or whose change cannot be recorded.
const POLICY_FAILED: &str = "policy reload failed; retrying";

/// Starts the workers that read files.
pub(super) fn spawn(workers: &Workers, config: &Config, desk: &Desk, auth: &Auth, status: &ReloadStatus) {
    let issuers = auth.clone();
    workers.every("keys", FILE_POLL, FILE_POLL, move || {
        let issuers = issuers.clone();
        async move {
            issuers.refresh().await;
            Ok::<(), Infallible>(())
        }
    });
    let (policy_desk, policy_status, file) = (
        desk.clone(),
        status.clone(),
        config.policy.file.as_deref().cloned(),
    );
    let trusted = Arc::new(trusted_issuers(config));
    workers.every_or("policy", POLICY_FAILED, FILE_POLL, move || {
        reload_policy(
            policy_desk.clone(),
            policy_status.clone(),
            file.clone(),
            Arc::clone(&trusted),
        )
    });
    if let Some(keys) = config.close.webhook_key() {
        let (desk, status) = (desk.clone(), status.clone());
        workers.every("webhook-key", FILE_POLL, FILE_POLL, move || {
            let outcome = signature_keys(&keys).map(|keys| desk.subscription.set_keys(keys));
            status.record("webhook_signature_key", desk.now(), &outcome, None);
            async move { outcome }
        });
    }
    let (desk, status, key) = (desk.clone(), status.clone(), config.close.api_key());
    workers.every("api-key", FILE_POLL, FILE_POLL, move || {
        let (desk, status, read) = (desk.clone(), status.clone(), key.read_api_key());
        async move {
            let outcome = match read {
                Ok(key) => desk.api_key.rotate(key).await.map_err(|error| error.to_string()),
                Err(error) => Err(error),
            };
            metrics::gauge!(CLOSE_KEY_GOOD).set(f64::from(u8::from(outcome.is_ok())));
            status.record("api_key", desk.now(), &outcome, None);
            outcome
        }
    });
}

/// Starts the workers that read the file of the proxy, and those of authorities.
pub(super) fn spawn_egress(
    workers: &Workers,
    config: &Config,
    proxies: Proxies,
    close: CloseClient,
    status: &ReloadStatus,
    clock: Clock,
) {
    if config.proxy.in_file() {
        let (config, status, clock) = (config.clone(), status.clone(), clock.clone());
        workers.every("proxy", FILE_POLL, FILE_POLL, move || {
            let outcome = proxy_rules(&config).map(|rules| proxies.replace(rules));
            status.record("proxy", clock.now(), &outcome, None);
            std::future::ready(outcome)
        });
    }
    if config.close.ca_file.is_some() {
        let status = status.clone();
        workers.every("close-ca", FILE_POLL, FILE_POLL, move || {
            let outcome = close.reload_authorities();
            status.record("close_ca", clock.now(), &outcome, None);
            std::future::ready(outcome)
        });
    }
}

/// Reads the policy that the configuration names. Without a file, it allows nothing.
pub fn policy(config: &Config) -> Result<Policy, Vec<FileFault>> {
    parse_policy(config.policy.file.as_deref(), &trusted_issuers(config))
}

/// Returns the trusted issuers, as far as the policy depends on them.
pub(super) fn trusted_issuers(config: &Config) -> Issuers {
    let clusters = config.clusters();
    let all = config.auth.issuers.iter().map(|issuer| issuer.issuer.to_string());
    Issuers {
        providers: all.filter(|issuer| !clusters.contains(issuer)).collect(),
        clusters,
    }
}

fn parse_policy(file: Option<&PathBuf>, issuers: &Issuers) -> Result<Policy, Vec<FileFault>> {
    let Some(path) = file else {
        return Ok(Policy::nothing());
    };
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Policy::parse_for(&name, &text, issuers),
        Err(error) => Err(vec![FileFault {
            file: name,
            line: None,
            column: None,
            key: String::new(),
            message: format!("can't be read: {error}"),
        }]),
    }
}

/// Reads the signature keys.
pub(super) fn signature_keys(source: &SecretSource) -> Result<Vec<SignatureKey>, String> {
    let keys = source.read_webhook_keys()?;
    let read = |key: &SecretString| key.expose_secret().parse::<SignatureKey>();
    keys.iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

/// Applies a changed policy.
///
/// With an empty or broken file, the last valid policy stays in force and every step returns an error.
async fn reload_policy(
    desk: Desk,
    status: ReloadStatus,
    file: Option<PathBuf>,
    issuers: Arc<Issuers>,
) -> Result<(), String> {
    let read = read_policy(file.as_ref(), &issuers);
    let outcome = read.as_ref().map(drop).map_err(|faults| {
        let faults = faults.join("; ");
        format!("policy file rejected, the last valid policy stays in force: {faults}")
    });
    if file.is_some() {
        metrics::gauge!(POLICY_GOOD).set(f64::from(u8::from(outcome.is_ok())));
        status.record("policy", desk.now(), &outcome, None);
    }
    let recorded = desk.policy.reload(read).await;
    outcome?;
    recorded.map_err(|error| format!("policy change not recorded: {error}"))
}

/// Reads the policy. An empty file is an error, because a file may be empty while another process writes it.
fn read_policy(file: Option<&PathBuf>, issuers: &Issuers) -> Result<Policy, Vec<String>> {
    if let Some(path) = file
        && std::fs::read_to_string(path).is_ok_and(|text| text.trim().is_empty())
    {
        return Err(vec![format!("{} is empty", path.display())]);
    }
    parse_policy(file, issuers).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}
