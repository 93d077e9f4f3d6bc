//! The API keys that are or were the service's own, by the ids that Close's event log shows.
//!
//! An operator replaces the key from time to time. Numbers that an earlier key rented stay the service's own, so an id
//! is never forgotten. Nothing is derived from a key: only ids that Close itself has shown are stored.

use std::collections::{BTreeMap, BTreeSet};

use crate::close::Creation;
use crate::desk::core::Core;
use crate::domain::id::PhoneNumberId;
use crate::error::Error;

/// Returns the ids of all own keys, after it has learned from these creations of numbers.
///
/// A key is certainly the service's own if this process uses it, or if it created a number that Close named in its
/// answer to a paid call of the service.
pub(in crate::desk) async fn own_keys(
    core: &Core,
    creations: &BTreeMap<PhoneNumberId, Creation>,
) -> Result<BTreeSet<String>, Error> {
    let mut keys = core.store.own_keys().await?;
    let unknown: BTreeMap<&PhoneNumberId, &String> = creations
        .iter()
        .filter_map(|(id, creation)| Some((id, creation.api_key.as_ref()?)))
        .filter(|(_, key)| !keys.contains(*key))
        .collect();
    let ids: Vec<_> = unknown.keys().map(|id| (*id).clone()).collect();
    let confirmed = core.store.confirmed_by_response(&ids).await?;
    let learned: BTreeSet<String> = unknown
        .iter()
        .filter(|(id, key)| core.close.has_used_key(key) || confirmed.contains(id))
        .map(|(_, key)| (*key).clone())
        .collect();
    if !learned.is_empty() {
        core.store.add_own_keys(&learned, core.now()).await?;
        keys.extend(learned);
    }
    Ok(keys)
}
