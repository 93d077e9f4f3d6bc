//! Delivers webhooks: claims due deliveries, sends them, and writes the outcomes.
//!
//! If the process dies before it writes the outcome, its claim expires and the event is sent again with the same id.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;

use crate::desk::each::each;
use crate::desk::webhooks::Webhooks;
use crate::domain::audit::{Action, Actor, AuditRow};
use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::event_data::WebhookEndpointData;
use crate::domain::event_kind::EventKind;
use crate::domain::fair_pool::FairPermit;
use crate::domain::id::{EndpointId, RequestId};
use crate::domain::team::Team;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DisabledReason, Endpoint};
use crate::error::{Error, chain};
use crate::failpoint;
use crate::outgoing::{Answer, Message, RetryAfter};
use crate::store::{AttemptResult, DisableEndpoint};
use crate::telemetry::metrics::{
    WEBHOOK_DELIVERIES_PENDING, WEBHOOK_DELIVERIES_TOTAL, WEBHOOK_OLDEST_PENDING_AGE_SECONDS,
};

/// Endpoints read in one step. The next step continues with the next ones.
const BATCH: u32 = 1_000;
/// Deliveries to one endpoint that are started at once.
const AT_ONCE: usize = 4;
/// How much longer than the timeout of a delivery its claim lasts: the time for writing the outcome.
const MARGIN: Duration = Duration::from_secs(15);
/// How long finished deliveries are kept.
const RETENTION: Duration = Duration::from_hours(30 * 24);
/// Deliveries deleted in one transaction.
const DELETE_BATCH: u32 = 1_000;

impl Webhooks {
    /// One step: starts as many due deliveries as there are free slots, for the teams in turn.
    ///
    /// A team gets a slot as long as it has fewer than are free. So the endpoints of one team, however slow they are and
    /// however many deliveries wait for them, leave slots for the others. A delivery that ends frees its slot and wakes
    /// the next step. Any replica can run the step at any time.
    pub async fn deliver(&self) -> Result<(), Error> {
        if self.outgoing().is_err() {
            return Ok(());
        }
        let due = self.core.store.due_endpoints(self.core.now(), BATCH).await?;
        let teams: BTreeSet<&Team> = due.iter().map(|(_, team)| team).collect();
        let share = (self.slots.free() / teams.len().max(1)).clamp(1, AT_ONCE);
        each(self.turns.sort(due), 1, |(endpoint, team)| async move {
            if self.core.tasks.stop.is_cancelled() {
                return Ok(());
            }
            let started = self.start_deliveries(&endpoint, &team, share).await;
            if started.is_err() {
                // Its turn is over: if this goes on, other teams come first in the next step.
                self.turns.served(&team);
            }
            started
        })
        .await
    }

    /// One step: deletes old deliveries, corrects times of wrong clocks, and sets the gauges of the pending ones.
    pub async fn maintain(&self) -> Result<(), Error> {
        let now = self.core.now();
        let corrected = self.core.store.correct_delivery_times(now).await?;
        if corrected > 0 {
            tracing::warn!(
                corrected,
                "webhook deliveries made due: a replica whose clock is wrong had stored their times"
            );
        }
        let before = now.minus(RETENTION);
        while self.core.store.delete_deliveries(before, DELETE_BATCH).await? == u64::from(DELETE_BATCH) {}
        let (pending, oldest) = self.core.store.pending_deliveries().await?;
        let age = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
        metrics::gauge!(WEBHOOK_DELIVERIES_PENDING).set(f64::from(pending));
        metrics::gauge!(WEBHOOK_OLDEST_PENDING_AGE_SECONDS).set(age);
        Ok(())
    }

