//! The policy that the database keeps, for a start while the policy file is broken or missing.

use std::time::Duration;

use secrecy::SecretString;

use crate::app::files::trusted_issuers;
use crate::close;
use crate::config::Config;
use crate::domain::time::Timestamp;
use crate::error::chain;
use crate::policy::Policy;
use crate::store::{LastPolicy, Store};

/// How long the database may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Returns the policy that was last in force, and since when. The error says why there is none.
///
/// The database is only read. A text is refused unless a process with the same API key for Close sealed it, no other
/// policy came into force after it, and it is valid with these settings: so it is one that a reviewed file once had.
pub async fn last_policy(config: &Config) -> Result<(Policy, Timestamp), String> {
    let url = config.store.url()?;
    let key = config.close.api_key().read_api_key()?;
    let read = tokio::time::timeout(TIMEOUT, read(url.secret()));
    let kept = read
        .await
        .map_err(|_| "the database does not answer".to_owned())??
        .ok_or("the database keeps none yet")?;
    if !close::is_sealed(&key, &kept.text, &kept.seal) {
        return Err("the one that the database keeps was not written with this API key for Close".to_owned());
    }
    if !kept.is_last {
        return Err("another policy was in force after the one that the database keeps".to_owned());
    }
    let policy =
        Policy::parse_for("the database", &kept.text, &trusted_issuers(config)).map_err(|faults| {
            let fault = faults.first().map(ToString::to_string).unwrap_or_default();
            format!("the one that the database keeps is not valid with these settings: {fault}")
        })?;
    Ok((policy.from_database(), kept.at))
}

async fn read(url: &SecretString) -> Result<Option<LastPolicy>, String> {
    let store = Store::open_read_only(url).await.map_err(|error| chain(&error))?;
    let kept = store.last_policy().await.map_err(|error| chain(&error));
    store.close().await;
    kept
}
