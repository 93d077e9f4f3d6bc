//! Sends events to webhook subscribers, one signed event per request.
//!
//! Failed deliveries are retried with a growing delay until they are too old. A subscription that only fails is
//! paused.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::queue::{DeliveryAttempt, DeliveryTarget, QueuedEvent};
use super::signature::sign;
use crate::settings::DeliverySettings;
use crate::shared::Shared;
use crate::time::has_elapsed;

/// Delivers queued events until stopped.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut outbox: UnboundedReceiver<QueuedEvent>,
    stop: CancellationToken,
) {
    while let Some(Some(queued)) = stop.run_until_cancelled(outbox.recv()).await {
        let settings = shared.state().settings.delivery.clone();
        let held_back = settings
            .reorder
            .filter(|_| queued.nth % 2 == 0)
            .unwrap_or_default();
        let wait = queued.wait + settings.late + held_back;
        for target in queued.targets {
            let (shared, stop, event_id) = (Arc::clone(&shared), stop.clone(), queued.event_id.clone());
            tokio::spawn(async move {
                stop.run_until_cancelled(deliver(&shared, &target, &event_id, wait))
                    .await;
            });
        }
    }
}

/// The content of a delivery: the same in every attempt, except for the signature.
struct Payload {
    body: Vec<u8>,
    url: String,
    verify_ssl: bool,
    key: Vec<u8>,
    signed_at: Timestamp,
}

async fn deliver(shared: &Shared, target: &DeliveryTarget, event_id: &str, wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let Some(mut payload) = build_payload(shared, target, event_id) else {
        return;
    };
    let created = payload.signed_at;
    for nth in 1.. {
        let settings = shared.state().settings.delivery.clone();
        let attempt = send(shared, &settings, &payload, target, event_id, nth).await;
        let retry = record_attempt(shared, &settings, target, attempt, created);
        shared.activity.notify_waiters();
        if !retry {
            return;
        }
        let doubled = settings
            .backoff
            .saturating_mul(1_u32.checked_shl(nth - 1).unwrap_or(u32::MAX));
        tokio::time::sleep(doubled.min(settings.backoff_cap)).await;
        let state = shared.state();
        let current = state
            .subscriptions
            .iter()
            .find(|known| known.id == target.subscription_id);
        match current {
            // The queue was cleared, or the subscription is gone.
            Some(known) if known.generation != target.generation => return,
            None => return,
            Some(known) => payload.url.clone_from(&known.url),
        }
        if settings.sign_again {
            payload.signed_at = state.now();
        }
    }
}

/// Builds the payload from the current state of the event, or `None` if the subscription no longer selects it.
fn build_payload(shared: &Shared, target: &DeliveryTarget, event_id: &str) -> Option<Payload> {
    let mut state = shared.state();
    let now = state.now();
    let organization_id = state.organization_id.clone();
    let event = state
        .events
        .iter()
        .find(|event| event.id == event_id)?
        .view(&organization_id);
    let subscription = state
        .subscriptions
        .iter_mut()
        .find(|known| known.id == target.subscription_id && known.generation == target.generation)?;
    if !subscription.wants(&event) {
        subscription.pending = subscription.pending.saturating_sub(1);
        return None;
    }
    let body = json!({ "subscription_id": subscription.id, "event": event });
    Some(Payload {
        body: body.to_string().into_bytes(),
        url: subscription.url.clone(),
        verify_ssl: subscription.verify_ssl,
        key: hex::decode(&subscription.signature_key).expect("signature keys are hex"),
        signed_at: now,
    })
}

async fn send(
    shared: &Shared,
    settings: &DeliverySettings,
    payload: &Payload,
    target: &DeliveryTarget,
    event_id: &str,
    nth: u32,
) -> DeliveryAttempt {
    let timestamp = payload.signed_at.as_second().to_string();
    let text_key = hex::encode(&payload.key);
    let key = if settings.signature_valid {
        payload.key.as_slice()
    } else {
        text_key.as_bytes()
    };
    let at = shared.state().now();
    let sent = shared
        .delivery_client(payload.verify_ssl)
        .post(&payload.url)
        .timeout(settings.timeout)
        .header("content-type", "application/json")
        .header("close-sig-hash", sign(key, &timestamp, &payload.body))
        .header("close-sig-timestamp", &timestamp)
        .body(payload.body.clone())
        .send()
        .await;
    let result = match sent {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) if error.is_timeout() => Err("The subscriber did not answer in time.".to_owned()),
        Err(error) if error.is_connect() => Err("The subscriber could not be reached.".to_owned()),
        Err(_) => Err("The subscriber did not answer.".to_owned()),
    };
    DeliveryAttempt {
        subscription_id: target.subscription_id.clone(),
        event_id: event_id.to_owned(),
        nth,
        at,
        result,
    }
}

/// Records an attempt. Returns whether to retry.
fn record_attempt(
    shared: &Shared,
    settings: &DeliverySettings,
    target: &DeliveryTarget,
    attempt: DeliveryAttempt,
    created: Timestamp,
) -> bool {
    let mut state = shared.state();
    let now = state.now();
    let succeeded = attempt.succeeded();
    let error = match &attempt.result {
        Ok(status) => format!("The subscriber answered {status}."),
        Err(text) => text.clone(),
    };
    state.attempts.push(attempt);
    let found = state
        .subscriptions
        .iter_mut()
        .find(|known| known.id == target.subscription_id && known.generation == target.generation);
    let Some(subscription) = found else { return false };
    if succeeded {
        subscription.pending = subscription.pending.saturating_sub(1);
        subscription.delivered += 1;
        subscription.failing_since = None;
        subscription.failed_in_a_row = 0;
        return false;
    }
    subscription.failed += 1;
    subscription.failed_in_a_row += 1;
    subscription.latest_error = Some(error);
    let failing_since = *subscription.failing_since.get_or_insert(now);
    if has_elapsed(failing_since, settings.pause_after, now) {
        subscription.pause("failing");
        return false;
    }
    let too_old = has_elapsed(created, settings.life, now);
    if too_old {
        subscription.pending = subscription.pending.saturating_sub(1);
    }
    !too_old
}
