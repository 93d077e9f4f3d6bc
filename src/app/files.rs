//! Polls the files that the configuration names: a changed policy or key takes effect without a restart.
//!
//! Polling works on every file system. Change notifications do not: Kubernetes, for example, replaces symbolic links.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::app::workers::Workers;
use crate::auth::Auth;
use crate::close::SignatureKey;
use crate::config::{Config, SecretSource};
use crate::desk::Desk;
use crate::domain::input::document::FileFault;
use crate::http::ReloadStatus;
use crate::policy::Policy;
use crate::telemetry::metrics::{CLOSE_KEY_GOOD, POLICY_GOOD};

/// The interval between two reads of a file: changes take effect well within 30 s.
pub(super) const FILE_POLL: Duration = Duration::from_secs(5);

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
    let (policy_desk, policy_status, file) = (desk.clone(), status.clone(), config.policy_file.clone());
    let clusters: Arc<[String]> = config.clusters().into();
    workers.every("policy", FILE_POLL, FILE_POLL, move || {
        reload_policy(
            policy_desk.clone(),
            policy_status.clone(),
            file.clone(),
            Arc::clone(&clusters),
        )
    });
    if let Some(keys) = config.close.webhook_key.clone() {
        let (desk, status) = (desk.clone(), status.clone());
        workers.every("webhook-key", FILE_POLL, FILE_POLL, move || {
            let outcome = signature_keys(&keys).map(|keys| desk.subscription.set_keys(keys));
            status.record("webhook_signature_key", desk.now(), &outcome, None);
            async move { outcome }
        });
    }
    let (desk, status, key) = (desk.clone(), status.clone(), config.close.api_key.clone());
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

/// Reads the policy, whose service accounts may belong to these trusted clusters. Without a file, it allows nothing.
pub fn policy(file: Option<&PathBuf>, clusters: &[String]) -> Result<Policy, Vec<FileFault>> {
    let Some(path) = file else {
        return Ok(Policy::nothing());
    };
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Policy::parse_for(&name, &text, clusters),
        Err(error) => Err(vec![FileFault {
            file: name,
            line: None,
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
    clusters: Arc<[String]>,
) -> Result<(), String> {
    let read = read_policy(file.as_ref(), &clusters);
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
fn read_policy(file: Option<&PathBuf>, clusters: &[String]) -> Result<Policy, Vec<String>> {
    if let Some(path) = file
        && std::fs::read_to_string(path).is_ok_and(|text| text.trim().is_empty())
    {
        return Err(vec![format!("{} is empty", path.display())]);
    }
    policy(file, clusters).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}
