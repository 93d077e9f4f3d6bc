//! Reloads the policy file.
//!
//! A valid file takes effect, and the database keeps its text. With a broken file, the last valid policy stays in
//! force. Only the first replica that sees a change records it.

use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::desk::core::Core;
use crate::error::Error;
use crate::policy::Policy;
use crate::store::PolicyInForce;
use crate::telemetry::metrics::POLICY_INFO;

/// The most faults of a broken file that are recorded. The log has all of them.
const MAX_FAULTS: usize = 20;
/// The most characters of a fault that are recorded.
const MAX_FAULT_CHARS: usize = 500;

/// The policy file as this process last read it.
#[derive(Clone)]
pub struct PolicyFile {
    core: Core,
    last_reported: Arc<LastReported>,
}

/// The last result that this process reported. An unchanged result is skipped.
#[derive(Default)]
struct LastReported(Mutex<Report>);

#[derive(Default, Clone, PartialEq)]
enum Report {
    #[default]
    Nothing,
    /// The fingerprint of the policy in force, and the seal of its text. A new API key for Close changes the seal.
    InForce(String, Option<String>),
    /// The digest of the faults.
    Rejected(String),
}

impl PolicyFile {
    pub(in crate::desk) fn new(core: Core) -> Self {
        set_info(&core.policy.load().fingerprint(), 1);
        Self {
            core,
            last_reported: Arc::default(),
        }
    }

    /// Applies the result of reading the policy file: a policy, or the faults of the file.
    ///
    /// A policy takes effect with the next request. Fails only if the result cannot be recorded; the next call records
    /// it then.
    pub async fn reload(&self, found: Result<Policy, Vec<String>>) -> Result<(), Error> {
        let last = self.last_reported.get();
        let store = &self.core.store;
        let report = match found {
            Ok(policy) => {
                let fingerprint = policy.fingerprint();
                let seal = policy.text().map(|text| self.core.close.seal(text));
                let report = Report::InForce(fingerprint.clone(), seal.clone());
                if !matches!(&last, Report::InForce(known, _) if *known == fingerprint) {
                    for warning in policy.warnings() {
                        tracing::warn!(reason = warning.to_string(), "policy probably not meant so");
                    }
                }
                let policy = Arc::new(policy);
                let previous = self.core.policy.swap(policy.clone()).fingerprint();
                if previous != fingerprint {
                    set_info(&previous, 0);
                    set_info(&fingerprint, 1);
                    self.core.policy_changed.send_replace(());
                }
                if report == last {
                    return Ok(());
                }
                let repaired = match &last {
                    Report::Rejected(digest) => Some(digest.as_str()),
                    _ => None,
                };
                let in_force = PolicyInForce {
                    fingerprint: &fingerprint,
                    text: policy.text().zip(seal.as_deref()),
                };
                let before = store
                    .record_policy_in_force(in_force, repaired, self.core.now())
                    .await?;
                if let Some(before) = before {
                    tracing::info!(before, now = fingerprint, "policy changed");
                }
                report
            }
            Err(faults) => {
                let digest = hex::encode(Sha256::digest(faults.join("\n")));
                let report = Report::Rejected(digest.clone());
                if report == last {
                    return Ok(());
                }
                let in_force = self.core.policy.load().fingerprint();
                let faults: Vec<String> = faults
                    .iter()
                    .take(MAX_FAULTS)
                    .map(|fault| fault.chars().take(MAX_FAULT_CHARS).collect())
                    .collect();
                store
                    .record_policy_rejected(&digest, &faults, &in_force, self.core.now())
                    .await?;
                report
            }
        };
        self.last_reported.set(report);
        Ok(())
    }
}

/// Sets the gauge that shows replicas with different policies.
fn set_info(fingerprint: &str, value: u8) {
    metrics::gauge!(POLICY_INFO, "fingerprint" => fingerprint.to_owned()).set(f64::from(value));
}

impl LastReported {
    fn get(&self) -> Report {
        self.0.lock().clone()
    }
    fn set(&self, report: Report) {
        *self.0.lock() = report;
    }
}
