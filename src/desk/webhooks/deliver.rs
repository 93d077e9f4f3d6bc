//! Delivering webhooks: claim what is due, send it, write down how that ended. A process that dies in between leaves a
//! claim that ends by itself, and the event is sent again under the same id.

use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::desk::Desk;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::delivery::Delivery;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{EndpointId, RequestId};
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DisabledReason, Endpoint};
use crate::error::{Error, chain};
use crate::failpoint;
use crate::outgoing::{Answer, Message, RetryAfter};
use crate::store::{AttemptResult, DisableEndpoint};
use crate::telemetry::metrics::{
    WEBHOOK_DELIVERIES_PENDING, WEBHOOK_DELIVERIES_TOTAL, WEBHOOK_OLDEST_PENDING_AGE_SECONDS,
};

/// Endpoints looked at in one step; the next step takes the next ones.
const BATCH: u32 = 64;
/// How much longer than a receiver may take a claim holds: time to write the outcome down.
const MARGIN: Duration = Duration::from_secs(15);
/// How long it is remembered what became of a delivery.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Deliveries forgotten in one transaction.
const FORGOTTEN: u32 = 1_000;

impl Desk {
    /// One step: may be run at any time, by any replica, any number of times. It begins what there is room for; whatever
    /// ends makes room and has the next step run.
    pub async fn deliver(&self) -> Result<(), Error> {
        if self.outgoing().is_err() {
            return Ok(());
        }
        for endpoint in self.0.store.due_endpoints(self.now(), BATCH).await? {
            if self.0.stop.is_cancelled() || !self.dispatch(&endpoint).await? {
                break;
            }
        }
        Ok(())
    }

    /// Forgets what is old, and tells how much is waiting.
    pub async fn tend_deliveries(&self) -> Result<(), Error> {
        let before = self.now().minus(KEPT);
        while self.0.store.delete_deliveries(before, FORGOTTEN).await? == u64::from(FORGOTTEN) {}
        let (pending, oldest) = self.0.store.pending_deliveries().await?;
        let age = oldest.map_or(0.0, |oldest| self.now().since(oldest).as_secs_f64());
        metrics::gauge!(WEBHOOK_DELIVERIES_PENDING).set(f64::from(pending));
        metrics::gauge!(WEBHOOK_OLDEST_PENDING_AGE_SECONDS).set(age);
        Ok(())
    }

    /// Claims what is due to one endpoint and begins to send it, each on a task of its own. `false`: there is no room.
    async fn dispatch(&self, id: &EndpointId) -> Result<bool, Error> {
        let (store, slots) = (&self.0.store, &self.0.deliveries);
        let free = slots.available_permits();
        if free == 0 {
            return Ok(false);
        }
        let now = self.now();
        let lease = self.0.settings.outgoing.timeout() + MARGIN;
        let holder = format!("{}/{}", self.0.holder, RequestId::generate(now));
        let claimed = store.claim_deliveries(id, &holder, now, lease, free).await?;
        let Some((endpoint, deliveries)) = claimed else {
            return Ok(true);
        };
        failpoint::reached("deliver.claimed");
        for delivery in deliveries {
            // Only steps take slots, and a process runs one at a time; a second one would wait here.
            let Ok(slot) = slots.clone().acquire_owned().await else {
                return Ok(false);
            };
            let (desk, endpoint, holder) = (self.clone(), endpoint.clone(), holder.clone());
            self.0.tracker.spawn(async move {
                desk.attempt(endpoint, delivery, &holder, slot).await;
            });
        }
        Ok(true)
    }

