//! Watches Close's answers for changes of its API: counts them, logs each once, and keeps them for the store.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use reqwest::header::{HeaderMap, WARNING};
use serde_json::Value;

use crate::close::endpoint::Endpoint;
use crate::close::response::Outcome;
use crate::close::shape::{self, Findings};
use crate::domain::close_drift::{Drift, DriftKind, MOST};
use crate::telemetry::metrics::CLOSE_DRIFT_TOTAL;

/// The operation of webhooks; the others are the names of endpoints.
const DELIVERY: &str = "webhook";

/// The differences that this process has met.
#[derive(Debug, Default)]
pub(super) struct Radar(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// All that were logged.
    logged: BTreeSet<Drift>,
    /// Those that the store does not have yet.
    pending: BTreeSet<Drift>,
}

impl Radar {
    /// Compares an answer with the known API.
    pub(super) fn observe(&self, endpoint: Endpoint<'_>, headers: &HeaderMap, outcome: &Outcome) {
        let mut findings = match outcome {
            Outcome::Done(reply) => match object(endpoint) {
                Some(object) => shape::compare(object, &reply.body),
                None => Findings::new(),
            },
            Outcome::Refused(refusal) => {
                let word = refusal.close_status.as_deref();
                let unknown = word.is_some_and(|word| !shape::is_known_status(word));
                let finding = unknown.then(|| (DriftKind::UnknownStatus, "refusal.status".to_owned()));
                finding.into_iter().collect()
            }
            _ => Findings::new(),
        };
        for (kind, header) in [
            (DriftKind::DeprecationHeader, "deprecation"),
            (DriftKind::SunsetHeader, "sunset"),
            (DriftKind::WarningHeader, WARNING.as_str()),
        ] {
            if headers.contains_key(header) {
                findings.insert((kind, format!("header.{header}")));
            }
        }
        self.note(endpoint.name(), findings);
    }

    /// Compares the body of a verified webhook with the known API.
    pub(super) fn observe_delivery(&self, body: &Value) {
        // A subscription that a person extended delivers events of other objects, too.
        let object = body.get("event").and_then(|event| event.get("object_type"));
        if matches!(object.and_then(Value::as_str), Some("phone_number" | "group")) {
            self.note(DELIVERY, shape::compare("delivery", body));
        }
    }

    /// Notes that Close has retired a field of the paid call.
    pub(super) fn retired(&self, field: &str) {
        let finding = (DriftKind::RetiredField, format!("rent_request.{field}"));
        self.note(Endpoint::Rent.name(), Findings::from([finding]));
    }

    /// The differences that were met and not yet forgotten.
    pub(super) fn pending(&self) -> BTreeSet<Drift> {
        self.0.lock().pending.clone()
    }

    /// Forgets differences. Those that Close still shows are met again.
    pub(super) fn forget(&self, stored: &BTreeSet<Drift>) {
        self.0.lock().pending.retain(|drift| !stored.contains(drift));
    }

    fn note(&self, operation: &'static str, findings: Findings) {
        for (kind, path) in findings {
            metrics::counter!(CLOSE_DRIFT_TOTAL, "kind" => kind.as_str(), "operation" => operation)
                .increment(1);
            let drift = Drift {
                kind,
                operation: operation.to_owned(),
                path,
            };
            let mut seen = self.0.lock();
            if seen.pending.len() < MOST {
                seen.pending.insert(drift.clone());
            }
            if seen.logged.len() < MOST && seen.logged.insert(drift.clone()) {
                tracing::warn!(
                    kind = %kind,
                    endpoint = operation,
                    field = drift.path,
                    "answer of Close differs from the known API"
                );
            }
        }
    }
}

/// The object that a successful answer has; `None`: its content does not matter.
fn object(endpoint: Endpoint<'_>) -> Option<&'static str> {
    match endpoint {
        Endpoint::Rent | Endpoint::Read(_) | Endpoint::Update(_) => Some("phone_number"),
        Endpoint::List { .. } => Some("phone_number_page"),
        Endpoint::Events { .. } => Some("event_page"),
        Endpoint::Me => Some("me"),
        Endpoint::Members(_) => Some("group"),
        Endpoint::Subscriptions { .. } => Some("webhook_page"),
        Endpoint::Subscription(_) | Endpoint::Subscribe | Endpoint::ChangeSubscription(_) => Some("webhook"),
        Endpoint::Release(_) | Endpoint::Unsubscribe(_) => None,
    }
}
