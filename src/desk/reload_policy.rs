//! The policy file as it is now: a good one is put in force, a broken one turned down, and either is told once, by the
//! replica that comes first.

use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::desk::Desk;
use crate::error::Error;
use crate::policy::Policy;

/// Faults that are told of one file, and characters of each: the log has them all.
const FAULTS: usize = 20;
const LENGTH: usize = 500;

/// What this process has last seen told; what is told twice in a row is looked at once.
#[derive(Default)]
pub(super) struct Told(Mutex<Last>);

#[derive(Default, Clone, PartialEq)]
enum Last {
    #[default]
    Nothing,
    InForce(String),
    Rejected(String),
}

impl Desk {
    /// What the policy file holds, at each look: a policy, in force from the next request on, or its faults, which leave
    /// the last good one in force. Fails only when it can't be told; that is made up for at the next look.
    pub async fn enforce(&self, found: Result<Policy, Vec<String>>) -> Result<(), Error> {
        let last = self.0.enforced.last();
        let store = &self.0.store;
        let told = match found {
            Ok(policy) => {
                let fingerprint = policy.fingerprint();
                self.0.policy.store(Arc::new(policy));
                let told = Last::InForce(fingerprint.clone());
                if told == last {
                    return Ok(());
                }
                let mended = match &last {
                    Last::Rejected(digest) => Some(digest.as_str()),
                    _ => None,
                };
                let before = store
                    .record_policy_in_force(&fingerprint, mended, self.now())
                    .await?;
                if let Some(before) = before {
                    tracing::info!(before, now = fingerprint, "another policy is in force");
                }
                told
            }
            Err(faults) => {
                let digest = hex::encode(Sha256::digest(faults.join("\n")));
                let told = Last::Rejected(digest.clone());
                if told == last {
                    return Ok(());
                }
                let in_force = self.0.policy.load().fingerprint();
                let faults: Vec<String> = faults
                    .iter()
                    .take(FAULTS)
                    .map(|fault| fault.chars().take(LENGTH).collect())
                    .collect();
                store
                    .record_policy_rejected(&digest, &faults, &in_force, self.now())
                    .await?;
                told
            }
        };
        self.0.enforced.is(told);
        Ok(())
    }
}

impl Told {
    fn last(&self) -> Last {
        self.0.lock().clone()
    }
    fn is(&self, told: Last) {
        *self.0.lock() = told;
    }
}
