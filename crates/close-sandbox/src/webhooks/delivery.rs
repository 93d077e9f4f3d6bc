//! Sends events to webhook subscribers: signed, one event per request, retried with a growing wait until it is too
//! late, and gives a subscription up that only fails.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::json::with_offset;
use crate::numbers::number::has_passed;
use crate::server::State;
use crate::settings::DeliverySettings;
use crate::webhooks::signature::sign;

/// An event that is to be sent, and to whom.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) event_id: String,
    /// Its place in the log.
    pub(crate) nth: u64,
    /// Until it can no longer be joined by another.
    pub(crate) wait: Duration,
    pub(crate) targets: Vec<Target>,
}

/// A place in a subscription's queue.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) subscription_id: String,
    pub(crate) generation: u64,
}

/// One request that was sent to a subscriber.
pub(crate) struct Attempt {
    subscription_id: String,
    event_id: String,
    nth: u32,
    at: Timestamp,
    /// The subscriber's status, or why there is none.
    result: Result<u16, String>,
}

impl Attempt {
    pub(crate) fn describe(&self) -> Value {
        json!({
            "subscription_id": self.subscription_id,
            "event_id": self.event_id,
            "attempt": self.nth,
            "at": with_offset(self.at),
            "status": self.result.as_ref().ok(),
            "error": self.result.as_ref().err(),
        })
    }

    fn succeeded(&self) -> bool {
        matches!(self.result, Ok(200..=299))
    }
}

/// Sends what comes out of the world until stopped.
pub(crate) async fn run(state: Arc<State>, mut outbox: UnboundedReceiver<Emitted>, stop: CancellationToken) {
    while let Some(Some(emitted)) = stop.run_until_cancelled(outbox.recv()).await {
        let settings = state.world().settings.delivery.clone();
        let held_back = settings
            .reorder
            .filter(|_| emitted.nth % 2 == 0)
            .unwrap_or_default();
        let wait = emitted.wait + settings.late + held_back;
        for target in emitted.targets {
            let (state, stop, event_id) = (Arc::clone(&state), stop.clone(), emitted.event_id.clone());
            tokio::spawn(async move {
                stop.run_until_cancelled(deliver(&state, &target, &event_id, wait))
                    .await;
            });
        }
    }
}

/// What is sent, the same in each attempt but for the signature.
struct Letter {
    body: Vec<u8>,
    url: String,
    verify_ssl: bool,
    key: Vec<u8>,
    signed_at: Timestamp,
}

async fn deliver(state: &State, target: &Target, event_id: &str, wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let Some(mut letter) = write(state, target, event_id) else {
        return;
    };
    let born = letter.signed_at;
    for nth in 1.. {
        let settings = state.world().settings.delivery.clone();
        let attempt = send(state, &settings, &letter, target, event_id, nth).await;
        let goes_on = settle(state, &settings, target, attempt, born);
        state.happened.notify_waiters();
        if !goes_on {
            return;
        }
        let doubled = settings
            .backoff
            .saturating_mul(1_u32.checked_shl(nth - 1).unwrap_or(u32::MAX));
        tokio::time::sleep(doubled.min(settings.backoff_cap)).await;
        let world = state.world();
        let position = world
            .subscriptions
            .iter()
            .find(|known| known.id == target.subscription_id);
        match position {
            // The queue was cleared, or the subscription is gone.
            Some(known) if known.generation != target.generation => return,
            None => return,
            Some(known) => letter.url.clone_from(&known.url),
        }
        if settings.sign_again {
            letter.signed_at = world.now();
        }
    }
}

/// Writes the event as it is now; nothing when its subscriber no longer wants it.
fn write(state: &State, target: &Target, event_id: &str) -> Option<Letter> {
    let mut world = state.world();
    let now = world.now();
    let organization_id = world.organization_id.clone();
    let event = world
        .events
        .iter()
        .find(|event| event.id == event_id)?
        .view(&organization_id);
    let subscription = world
        .subscriptions
        .iter_mut()
        .find(|known| known.id == target.subscription_id && known.generation == target.generation)?;
    if !subscription.wants(&event) {
        subscription.pending = subscription.pending.saturating_sub(1);
        return None;
    }
    let body = json!({ "subscription_id": subscription.id, "event": event });
    Some(Letter {
        body: body.to_string().into_bytes(),
        url: subscription.url.clone(),
        verify_ssl: subscription.verify_ssl,
        key: hex::decode(&subscription.signature_key).expect("keys are made as hex"),
        signed_at: now,
    })
}

async fn send(
    state: &State,
    settings: &DeliverySettings,
    letter: &Letter,
    target: &Target,
    event_id: &str,
    nth: u32,
) -> Attempt {
    let timestamp = letter.signed_at.as_second().to_string();
    let text_key = hex::encode(&letter.key);
    let key = if settings.signature_valid {
        letter.key.as_slice()
    } else {
        text_key.as_bytes()
    };
    let at = state.world().now();
    let sent = state.senders[usize::from(!letter.verify_ssl)]
        .post(&letter.url)
        .timeout(settings.timeout)
        .header("content-type", "application/json")
        .header("close-sig-hash", sign(key, &timestamp, &letter.body))
        .header("close-sig-timestamp", &timestamp)
        .body(letter.body.clone())
        .send()
        .await;
    let result = match sent {
        Ok(response) => Ok(response.status().as_u16()),
        Err(failure) if failure.is_timeout() => Err("The subscriber did not answer in time.".to_owned()),
        Err(failure) if failure.is_connect() => Err("The subscriber could not be reached.".to_owned()),
        Err(_) => Err("The subscriber did not answer.".to_owned()),
    };
    Attempt {
        subscription_id: target.subscription_id.clone(),
        event_id: event_id.to_owned(),
        nth,
        at,
        result,
    }
}

/// Notes how it went; whether it is to be tried again.
fn settle(
    state: &State,
    settings: &DeliverySettings,
    target: &Target,
    attempt: Attempt,
    born: Timestamp,
) -> bool {
    let mut world = state.world();
    let now = world.now();
    let succeeded = attempt.succeeded();
    let error = match &attempt.result {
        Ok(status) => format!("The subscriber answered {status}."),
        Err(text) => text.clone(),
    };
    world.attempts.push(attempt);
    let found = world
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
    if has_passed(failing_since, settings.pause_after, now) {
        subscription.pause("failing");
        return false;
    }
    let too_old = has_passed(born, settings.life, now);
    if too_old {
        subscription.pending = subscription.pending.saturating_sub(1);
    }
    !too_old
}