    /// Claims up to `most` due deliveries of one endpoint, and sends each on a task of its own.
    async fn start_deliveries(&self, id: &EndpointId, team: &Team, most: usize) -> Result<(), Error> {
        let store = &self.core.store;
        let slots = std::iter::from_fn(|| self.slots.acquire(team.as_str()).ok());
        let slots: Vec<FairPermit> = slots.take(most).collect();
        if slots.is_empty() {
            return Ok(());
        }
        let now = self.core.now();
        let lease = self.core.settings.outgoing.timeout() + MARGIN;
        let holder = format!("{}/{}", self.core.tasks.process, RequestId::generate(now));
        let claimed = store
            .claim_deliveries(id, &holder, now, lease, slots.len())
            .await?;
        let Some((endpoint, deliveries)) = claimed else {
            return Ok(());
        };
        self.turns.served(team);
        failpoint::reached("deliver.claimed");
        for (delivery, slot) in deliveries.into_iter().zip(slots) {
            let (webhooks, endpoint, holder) = (self.clone(), endpoint.clone(), holder.clone());
            self.core.tasks.tracker.spawn(async move {
                webhooks.attempt(endpoint, delivery, &holder, slot).await;
            });
        }
        Ok(())
    }

    async fn attempt(&self, endpoint: Endpoint, delivery: Delivery, holder: &str, slot: FairPermit) {
        let (outgoing, now) = (&self.core.settings.outgoing, self.core.now());
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
        if let Err(error) = self.record_attempt(&endpoint, &delivery, holder, &answer).await {
            let error = chain(&error);
            tracing::warn!(
                delivery_id = %delivery.id,
                error,
                "delivery outcome not written; the webhook is sent again"
            );
        }
        drop(slot);
        // After a failure too, because a slot is free now.
        self.core.store.deliveries_due().notify_one();
    }

    async fn record_attempt(
        &self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        holder: &str,
        answer: &Answer,
    ) -> Result<(), Error> {
        let now = self.core.now();
        let (settled, disabled) = self.evaluate(delivery, answer, now).await?;
        let outcome = describe(answer);
        let state = match &settled {
            AttemptResult::Delivered => "delivered",
            AttemptResult::RetryAt(_) => "failed",
            AttemptResult::Dead => "dead",
        };
        let disabling = disabled.map(|reason| disabling(endpoint, reason, &outcome, now));
        let written = self
            .core
            .store
            .record_attempt(delivery, holder, &settled, &outcome, now, disabling.as_ref())
            .await?;
        if written {
            metrics::counter!(WEBHOOK_DELIVERIES_TOTAL, "outcome" => state).increment(1);
            tracing::debug!(endpoint_id = %endpoint.id, event_id = %delivery.event_id, outcome, state, "webhook sent");
        }
        Ok(())
    }

    /// Converts the answer to a result of the delivery, and to the reason to disable the endpoint, if any.
    async fn evaluate(
        &self,
        delivery: &Delivery,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<(AttemptResult, Option<DisabledReason>), Error> {
        let requested = match answer {
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
        let retry_for = self.core.settings.outgoing.retry_for();
        if let Some(at) = delivery.next_attempt(now, retry_for, requested, jitter()) {
            return Ok((AttemptResult::RetryAt(at), None));
        }
        // The retry period is over. If no other delivery succeeded meanwhile, the endpoint is failing.
        let began = delivery.began_at.unwrap_or(now);
        let alive = self
            .core
            .store
            .delivered_since(&delivery.endpoint_id, began)
            .await?;
        Ok((AttemptResult::Dead, (!alive).then_some(DisabledReason::Failing)))
    }
}

fn disabling(endpoint: &Endpoint, reason: DisabledReason, outcome: &str, now: Timestamp) -> DisableEndpoint {
    let event =
        Event::new(now, EventKind::EndpointDisabled, Some(&endpoint.team)).with(&WebhookEndpointData {
            webhook_endpoint_id: &endpoint.id,
            reason,
        });
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

/// The outcome of an attempt, as the API shows it.
fn describe(answer: &Answer) -> String {
    match answer {
        Answer::Status { status, .. } => status.to_string(),
        Answer::Failed(reason) => reason.clone(),
        Answer::Forbidden(why) => format!("not sent: the URL {why}"),
    }
}

/// A random number from 0 to 1.
fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without a random number, the pause has its maximum length.
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}
