//! Watches the files beside the configuration: policy, API key, signature keys and issuers' keys take effect on change.
//!
//! Files are polled, because notifications do not work on all file systems (Kubernetes replaces symbolic links).

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
    let it = auth.clone();
    workers.every("keys", FILE_POLL, FILE_POLL, move || {
        let it = it.clone();
        async move {
            it.refresh().await;
            Ok::<(), Infallible>(())
        }
    });
    let (it, told, file) = (desk.clone(), status.clone(), config.policy_file.clone());
    let clusters: Arc<[String]> = config.clusters().into();
    workers.every("policy", FILE_POLL, FILE_POLL, move || {
        watch_policy(it.clone(), told.clone(), file.clone(), Arc::clone(&clusters))
    });
    if let Some(keys) = config.close.webhook_key.clone() {
        let (it, told) = (desk.clone(), status.clone());
        workers.every("webhook-key", FILE_POLL, FILE_POLL, move || {
            let news = signature_keys(&keys).map(|keys| it.subscription.set_keys(keys));
            told.record("webhook_signature_key", it.now(), &news, None);
            async move { news }
        });
    }
    let (it, told, key) = (desk.clone(), status.clone(), config.close.api_key.clone());
    workers.every("api-key", FILE_POLL, FILE_POLL, move || {
        let (it, told, read) = (it.clone(), told.clone(), key.read_api_key());
        async move {
            let news = match read {
                Ok(key) => it.api_key.rotate(key).await.map_err(|unfit| unfit.to_string()),
                Err(wrong) => Err(wrong),
            };
            metrics::gauge!(CLOSE_KEY_GOOD).set(f64::from(u8::from(news.is_ok())));
            told.record("api_key", it.now(), &news, None);
            news
        }
    });
}

/// Reads the policy for these trusted clusters. Without a file, nothing is allowed.
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
        .map_err(|wrong| wrong.to_string())
}

/// Applies a changed policy. An empty or broken file keeps the last valid policy, and is an error of every step.
async fn watch_policy(
    desk: Desk,
    status: ReloadStatus,
    file: Option<PathBuf>,
    clusters: Arc<[String]>,
) -> Result<(), String> {
    let read = read_policy(file.as_ref(), &clusters);
    let news = read.as_ref().map(drop).map_err(|faults| {
        let faults = faults.join("; ");
        format!("policy file rejected, the last valid policy stays in force: {faults}")
    });
    if file.is_some() {
        metrics::gauge!(POLICY_GOOD).set(f64::from(u8::from(news.is_ok())));
        status.record("policy", desk.now(), &news, None);
    }
    let told = desk.policy.reload(read).await;
    news?;
    told.map_err(|error| format!("policy change not recorded: {error}"))
}

/// Reads the policy; an empty file is an error, because a file that is being written may be empty.
fn read_policy(file: Option<&PathBuf>, clusters: &[String]) -> Result<Policy, Vec<String>> {
    if let Some(path) = file
        && std::fs::read_to_string(path).is_ok_and(|text| text.trim().is_empty())
    {
        return Err(vec![format!("{} is empty", path.display())]);
    }
    policy(file, clusters).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}