    async fn attempt(
        &self,
        endpoint: Endpoint,
        delivery: Delivery,
        holder: &str,
        slot: OwnedSemaphorePermit,
    ) {
        let (outgoing, now) = (&self.0.settings.outgoing, self.now());
        let answer = outgoing
            .send(&Message {
                url: &endpoint.url,
                endpoint: &endpoint.id,
                generations: &endpoint.generations(now, outgoing.overlap()),
                event: &delivery.event_id,
                at: now,
                body: &delivery.body,
            })
            .await;
        failpoint::reached("deliver.sent");
        if let Err(error) = self.settle_attempt(&endpoint, &delivery, holder, &answer).await {
            let error = chain(&error);
            tracing::warn!(delivery = %delivery.id, error, "how a webhook ended could not be written down; it is sent again");
        }
        drop(slot);
        // Also where nothing was written: there is room now.
        self.0.store.deliveries_due().notify_one();
    }

    async fn settle_attempt(
        &self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        holder: &str,
        answer: &Answer,
    ) -> Result<(), Error> {
        let now = self.now();
        let (settled, disabled) = self.judge_attempt(delivery, answer, now).await?;
        let outcome = told(answer);
        let word = match &settled {
            AttemptResult::Delivered => "delivered",
            AttemptResult::RetryAt(_) => "failed",
            AttemptResult::Dead => "dead",
        };
        let disabling = disabled.map(|reason| disabling(endpoint, reason, &outcome, now));
        let written = self
            .0
            .store
            .record_attempt(delivery, holder, &settled, &outcome, now, disabling.as_ref())
            .await?;
        if written {
            metrics::counter!(WEBHOOK_DELIVERIES_TOTAL, "outcome" => word).increment(1);
            let (endpoint, event) = (&endpoint.id, &delivery.event_id);
            tracing::debug!(%endpoint, %event, outcome, state = word, "sent a webhook");
        }
        Ok(())
    }

    /// What an answer means: to the delivery, and to the endpoint.
    async fn judge_attempt(
        &self,
        delivery: &Delivery,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<(AttemptResult, Option<DisabledReason>), Error> {
        let wish = match answer {
            Answer::Status {
                status: 200..=299, ..
            } => return Ok((AttemptResult::Delivered, None)),
            Answer::Status { status: 410, .. } => {
                return Ok((AttemptResult::Dead, Some(DisabledReason::Gone)));
            }
            Answer::Status {
                status: 429 | 503,
                retry_after: Some(after),
            } => Some(match after {
                RetryAfter::Delay(delay) => now.plus(*delay),
                RetryAfter::At(at) => *at,
            }),
            Answer::Status { .. } | Answer::Failed(_) | Answer::Forbidden(_) => None,
        };
        let retry_for = self.0.settings.outgoing.retry_for();
        if let Some(at) = delivery.next_attempt(now, retry_for, wish, share()) {
            return Ok((AttemptResult::RetryAt(at), None));
        }
        // It was tried for as long as anything is, and nothing else got through meanwhile either.
        let began = delivery.began_at.unwrap_or(now);
        let alive = self.0.store.delivered_since(&delivery.endpoint_id, began).await?;
        Ok((AttemptResult::Dead, (!alive).then_some(DisabledReason::Failing)))
    }
}

fn disabling(endpoint: &Endpoint, reason: DisabledReason, outcome: &str, now: Timestamp) -> DisableEndpoint {
    let event = Event::new(now, EventKind::EndpointDisabled, Some(&endpoint.team))
        .with("webhook_endpoint_id", json!(endpoint.id))
        .with("reason", json!(reason));
    let audit = AuditRow::new(now, Actor::desk(), Action::EndpointDisable, "disabled")
        .team(Some(&endpoint.team))
        .detail(json!({ "endpoint": endpoint.audit_detail(), "reason": reason, "outcome": outcome }));
    DisableEndpoint {
        url: endpoint.url.clone(),
        reason,
        event,
        audit,
    }
}

/// How an attempt ended, for whoever looks at the delivery.
fn told(answer: &Answer) -> String {
    match answer {
        Answer::Status { status, .. } => status.to_string(),
        Answer::Failed(reason) => (*reason).to_owned(),
        Answer::Forbidden(why) => format!("not sent: the URL {why}"),
    }
}

/// From 0 to 1, at random.
fn share() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the whole pause is taken.
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
